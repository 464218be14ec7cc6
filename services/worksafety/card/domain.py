"""What the on-site card works out: where a thing lies from the point asked about, what helps whoever was exposed, what is not known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import asin, atan2, cos, degrees, hypot, radians, sin
from typing import Any

from shared.vocabulary import Text

EARTH_M = 6_371_008.8
"""Mean radius of the Earth (IUGG), metres."""


@dataclass(frozen=True, slots=True)
class Around:
    """A box around a point, in degrees, that holds every point within a distance."""

    west: float
    south: float
    east: float
    north: float


def around(lon: float, lat: float, radius_m: float) -> Around:
    """The box around a point; all longitudes where it reaches a pole. It does not wrap around the 180th meridian."""
    reach = degrees(radius_m / EARTH_M)
    narrowest = cos(radians(min(90.0, abs(lat) + reach)))
    wide = degrees(radius_m / EARTH_M / narrowest) * 1.0001 if narrowest > 1e-6 else 360.0
    return Around(lon - wide, lat - reach * 1.0001, lon + wide, lat + reach * 1.0001)


def distance_m(from_: tuple[float, float], to: tuple[float, float]) -> float:
    """Great-circle distance of two points (longitude, latitude in degrees) by the haversine formula, metres."""
    (lon1, lat1), (lon2, lat2) = (tuple(map(radians, point)) for point in (from_, to))
    half = hypot(sin((lat2 - lat1) / 2), sin((lon2 - lon1) / 2) * (cos(lat1) * cos(lat2)) ** 0.5)
    return 2 * EARTH_M * asin(min(1.0, half))


def bearing_deg(from_: tuple[float, float], to: tuple[float, float]) -> float:
    """Initial bearing, degrees clockwise from north."""
    (lon1, lat1), (lon2, lat2) = (tuple(map(radians, point)) for point in (from_, to))
    east = sin(lon2 - lon1) * cos(lat2)
    north = cos(lat1) * sin(lat2) - sin(lat1) * cos(lat2) * cos(lon2 - lon1)
    return degrees(atan2(east, north)) % 360


_FRESH_AIR = Text(
    "将人员移至空气新鲜处；呼吸停止时施行人工呼吸，呼吸困难时给氧",
    "Move to fresh air; artificial respiration if not breathing, oxygen if breathing is difficult",
)
_NO_MOUTH = Text("误吸或误食者不作口对口人工呼吸，用单向阀面罩", "No mouth-to-mouth where it was inhaled or swallowed: mask with a one-way valve")
_FLUSH = Text(
    "皮肤、眼睛接触后用流水冲洗至少 20 分钟，脱去污染衣物", "Flush skin or eyes with running water for 20 minutes at least; take off contaminated clothing"
)
_FROST = Text("接触液化气体者用微温水融化冻伤部位", "Thaw frosted parts with lukewarm water after contact with liquefied gas")
_LATE = Text("留观：症状可能数小时后出现", "Keep under observation: effects may be delayed for hours")
_NO_WATER = Text("皮肤沾染碱金属等遇水反应物时先干擦除去，再冲洗", "Brush water-reactive material off the skin before flushing")
_STAY_OFF = Text("爆炸品着火不扑救，撤离并警戒", "Explosives on fire are not fought: withdraw and cordon off")
_AID = {
    "J": (_FRESH_AIR, _NO_MOUTH, _FLUSH, _LATE),
    "W1": (_STAY_OFF, _FRESH_AIR),
    "W2": (_FRESH_AIR, _FROST),
    "W4": (_FRESH_AIR, _FROST),
    "W5": (_FRESH_AIR, _FLUSH),
    "W11": (_NO_WATER, _FRESH_AIR),
}
AID_SOURCE = "Emergency Response Guidebook 2020, first aid of the orange guides, shortened; from memory, to be verified"


def first_aid(classes: Iterable[str]) -> list[dict[str, str]]:
    """First-aid lines for a substance of these classes (GB 18218-2018, table 2), gravest first, none twice."""
    lines: dict[str, Text] = {}
    for symbol in classes:
        group = "J" if symbol.startswith("J") else symbol.partition(".")[0]
        lines |= {line.en: line for line in _AID.get(group, (_FRESH_AIR, _FLUSH))}
    return [line.as_dict() for line in lines.values()]


def missing(sites: Collection[Mapping[str, Any]], releases: Collection[Mapping[str, Any]], *, quantities: bool, truncated: bool) -> list[dict[str, str]]:
    """What the card cannot say, each in zh and en."""
    held = [substance for site in sites for substance in site["substances"]]
    uncounted = sum(substance.get("q_now") is None for substance in held) if quantities else 0
    unknown = sum(site["exposed"] is None for site in sites)
    without = sum(release["outline"] is None for release in releases)
    said = (
        (not sites, Text("半径内没有登记的场所；未登记不等于没有", "No recorded site within the radius; what is not recorded may be there all the same")),
        (bool(held) and not quantities, Text("数量为重要数据，令牌无此权限", "Quantities are important data, which this token may not see")),
        (uncounted > 0, Text(f"{uncounted} 项没有现存量，只有设计最大量", f"{uncounted} items without a present quantity, only the design maximum")),
        (unknown > 0, Text(f"{unknown} 个场所周边 500 米常住人口未知", f"{unknown} sites without the population within 500 m")),
        (without > 0, Text(f"{without} 起泄漏尚无影响范围", f"{without} releases without an outline yet")),
        (truncated, Text("场所过多，只列最近的", "Too many sites: only the nearest are listed")),
    )
    return [line.as_dict() for applies, line in said if applies]
