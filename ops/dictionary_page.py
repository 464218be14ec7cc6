"""The data dictionary, written from the declarations of all datasets."""

from __future__ import annotations

from datetime import timedelta

from ops.services import declared, present
from shared.datasets.declaration import Dataset, Field
from shared.datasets.labels import labels_of
from shared.service import Service

HEAD = """# Data dictionary · 数据字典

Every dataset that a service shares and every field of it, written from the declarations (`services/*/datasets.py`) by `make docs`; `make check` fails when it
is out of date. A running service says the same at `GET /collections/{id}/schema` (JSON Schema), `GET /catalog` (DCAT 3) and `GET /capabilities`, cut to what
the asker may see. 本页由各服务的数据集声明生成；运行中的服务在上述地址给出同样内容，并按请求者权限裁剪。

Grade 分级: general 一般, important 重要 (Data Security Law, article 21). Personal 个人信息: none, personal, sensitive. Units are UCUM codes; times bear
their offset; coordinates are WGS 84.
"""


def dictionary_page() -> str:
    """The whole page as Markdown: contents first, then one section for each service."""
    services = [declared(name) for name in present()]
    contents = [f"- [{service.title.en} · {service.title.zh}](#{service.name}): {_listed(service)}" for service in services if service.datasets]
    return "\n".join([HEAD, *contents, *(_section(service) for service in services if service.datasets)]) + "\n"


def _listed(service: Service) -> str:
    return ", ".join(f"[{dataset.id}](#{dataset.id.replace('.', '')})" for dataset in service.datasets)


def _section(service: Service) -> str:
    parts = [f'\n<a id="{service.name}"></a>\n\n## {service.title.en} · {service.title.zh}']
    if service.publishes:
        parts.append(f"\nEvents 事件: {', '.join(f'`{kind}`' for kind in sorted(event.type for event in service.publishes))}")
    if service.lookups:
        parts.append(f"\nLookups 查询: {', '.join(f'`{lookup.id}` ({lookup.title.en} · {lookup.title.zh})' for lookup in service.lookups)}")
    return "\n".join([*parts, *(_dataset(dataset) for dataset in service.datasets)])


def _dataset(dataset: Dataset) -> str:
    facts = [
        f"owner 数据责任单位: {dataset.owner.en} · {dataset.owner.zh}",
        f"grade 分级: {dataset.grade.value}",
        f"personal 个人信息: {dataset.personal.value}",
        f"sharing 共享属性: {dataset.sharing.value}",
        *([f"newest row at most {_span(dataset.freshness)} old 更新周期"] if dataset.freshness else []),
        *(["rows come when something happens 不定期"] if dataset.irregular else []),
        *([f"conforms to 遵循 {', '.join(dataset.standards)}"] if dataset.standards else []),
        *([f"made from 来自 {', '.join(dataset.derived_from)}"] if dataset.derived_from else []),
        *([f"groups under {dataset.smallest_group} suppressed 最小分组"] if dataset.smallest_group else []),
        *([f"legal basis 依据: {dataset.legal_basis}"] if dataset.legal_basis else []),
    ]
    rows = [
        "| field | type | unit | meaning | 含义 | values, range, definition |",
        "|---|---|---|---|---|---|",
        *(_field(dataset, field) for field in dataset.fields),
    ]
    words = f"{dataset.description.en}\n{dataset.description.zh}\n\n{'; '.join(facts)}."
    return f'\n<a id="{dataset.id.replace(".", "")}"></a>\n\n### `{dataset.id}` {dataset.title.en} · {dataset.title.zh}\n\n{words}\n\n' + "\n".join(rows)


def _field(dataset: Dataset, field: Field) -> str:
    labels = labels_of(dataset, field)
    more = [
        *([", ".join(f"`{value}`" for value in field.values)] if field.values else []),
        *([_range(field)] if field.minimum is not None or field.maximum is not None else []),
        *([field.definition] if field.definition else []),
        *([f"grade {labels.grade.value}"] if labels.grade is not dataset.grade else []),
        *([f"personal {labels.personal.value}"] if labels.personal is not dataset.personal else []),
    ]
    name = f"`{field.name}`" + (" *" if field.required else "")
    return f"| {name} | {field.type} | {field.unit or ''} | {field.title.en} | {field.title.zh} | {'; '.join(more)} |".replace("\n", " ")


def _range(field: Field) -> str:
    low, high = (f"{value:g}" if value is not None else "" for value in (field.minimum, field.maximum))
    return f"{low} … {high}".strip()


def _span(span: timedelta) -> str:
    return f"{span.days} d" if span.days else f"{span.seconds // 3600} h" if span.seconds >= 3600 else f"{span.seconds // 60} min"
