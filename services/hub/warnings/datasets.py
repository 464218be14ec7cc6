"""What the hub shares of warnings."""

from __future__ import annotations

from typing import get_args

from services.hub.incidents.datasets import AREA, OWNER, field
from services.hub.warnings.domain import Hazard, Kind, Scope, State, Status
from services.hub.warnings.models import warnings
from shared.datasets.declaration import Dataset, Shape
from shared.vocabulary import Sharing, Text

WARNINGS = Dataset(
    id="hub.warnings",
    title=Text("预警", "Warnings"),
    description=Text(
        "本市起草、批准和发布的预警。level 为预警级别，1 红色至 4 蓝色。status 不是 Actual 的为演练或测试；未发布的没有 identifier。",
        "Warnings that this city drafted, approved and issued. `level` is 1 red to 4 blue. Those whose status is not Actual are exercises or tests; "
        "those that were not issued have no identifier.",
    ),
    owner=OWNER,
    table=warnings,
    fields=(
        field("id", "预警标识", "Identifier"),
        field("identifier", "CAP 标识", "CAP identifier", required=False),
        field("incident", "事件标识", "Identifier of the incident", required=False),
        field("previous", "所更新或解除的预警", "The warning that it updates or cancels", required=False),
        field("followed_by", "后续预警", "What has replaced or cancelled it", required=False),
        field("status", "性质", "Status", values=get_args(Status)),
        field("kind", "类型", "Message type", values=get_args(Kind)),
        field("scope", "范围", "Scope", values=get_args(Scope)),
        field("level", "预警级别", "Level, 1 red to 4 blue", "integer", definition="GB/T 35965.1-2018"),
        field("hazard", "灾害类型", "Hazard", values=get_args(Hazard)),
        field("headline_zh", "中文标题", "Headline in Chinese"),
        field("headline_en", "英文标题", "Headline in English"),
        AREA,
        field("state", "状态", "State", values=get_args(State)),
        field("authority", "发布机关", "Authority", required=False),
        field("legal_basis", "法律依据", "Legal basis", required=False),
        field("drafted_at", "起草时间", "Drafted", "datetime"),
        field("sent", "发布时间", "Issued", "datetime", required=False),
        field("expires", "失效时间", "Expires", "datetime"),
    ),
    time="drafted_at",
    geometry=Shape(),
    sharing=Sharing.CONDITIONAL,
    legal_basis="《突发事件应对法》（2024年修订）第六十三、六十四条",
)
