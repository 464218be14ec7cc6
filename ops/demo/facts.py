"""What the demo city is furnished with: plants, stations, units, hydrants, instruments, gauges, premises. All of it is made up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from ops.demo.areas import town_places
from ops.demo.cities import DemoCity


class Batch(NamedTuple):
    """Rows that one route of a service takes."""

    service: str
    method: str
    path: str
    rows: list[dict[str, Any]]


PLANTS = (
    ("S1", "E1", "湘江氯碱厂", 320, (("U1", "液氯库", "storage", (("7782-50-5", 50, 38),)), ("U2", "合成车间", "production", (("7647-01-0", 12, 7),)))),
    ("S2", "E2", "岳塘冷链物流园", 85, (("U1", "制冷机房", "production", (("7664-41-7", 22, 18),)),)),
    ("S3", "E3", "昭山石化油库", 12, (("U1", "汽油罐区", "storage", (("86290-81-5", 6000, 4100),)),)),
    ("S4", "E4", "九华新材料厂", 45, (("U1", "环氧乙烷罐", "storage", (("75-21-8", 40, 25),)),)),
    ("S5", "E5", "雨湖自来水厂", 210, (("U1", "加氯间", "storage", (("7782-50-5", 3, 2),)),)),
)
"""Site, enterprise, name, people within 500 m, units with substances: CAS number, design maximum and present quantity in tonnes."""
NEAR_A_ROAD = 0.002
"""Degrees from a town's place, which lies on a road or beside one: whoever drives there or from there must reach it."""
CREWS = ("engine", "engine", "ladder", "rescue_squad", "chief", "medic", "medic", "support")
MEASURED = {"pm25": 3600, "pm10": 3600, "so2": 3600, "no2": 3600, "co": 3600, "o3": 3600, "wind_speed": None, "wind_direction": None, "temperature": None}
"""What a station measures, and the interval in seconds; instants have none."""
RIVERS = (("g-1", "湘江测站", "湘江", 38.0), ("g-2", "涟水测站", "涟水", 46.0), ("g-3", "涓水测站", "涓水", 43.0))
"""Gauge, name, river, warning level in metres; the other thresholds follow from it."""
LABORATORY = "lab-1"
SKILLS = {"rescue_squad": "hazmat,rescue", "support": "decontamination,hazmat"}
FOODS = ("湘江小馆", "雨湖面馆", "岳塘食堂", "韶山土菜", "窑湾米粉", "莲城超市", "昭潭烘焙", "鹤岭酒家")


def batches(city: DemoCity) -> list[Batch]:
    """Everything, in the order in which it must be loaded. The same city is furnished alike each time."""
    chance = random.Random(city.code)
    towns = list(town_places(city).items())
    near = sorted(towns, key=lambda town: abs(town[1][0] - city.lon) + abs(town[1][1] - city.lat))
    return [*_plants(near, chance), *_brigade(near, chance), *_instruments(near, chance), *_gauges(near, chance), *_premises(towns, chance)]


def _point(area: str, lon: float, lat: float) -> dict[str, Any]:
    return {"area": area, "lon": round(lon, 5), "lat": round(lat, 5), "crs": "wgs84"}


def _beside(town: tuple[str, tuple[float, float]], chance: random.Random, degrees: float = 0.008) -> dict[str, Any]:
    (code, (lon, lat)) = town
    return _point(code, lon + chance.uniform(-degrees, degrees), lat + chance.uniform(-degrees, degrees))


def _plants(near: Sequence[tuple[str, tuple[float, float]]], chance: random.Random) -> list[Batch]:
    enterprises, sites, units, inventories = [], [], [], []
    for town, (site, enterprise, name, exposed, parts) in zip(near[1:], PLANTS, strict=False):
        enterprises.append({"number": enterprise, "name": name, "area": town[0]})
        sites.append({"number": site, "enterprise": enterprise, "name": name, "exposed": exposed, **_beside(town, chance, NEAR_A_ROAD)})
        for unit, words, kind, substances in parts:
            units.append({"site": site, "number": unit, "name": words, "kind": kind})
            inventories += [{"site": site, "unit": unit, "substance": cas, "q_design": design, "q_now": now} for cas, design, now in substances]
    sensors = [{"code": f"{row['site']}-{row['number']}-gas", "site": row["site"], "property": "gas_ppm", "alarm_low": 1, "alarm_high": 3} for row in units]
    return [
        Batch("worksafety", "PUT", "/enterprises", enterprises),
        Batch("worksafety", "PUT", "/sites", sites),
        Batch("worksafety", "PUT", "/units", units),
        Batch("worksafety", "PUT", "/inventories", inventories),
        Batch("worksafety", "PUT", "/sensors", sensors),
    ]


def _brigade(near: Sequence[tuple[str, tuple[float, float]]], chance: random.Random) -> list[Batch]:
    stations, units, hydrants = [], [], []
    for number, town in enumerate(near[:16:2], start=1):
        code = f"fs-{number:02}"
        stations.append({"code": code, "name_zh": f"消防救援{number}站", "name_en": f"Fire station {number}", **_beside(town, chance, NEAR_A_ROAD)})
        units += [
            {"code": f"{code}-{kind}-{place}", "kind": kind, "station": code, "capabilities": SKILLS.get(kind)} for place, kind in enumerate(CREWS, start=1)
        ]
    for town in near[:24]:
        hydrants += [{"code": f"h-{town[0]}-{place}", "kind": "pillar", "flow_l_s": 15, **_beside(town, chance)} for place in range(1, 6)]
    return [Batch("fire", "PUT", "/stations", stations), Batch("fire", "PUT", "/units", units), Batch("fire", "PUT", "/hydrants", hydrants)]


def _instruments(near: Sequence[tuple[str, tuple[float, float]]], chance: random.Random) -> list[Batch]:
    stations, series, detectors, speeds = [], [], [], []
    for number, town in enumerate(near[:8], start=1):
        code = f"air-{number}"
        stations.append({"code": code, "name_zh": f"空气站{number}", "name_en": f"Air station {number}", "kind": "urban", **_beside(town, chance)})
        series += [
            {"station": code, "property": name} | ({"timing": "begin", "interval_s": interval} if interval else {"timing": "instant"})
            for name, interval in MEASURED.items()
        ]
    for number, town in enumerate(near[:20], start=1):
        code = f"loop-{number:02}"
        detectors.append({"code": code, "name_zh": f"检测器{number}", **_beside(town, chance, 0.003)})
        speeds += [{"detector": code, "property": name, "timing": "begin", "interval_s": 60} for name in ("speed", "volume")]
    return [
        Batch("env", "PUT", "/stations", stations),
        Batch("env", "PUT", "/series", series),
        Batch("traffic", "PUT", "/detectors", detectors),
        Batch("traffic", "PUT", "/series", speeds),
    ]


def _gauges(near: Sequence[tuple[str, tuple[float, float]]], chance: random.Random) -> list[Batch]:
    rows = [
        {
            "code": code,
            "name_zh": name,
            "river": river,
            "blue": yellow - 1,
            "yellow": yellow,
            "orange": yellow + 1.5,
            "red": yellow + 3,
            **_beside(town, chance),
        }
        for town, (code, name, river, yellow) in zip(near[2::3], RIVERS, strict=False)
    ]
    return [Batch("water", "PUT", "/gauges", rows)]


def _premises(towns: Sequence[tuple[str, tuple[float, float]]], chance: random.Random) -> list[Batch]:
    rows = [
        {"number": f"JY{code}{place:03}", "name": f"{chance.choice(FOODS)}（{place}店）", "kind": "catering", **_beside((code, at), chance)}
        for code, at in towns
        for place in range(1, 5)
    ]
    laboratory = {"number": LABORATORY, "name": "食品检验所", "kind": "agency", "area": towns[0][0][:4]}
    return [Batch("food", "POST", "/premises", rows), Batch("food", "POST", "/laboratories", [laboratory])]
