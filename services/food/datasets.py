"""What the food service shares: premises, inspections, findings."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

from services.food.inspections.domain import RISKS
from services.food.inspections.schemas import InspectionKind
from services.food.models import findings, inspections, premises
from services.food.premises.schemas import PremisesKind
from shared.datasets.declaration import Dataset, Field, FieldType, Join, Point
from shared.vocabulary import Sharing, Text

OWNER = Text("市场监督管理局", "Administration for Market Regulation")
LAW = "《食品安全法》第一百一十三条、第一百一十八条；《政务数据共享条例》（国务院令第809号）"
"""Food Safety Law, articles 113 (credit files of producers and sellers) and 118 (unified publication); State Council Decree 809."""
AT_PREMISES = (Join(name="premises", table=premises, on=("premises", "id")),)


def _field(
    name: str,
    zh: str,
    en: str,
    kind: FieldType = "string",
    *,
    column: str | None = None,
    unit: str | None = None,
    values: tuple[str, ...] = (),
    definition: str | None = None,
    limits: tuple[float, float] | None = None,
    required: bool = True,
) -> Field:
    low, high = limits or (None, None)
    return Field(
        name=name,
        type=kind,
        title=Text(zh, en),
        column=column,
        unit=unit,
        values=values,
        definition=definition,
        minimum=low,
        maximum=high,
        required=required,
    )


def _place(prefix: str = "") -> tuple[Field, ...]:
    """Where the premises are; columns of the joined premises where there is a prefix."""
    return (
        _field("area", "区域代码", "Area code", column=f"{prefix}area", definition="GB/T 2260, GB/T 10114"),
        _field("lon", "经度", "Longitude, WGS 84", "number", column=f"{prefix}lon", unit="deg", limits=(-180, 180), required=False),
        _field("lat", "纬度", "Latitude, WGS 84", "number", column=f"{prefix}lat", unit="deg", limits=(-90, 90), required=False),
    )


def _numbered(what_zh: str, what_en: str) -> tuple[Field, ...]:
    return (
        _field("id", f"{what_zh}标识", f"Identifier of the {what_en}: registry and number"),
        _field("registry", "登记机构", "Registry that gave the numbers"),
        _field("number", f"{what_zh}编号", f"Number of the {what_en} within the registry"),
    )


PREMISES = Dataset(
    id="food.premises",
    title=Text("食品生产经营场所", "Food premises"),
    description=Text(
        "生产、贮存、供应或销售食品的场所。坐标缺失时，区域为已知的最粗一级。不含经营者个人信息。",
        "Places where food is made, stored, served or sold. Without coordinates the area is the finest that is known. Nothing about persons.",
    ),
    owner=OWNER,
    table=premises,
    fields=(
        *_numbered("场所", "premises"),
        _field("name", "名称", "Name"),
        _field("kind", "类别", "Kind", values=get_args(PremisesKind), required=False),
        _field("address", "地址", "Address", required=False),
        _field("postal_code", "邮政编码", "Postal code as the registry has it", required=False),
        *_place(),
    ),
    geometry=Point(),
    freshness=timedelta(days=31),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

INSPECTIONS = Dataset(
    id="food.inspections",
    title=Text("食品安全监督检查", "Food safety inspections"),
    description=Text(
        "每行一次检查。来源只有日期时，时间为当地该日零时。只有部分检查评分。是否不合格按 edition 所列规则判定。",
        "One row for each inspection. Where the source gives only the day, the time is its local beginning. Only some kinds of inspection give a score. "
        "`failed` follows from the score and the findings by the rule that `edition` names.",
    ),
    owner=OWNER,
    table=inspections,
    joins=AT_PREMISES,
    fields=(
        *_numbered("检查", "inspection"),
        _field("premises", "场所标识", "Identifier of the premises"),
        _field("premises_name", "场所名称", "Name of the premises", column="premises.name"),
        _field("inspected_at", "检查时间", "When it took place", "datetime"),
        _field("kind", "检查类型", "Kind", values=get_args(InspectionKind)),
        _field("score", "评分", "Score, of 100", "number", unit="1", limits=(0, 100), required=False),
        _field("failed", "是否不合格", "Whether it failed", "boolean"),
        _field("edition", "判定规则", "Rule that judged it", required=False, definition="services/food/inspections/domain.py, RULES"),
        *_place("premises."),
    ),
    time="inspected_at",
    geometry=Point(lon="premises.lon", lat="premises.lat"),
    freshness=timedelta(days=31),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

FINDINGS = Dataset(
    id="food.findings",
    title=Text("检查发现问题", "Findings of inspections"),
    description=Text(
        "每行一项违规。来源未指明检查时，归于同一场所同一时间的检查；没有这样的检查则 inspection 为空。",
        "One row for each violation. Where the source names no inspection, it belongs to the one of the same premises and time; "
        "if there is none, `inspection` is null.",
    ),
    owner=OWNER,
    table=findings,
    joins=AT_PREMISES,
    fields=(
        *_numbered("问题", "finding"),
        _field("premises", "场所标识", "Identifier of the premises"),
        _field("inspection", "检查标识", "Identifier of the inspection", required=False),
        _field("found_at", "发现时间", "When it was found", "datetime"),
        _field("code", "违规代码", "What was violated, in the registry's own code"),
        _field("risk", "风险", "Risk", values=RISKS),
        _field("description", "描述", "Description", required=False),
        *_place("premises."),
    ),
    time="found_at",
    geometry=Point(lon="premises.lon", lat="premises.lat"),
    freshness=timedelta(days=31),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)
