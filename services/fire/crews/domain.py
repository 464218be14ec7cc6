"""What is said to the crews: the message's parts, its words in Chinese and English, and when it says something new."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PARTS = ("card", "outline", "routes")
"""What may be missing."""
VOLATILE = frozenset({"as_of", "computed_at", "elapsed_ms", "coverage", "travel_s", "network"})
"""Members that change without saying anything new."""
KINDS_ZH = {
    "structure_fire": "建筑火灾",
    "vehicle_fire": "车辆火灾",
    "outside_fire": "室外火灾",
    "alarm": "火警报警",
    "smoke_investigation": "烟雾核查",
    "odor_investigation": "异味核查",
    "gas_leak": "燃气泄漏",
    "hazmat": "危险化学品事故",
    "fuel_spill": "油料泄漏",
    "electrical_hazard": "电气险情",
    "explosion": "爆炸",
    "medical": "医疗救护",
    "traffic_collision": "交通事故",
    "rescue": "救援",
    "elevator_rescue": "电梯困人",
    "water_rescue": "水域救援",
    "industrial_accident": "工业事故",
    "public_assistance": "社会救助",
    "police_assistance": "协助警务",
    "other": "其他",
}
WINDS_ZH = ("北", "东北", "东", "东南", "南", "西南", "西", "西北")
WINDS_EN = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that could not be had, and why."""

    what: str
    zh: str
    en: str

    def as_dict(self) -> dict[str, Any]:
        return {"what": self.what, "reason": {"zh": self.zh, "en": self.en}}


def quarter(degrees: float) -> int:
    """The eighth of the compass in which a direction lies, north first."""
    return int((degrees % 360 + 22.5) // 45) % 8


def texts(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """The message in sentences, in both languages, the gravest first."""
    zh: list[str] = []
    en: list[str] = []
    for chinese, english in (*_what(content), *_danger(content), *_ways(content), *_lacking(content)):
        zh.append(chinese)
        en.append(english)
    return {"zh": zh, "en": en}


def _what(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    incident, release = content["incident"], content["release"]
    kind = incident["kind"]
    yield f"{KINDS_ZH.get(kind, kind)}。", f"{kind.replace('_', ' ').capitalize()}."
    if not release:
        return
    named = f" UN {release['un']}" if release.get("un") else ""
    rate = release.get("rate_kg_s")
    much_zh, much_en = (f"，泄漏速率 {rate:g} kg/s", f", {rate:g} kg/s") if rate is not None else ("，泄漏量未知", ", amount unknown")
    if release.get("concluded_at"):
        yield f"{release['name_zh']}泄漏已经停止。", f"The release of {release['name_en']} has stopped."
    else:
        yield f"{release['name_zh']}{named} 泄漏{much_zh}。", f"{release['name_en'].capitalize()}{named} is escaping{much_en}."


def _danger(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    outline = content["outline"]
    if outline and outline.get("lifted_at"):
        yield "危险区已经解除。", "The endangered area has been lifted."
    elif outline:
        far, near = outline["protective_m"], outline["isolation_m"]
        yield (
            f"隔离 {near:.0f} m，下风向防护 {far:.0f} m。不得驶入轮廓。",
            f"Isolate {near:.0f} m, protect {far:.0f} m downwind. Do not drive into the outline.",
        )
        wind = outline.get("wind_from_deg")
        if wind is None:
            yield "风向未知：各方向均可能有危险。", "The wind is unknown: any direction may be dangerous."
        else:
            eighth = quarter(wind)
            yield (
                f"风自{WINDS_ZH[eighth]}方来，从{WINDS_ZH[eighth]}侧（上风向）接近。",
                f"Wind from the {WINDS_EN[eighth]}: approach from the {WINDS_EN[eighth]} (upwind).",
            )
    for site in _sites(content["card"])[:3]:
        name = site.get("name") or site.get("site") or "?"
        yield f"附近单位：{name}（见现场卡）。", f"Site nearby: {name} (see the on-site card)."


def _sites(card: Any) -> list[Mapping[str, Any]]:
    found = card.get("sites") if isinstance(card, Mapping) else None
    return [site for site in found if isinstance(site, Mapping)] if isinstance(found, list) else []


def _ways(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    source = content["travel_times"]
    if source == "copy":
        yield "行驶时间与路线来自本地路网副本，非实时路况。", "Travel times and routes are from our own copy of the network, not live."
    elif source == "distance":
        yield "行驶时间按直线距离估算，无路线。", "Travel times are estimated from straight lines; there are no routes."
    for short in content["short"]:
        kinds = "/".join(short["unit_kinds"])
        special = f" ({short['capability']})" if short["capability"] else ""
        yield f"力量不足：尚缺 {short['count']} 个 {kinds}{special}。", f"Short of {short['count']} {kinds}{special}."


def _lacking(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    words = {"card": ("现场卡", "on-site card"), "outline": ("危险区轮廓", "outline"), "routes": ("路线", "routes")}
    for each in content["missing"]:
        zh, en = words[each["what"]]
        yield f"缺{zh}：{each['reason']['zh']}", f"No {en}: {each['reason']['en']}"


def digest(content: Mapping[str, Any], *, routes: bool) -> str:
    """What a message says, without what changes by the second; routes count only where another way was asked for."""
    said = {name: _plain(content[name]) for name in ("incident", "release", "outline", "short")}
    said["card"] = _plain(_sites(content["card"]))  # its releases and outlines are said beside it
    said["units"] = sorted(each["unit"] for each in content["units"])
    said["missing"] = sorted(each["what"] for each in content["missing"])
    if routes:
        said["routes"] = [[each["unit"], (each["route"] or {}).get("geometry")] for each in content["units"]]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items() if name not in VOLATILE}
    return [_plain(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def for_terminal(content: Mapping[str, Any], *, important: bool) -> dict[str, Any]:
    """The message as a terminal may have it: the on-site card is important data (Data Security Law, article 21)."""
    if important or content["card"] is None:
        return dict(content)
    withheld = Missing("card", "令牌的权限不含重要数据。", "The token's clearance does not cover important data.")
    shown = {**content, "card": None, "missing": [*content["missing"], withheld.as_dict()]}
    return {**shown, "texts": texts(shown)}
