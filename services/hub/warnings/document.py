"""A warning as a CAP alert, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from shared.cap import Alert, Area, Info, Parameter, Reference
from shared.cap.areas import geocodes, outer_rings
from shared.cap.identifiers import Identifier
from shared.cap.levels import SEVERITIES, level_parameter
from shared.vocabulary import WarningLevel

DEPARTMENT, UNIT, EXTENSION = "000", "000", "00"
"""Of the identifier (GB/T 35965.1-2018); a city that has been given codes of its own puts them here."""
NOT_REAL = {"Exercise": ("【演练】", "[EXERCISE] "), "Test": ("【测试】", "[TEST] "), "Actual": ("", "")}
Language = Literal["zh", "en"]


def identifier_of(city: str, number: int, sent: datetime) -> str:
    """`43030000000000_20261122160509_17`: unique, because the number is."""
    return str(Identifier(city, DEPARTMENT, UNIT, EXTENSION, sent, number % 1_000_000))


def as_alert(row: Mapping[str, Any], *, zone: str) -> Alert:
    """The alert of a warning that has `identifier`, `sender`, `sent`, `authority`, `legal_basis` and `references`."""
    here = ZoneInfo(zone)
    return Alert(
        identifier=row["identifier"],
        sender=row["sender"],
        sent=row["sent"].astimezone(here),
        status=row["status"],
        kind=row["kind"],
        source=row["authority"],
        scope=row["scope"],
        restriction=row["restriction"],
        note=" / ".join(mark.strip() for mark in NOT_REAL[row["status"]] if mark) or None,
        references=tuple(Reference(sender, name, datetime.fromisoformat(sent).astimezone(here)) for sender, name, sent in row["references"] or ()),
        incidents=(row["incident"],) if row["incident"] else (),
        infos=(_info(row, "zh", here), _info(row, "en", here)),
    )


def _info(row: Mapping[str, Any], language: Language, here: ZoneInfo) -> Info:
    level = WarningLevel(row["level"])
    mark = NOT_REAL[row["status"]][0 if language == "zh" else 1]
    return Info(
        language={"zh": "zh-CN", "en": "en"}[language],
        categories=tuple(row["categories"]),
        event=row[f"event_{language}"],
        response_types=tuple(row["response_types"]),
        urgency=row["urgency"],
        severity=SEVERITIES[level],
        certainty=row["certainty"],
        event_codes=(Parameter("hazard", row["hazard"]),),
        effective=row["sent"].astimezone(here),
        onset=row["onset"].astimezone(here) if row["onset"] else None,
        expires=row["expires"].astimezone(here),
        sender_name=row["authority"],
        headline=mark + row[f"headline_{language}"],
        description=mark + row[f"description_{language}"],
        instruction=row[f"instruction_{language}"],
        parameters=(level_parameter(level), Parameter("legalbasis", row["legal_basis"])),
        areas=(_area(row, language),),
    )


def _area(row: Mapping[str, Any], language: Language) -> Area:
    rings = outer_rings(row["geometry"]) if row["geometry"] else ()
    return Area(description=row[f"area_name_{language}"], polygons=rings, geocodes=geocodes(row["areas"]))
