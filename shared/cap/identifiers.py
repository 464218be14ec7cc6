"""Identifiers of warnings in China: `ZZZZZZDDDUUUXX_YYYYMMDDhhmmss[_N]` (GB/T 35965.1-2018, GB/T 47321-2026), Beijing time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))
_FORM = re.compile(r"([0-9]{6})([0-9A-Z]{3})([0-9A-Z]{3})([0-9A-Z]{2})_([0-9]{14})(?:_([0-9]{1,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identifier:
    """The parts of such an identifier."""

    area: str
    """Six digits, GB/T 2260."""
    department: str
    unit: str
    extension: str
    at: datetime
    number: int | None = None
    """Where a unit makes several within a second."""

    def __str__(self) -> str:
        moment = self.at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
        return f"{self.area}{self.department}{self.unit}{self.extension}_{moment}" + (f"_{self.number}" if self.number is not None else "")


def read_identifier(text: str) -> Identifier | None:
    """The parts, with and without `_N`; None for an identifier of another form, which CAP leaves to the sender."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    area, department, unit, extension, moment, number = found.groups()
    try:
        at = datetime.strptime(moment, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        return None
    return Identifier(area, department, unit, extension, at, int(number) if number else None)
