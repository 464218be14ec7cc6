"""What the water service shares."""

from __future__ import annotations

from datetime import timedelta

from services.water.models import sites
from services.water.sites.domain import KINDS
from shared.datasets.declaration import Dataset, Field, FieldType, Point
from shared.vocabulary import Sharing, Text

OWNER = Text("水务主管部门", "Authority for Water")
LAW = "《政务数据共享条例》（国务院令第809号）"
"""State Council Decree 809 (sharing of government data). Add the law of the sector itself."""


def _field(name: str, zh: str, en: str, kind: FieldType = "string", *, unit: str | None = None, required: bool = True) -> Field:
    return Field(name=name, type=kind, title=Text(zh, en), unit=unit, required=required)


SITES = Dataset(
    id="water.sites",
    title=Text("场所", "Sites"),
    description=Text("场所的名称、类别、位置与下次检查时间。", "Name, kind, place and next inspection of each site."),
    owner=OWNER,
    table=sites,
    key="code",
    fields=(
        _field("code", "代码", "Code"),
        _field("name_zh", "中文名", "Name in Chinese", required=False),
        _field("name_en", "英文名", "Name in English", required=False),
        Field(name="kind", type="string", title=Text("类别", "Kind"), values=KINDS, required=True),
        _field("capacity", "容量", "Capacity", "integer", unit="1", required=False),
        _field("inspected_at", "上次检查", "Last inspection", "datetime", required=False),
        _field("due_at", "下次检查期限", "Next inspection is due", "datetime", required=False),
        _field("area", "区域代码", "Area code"),
        _field("lon", "经度", "Longitude, WGS 84", "number", unit="deg", required=False),
        _field("lat", "纬度", "Latitude, WGS 84", "number", unit="deg", required=False),
    ),
    time="inspected_at",
    geometry=Point(),
    freshness=timedelta(days=1),
    sharing=Sharing.CONDITIONAL,
    legal_basis=LAW,
)
