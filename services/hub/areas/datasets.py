"""Areas as a dataset: names and ancestors to join, polygons to draw."""

from __future__ import annotations

from shared.area_codes import LEVELS
from shared.areas import KINDS, areas
from shared.datasets.declaration import Dataset, Field, FieldType, Shape
from shared.vocabulary import Sharing, Text

_TITLES = {
    "nation": Text("国家", "Nation"),
    "province": Text("省级", "Province"),
    "city": Text("地级", "City"),
    "district": Text("县级", "District"),
    "town": Text("乡级", "Town or street"),
    "community": Text("村级", "Community"),
}


def _text(name: str, title: Text, kind: FieldType = "string", *, values: tuple[str, ...] = (), definition: str | None = None, required: bool = False) -> Field:
    return Field(name=name, type=kind, title=title, values=values, definition=definition, required=required)


AREAS = Dataset(
    id="hub.areas",
    title=Text("区域", "Areas"),
    description=Text(
        "行政区划与功能区：代码、名称、上级、有效期和边界。公开，不受区域权限限制。",
        "Administrative areas and functional zones: codes, names, ancestors, validity and boundaries. Public, whatever the caller's areas.",
    ),
    owner=Text("应急办", "Emergency office"),
    table=areas,
    key="code",
    area=None,
    fields=(
        _text("code", Text("代码", "Code"), definition="GB/T 2260, GB/T 10114", required=True),
        _text("level", Text("层级", "Level"), values=tuple(level.value for level in LEVELS), required=True),
        _text("parent", Text("上级代码", "Code of the area above")),
        _text("name_zh", Text("中文名", "Name in Chinese")),
        _text("name_en", Text("英文名", "Name in English")),
        _text("kind", Text("类别", "Kind"), values=KINDS, required=True),
        _text("valid_from", Text("启用日期", "First day of validity"), "date"),
        _text("valid_to", Text("停用日期", "First day after its validity"), "date"),
        *(_text(level.value, Text(f"所属{_TITLES[level].zh}代码", f"Code of its {_TITLES[level].en.lower()}")) for level in LEVELS),
    ),
    geometry=Shape(),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis="民政部门公开的行政区划代码；国家统计局统计用区划代码",
)
