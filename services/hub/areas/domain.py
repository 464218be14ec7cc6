"""What makes a table of areas sound: levels, parents, prefixes, validity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from shared.area_codes import GB_NATION, LEVELS, gb_level, gb_parent
from shared.vocabulary import AreaLevel


@dataclass(frozen=True, slots=True)
class Area:
    """An area as the table holds it."""

    code: str
    level: AreaLevel
    parent: str | None
    name_zh: str | None = None
    name_en: str | None = None
    kind: str = "administrative"
    valid_from: date | None = None
    valid_to: date | None = None
    geometry: Mapping[str, Any] | None = None
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north."""
    ancestors: tuple[str | None, ...] = (None,) * len(LEVELS)
    """Codes from nation to community, its own among them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an area cannot stand in the table."""

    member: str
    code: str
    detail: str


def level_of(code: str, stated: AreaLevel | None) -> AreaLevel | None:
    """The stated level, else what the GB code's length tells."""
    return stated or gb_level(code) or (AreaLevel.NATION if code == GB_NATION else None)


def fault_of(area: Area, parent: Area | None) -> Fault | None:
    """What is wrong with an area whose parent, if it names one that is known, is `parent`."""
    if area.name_zh is None and area.name_en is None:
        return Fault("name_zh", "unnamed", "An area needs a name in Chinese or in English.")
    if area.valid_from and area.valid_to and area.valid_from >= area.valid_to:
        return Fault("valid_to", "validity", "valid_to is the first day on which the code no longer holds; it must come after valid_from.")
    if area.parent is None:
        return None
    if parent is None:
        return Fault("parent", "unknown-parent", f"Its parent {area.parent} is neither recorded nor in this batch. Send the parent first.")
    if LEVELS.index(area.level) <= LEVELS.index(parent.level):
        return Fault("level", "level", f"A {area.level} cannot lie in a {parent.level}.")
    if parent.level is not AreaLevel.NATION and not area.code.startswith(parent.code):
        return Fault("code", "prefix", f"Rights go by prefix, so the code must begin with its parent's, {parent.code}.")
    if (area.valid_to and parent.valid_from and area.valid_to <= parent.valid_from) or (
        area.valid_from and parent.valid_to and parent.valid_to <= area.valid_from
    ):
        return Fault("valid_from", "validity", f"It never held at a time when its parent {parent.code} did.")
    return None


def with_ancestors(area: Area, parent: Area | None) -> Area:
    """The area with the codes of those above it, which its parent knows, and its own."""
    above: list[str | None] = list(parent.ancestors) if parent else [None] * len(LEVELS)
    above[LEVELS.index(area.level)] = area.code
    return replace(area, ancestors=tuple(above))


def parents_first(areas: Iterable[tuple[int, Area]]) -> list[tuple[int, Area]]:
    """Coarse levels first; a parent's level is always coarser."""
    return sorted(areas, key=lambda numbered: (LEVELS.index(numbered[1].level), numbered[0]))


def parent_of(code: str, stated: str | None, states_parent: bool) -> str | None:
    """The stated parent, which may be none; if nothing was stated, the GB prefix."""
    return stated if states_parent else gb_parent(code)
