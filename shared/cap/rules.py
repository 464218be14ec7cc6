"""Rules of CAP 1.2 that its schema cannot say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.cap.document import Alert, Area, Info, Point
from shared.vocabulary import Text

_PLAIN = re.compile(r"[^\s,<&]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where."""

    where: str
    """`alert.references`, `info[1].area[0].polygon[0]`."""
    text: Text


def problems_of(alert: Alert) -> list[Fault]:
    """Every rule that the alert breaks, with the clause; empty for a sound one. What `parse` forgave stands in `alert.deviations`."""
    faults = list(_of_head(alert))
    for number, info in enumerate(alert.infos):
        faults += _of_info(alert, info, f"info[{number}]")
    return faults


def _of_head(alert: Alert) -> Iterator[Fault]:
    for name, text in (("identifier", alert.identifier), ("sender", alert.sender)):
        if not _PLAIN.fullmatch(text):
            yield _fault(f"alert.{name}", "不得为空，不得含空白、逗号、< 或 &（3.2.1）", "may not be empty or hold spaces, commas, < or & (3.2.1)")
    if alert.kind != "Alert" and not alert.references:
        yield _fault(
            "alert.references", f"{alert.kind} 必须引用先前的消息（3.2.1 msgType）", f"{alert.kind} must name the messages it is about (3.2.1 msgType)"
        )
    if (alert.scope == "Restricted") != (alert.restriction is not None):
        yield _fault("alert.restriction", "仅当 scope 为 Restricted 时必须且可以给出（3.2.1）", "is there if, and only if, the scope is Restricted (3.2.1)")
    if alert.scope == "Private" and not alert.addresses:
        yield _fault("alert.addresses", "scope 为 Private 时必须给出（3.2.1）", "must be there if the scope is Private (3.2.1)")


def _of_info(alert: Alert, info: Info, where: str) -> Iterator[Fault]:
    if not info.categories:
        yield _fault(f"{where}.category", "至少一个（3.2.2）", "at least one (3.2.2)")
    if not info.event.strip():
        yield _fault(f"{where}.event", "不得为空（3.2.2）", "may not be empty (3.2.2)")
    begins = max(filter(None, (alert.sent, info.effective, info.onset)))
    if info.expires is not None and info.expires <= begins:
        yield _fault(f"{where}.expires", "必须晚于 sent、effective 和 onset（3.2.2）", "must come after sent, effective and onset (3.2.2)")
    for number, area in enumerate(info.areas):
        yield from _of_area(area, f"{where}.area[{number}]")


def _of_area(area: Area, where: str) -> Iterator[Fault]:
    for number, ring in enumerate(area.polygons):
        at = f"{where}.polygon[{number}]"
        if len(ring) < 4 or ring[0] != ring[-1]:
            yield _fault(at, "至少四个点，首尾相同（3.2.4）", "has at least four points, the last like the first (3.2.4)")
        elif not all(map(_on_earth, ring)):
            yield _fault(at, "坐标不在 WGS 84 范围内（3.3.1）", "has a point outside WGS 84 (3.3.1)")
    for number, circle in enumerate(area.circles):
        if not _on_earth(circle.centre) or not 0 <= circle.radius_km < 20_100:
            yield _fault(f"{where}.circle[{number}]", "圆心或半径不合理（3.2.4）", "has a centre or radius that cannot be (3.2.4)")
    if area.ceiling is not None and area.altitude is None:
        yield _fault(f"{where}.ceiling", "只能与 altitude 同用（3.2.4）", "may only stand beside altitude (3.2.4)")


def _on_earth(point: Point) -> bool:
    return -180 <= point[0] <= 180 and -90 <= point[1] <= 90


def _fault(where: str, zh: str, en: str) -> Fault:
    return Fault(where, Text(zh, en))
