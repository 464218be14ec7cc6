"""What the hub shares of its access record: with auditors all of it, with a sector's own auditors who read its data."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause

from services.hub.governance.models import accesses
from shared.caller import Caller
from shared.datasets.declaration import Dataset, Field, FieldType, OwnRights
from shared.vocabulary import Sharing, Text

AUDIT = ":audit"
KINDS = ("aggregate", "item", "lookup", "lost", "other", "overview", "quality", "records", "sql", "stream")


def owned(caller: Caller) -> list[str]:
    """The services whose data the caller answers for: `fire:audit` sees who reads what belongs to fire."""
    return sorted(scope.removesuffix(AUDIT) for scope in caller.scopes if scope.endswith(AUDIT))


def _rows(caller: Caller, table: FromClause) -> ColumnElement[bool] | None:
    return None if caller.has("hub:audit") else table.c.service.in_(owned(caller))


def _field(name: str, zh: str, en: str, kind: FieldType = "string", *, values: tuple[str, ...] = (), required: bool = True, **more: Any) -> Field:
    return Field(name=name, type=kind, title=Text(zh, en), values=values, required=required, **more)


ACCESSES = Dataset(
    id="hub.accesses",
    title=Text("数据访问记录", "Access record"),
    description=Text(
        "每行为一次询问中的一个数据集：谁、何时、为何、问了什么、触及哪些字段、由哪些来源作答。个人信息字段的取值不记。只增不改。"
        "审计员（hub:audit）见全部，数据责任单位（如 fire:audit）见对本单位数据的访问。",
        "One row for each dataset that a question named: who asked, when, for which purpose, what, which fields, which sources answered. Values of personal "
        "fields are not kept. It only grows. Auditors (hub:audit) see all of it, a dataset's owner (such as fire:audit) who read the owner's data.",
    ),
    owner=Text("应急办", "Emergency office"),
    table=accesses,
    key="id",
    area=None,
    fields=(
        _field("id", "记录标识", "Identifier (ULID)"),
        _field("at", "时间", "When the question arrived", "datetime"),
        _field("request", "请求编号", "Identifier of the request; the datasets of one question share it"),
        _field("subject", "请求者", "Who asked: a client or a user, by reference"),
        _field("actor", "代理者", "Who asked on the subject's behalf", required=False),
        _field("purpose", "用途", "Purpose of the token"),
        _field("kind", "方式", "Kind of question", values=KINDS),
        _field("dataset", "数据集", "Dataset, or the lookup's name"),
        _field("service", "责任服务", "Service that owns the dataset"),
        _field("fields", "字段", "Fields that were answered with or filtered by, separated by commas"),
        _field("asked", "询问内容", "The question as JSON, without the values of personal fields"),
        _field("answered", "作答来源", "Sources that answered, separated by commas"),
        _field("missing", "未作答来源", "Sources that did not answer, separated by commas"),
        _field("status", "状态码", "HTTP status of the answer", "integer"),
        _field("complete", "是否完整", "Whether every source gave a fresh answer, and the client took it to its end", "boolean"),
        _field("rows", "行数", "Rows that the answer rests on; of kind lost, questions that were not recorded", "integer", unit="1", minimum=0, required=False),
        _field("elapsed_ms", "用时", "Until the answer had left", "integer", unit="ms", minimum=0),
        _field("areas", "区域权限", "Areas of the token, separated by commas"),
        _field("grade", "分级权限", "Highest grade that the token sees"),
        _field("personal", "个人信息权限", "Most personal data that the token sees"),
    ),
    time="at",
    sharing=Sharing.NONE,
    legal_basis="《数据安全法》第二十七条；《网络安全法》（日志留存不少于六个月）；《政务数据共享条例》（国务院令第809号）",
    rights=OwnRights(reads=lambda caller: caller.has("hub:audit") or bool(owned(caller)), rows=_rows),
)
