"""The cities that a demo can be, by their real districts (GB/T 2260), with rough places: enough to draw and to drive in, no boundaries of anybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.demo import xiangtan


@dataclass(frozen=True, slots=True)
class District:
    """A district and where its seat lies: degrees, WGS 84, to some kilometres; its towns lie around it within `reach_km`."""

    code: str
    zh: str
    en: str
    lon: float
    lat: float
    reach_km: float
    functional: bool = False


@dataclass(frozen=True, slots=True)
class DemoCity:
    """A city that the demo knows."""

    code: str
    zh: str
    en: str
    lon: float
    lat: float
    """Of its core, around which the grid of streets lies."""
    districts: tuple[District, ...]

    @property
    def prefix(self) -> str:
        """Its area code: `4303`."""
        return self.code[:4]


XIANGTAN = DemoCity(
    "430300",
    "湘潭市",
    "Xiangtan",
    112.93,
    27.855,
    (
        District("430302", "雨湖区", "Yuhu District", 112.885, 27.870, 9),
        District("430304", "岳塘区", "Yuetang District", 112.965, 27.862, 6),
        District("430321", "湘潭县", "Xiangtan County", 112.900, 27.640, 24),
        District("430371", "湖南湘潭高新技术产业园区", "Xiangtan High-tech Zone", 112.985, 27.835, 2, functional=True),
        District("430372", "湘潭昭山示范区", "Zhaoshan Demonstration Zone", 113.020, 27.960, 2, functional=True),
        District("430373", "湘潭九华示范区", "Jiuhua Demonstration Zone", 112.905, 27.940, 4, functional=True),
        District("430381", "湘乡市", "Xiangxiang", 112.480, 27.720, 24),
        District("430382", "韶山市", "Shaoshan", 112.520, 27.935, 7),
    ),
)
CHANGSHA = DemoCity(
    "430100",
    "长沙市",
    "Changsha",
    112.97,
    28.20,
    (
        District("430102", "芙蓉区", "Furong District", 113.02, 28.19, 4),
        District("430103", "天心区", "Tianxin District", 112.98, 28.12, 6),
        District("430104", "岳麓区", "Yuelu District", 112.90, 28.20, 9),
        District("430105", "开福区", "Kaifu District", 112.99, 28.27, 7),
        District("430111", "雨花区", "Yuhua District", 113.05, 28.13, 7),
        District("430112", "望城区", "Wangcheng District", 112.83, 28.36, 14),
        District("430121", "长沙县", "Changsha County", 113.17, 28.31, 20),
        District("430181", "浏阳市", "Liuyang", 113.65, 28.17, 30),
        District("430182", "宁乡市", "Ningxiang", 112.40, 28.20, 28),
    ),
)
ZHUZHOU = DemoCity(
    "430200",
    "株洲市",
    "Zhuzhou",
    113.13,
    27.83,
    (
        District("430202", "荷塘区", "Hetang District", 113.18, 27.86, 6),
        District("430203", "芦淞区", "Lusong District", 113.17, 27.79, 6),
        District("430204", "石峰区", "Shifeng District", 113.12, 27.90, 6),
        District("430211", "天元区", "Tianyuan District", 113.07, 27.82, 7),
        District("430212", "渌口区", "Lukou District", 113.14, 27.68, 14),
        District("430223", "攸县", "You County", 113.35, 27.02, 26),
        District("430224", "茶陵县", "Chaling County", 113.54, 26.79, 25),
        District("430225", "炎陵县", "Yanling County", 113.77, 26.49, 24),
        District("430281", "醴陵市", "Liling", 113.50, 27.66, 22),
    ),
)
CITIES = {city.code: city for city in (XIANGTAN, CHANGSHA, ZHUZHOU)}


TOWN_KINDS = {"街道": "Subdistrict", "镇": "Town", "乡": "Township"}


def towns_of(city: DemoCity) -> Iterator[tuple[District, str, str, str]]:
    """District, code, name and English name of each town or street that is known; none of cities whose towns are not known."""
    for district in city.districts:
        words = xiangtan.TOWNS.get(district.code, "").split()
        for digits, zh, en in zip(words[::3], words[1::3], words[2::3], strict=True):
            kind = next(kind for ending, kind in TOWN_KINDS.items() if zh.endswith(ending))
            yield district, district.code + digits, zh, f"{en} {kind}"


def above(city: DemoCity) -> list[dict[str, Any]]:
    """Nation, province and the three neighbouring cities, as rows of the hub's area table."""
    rows: list[dict[str, Any]] = [
        {"code": "cn", "level": "nation", "parent": None, "name_zh": "中国", "name_en": "China", "kind": "administrative"},
        {"code": "43", "level": "province", "parent": "cn", "name_zh": "湖南省", "name_en": "Hunan", "kind": "administrative"},
    ]
    neighbours = [city, *(other for other in CITIES.values() if other is not city)]
    return rows + [
        {"code": each.prefix, "level": "city", "parent": "43", "name_zh": each.zh, "name_en": each.en, "kind": "administrative"} for each in neighbours
    ]
