"""Quality in numbers: completeness, validity, timeliness (the words of GB/T 36344-2018), from counts that can be added up over sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from shared.datasets.coverage import moment
from shared.datasets.declaration import Dataset

GEOMETRY = "geometry"
Day = datetime | date


@dataclass(frozen=True, slots=True)
class Counted:
    """Of the rows looked at, how many have a value in a field, and how many of these break a declared rule."""

    filled: float
    invalid: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What was found when a dataset's rows, or a sample of them, were looked at."""

    computed_at: datetime
    rows: int
    """All rows; an estimate if only some were looked at."""
    looked_at: int
    """Rows that the counts are of."""
    read: int | None = None
    """Rows that were read for them, where counts of several samples were scaled to all their rows."""
    fields: Mapping[str, Counted] = field(default_factory=dict)
    newest: datetime | None = None
    """The latest moment, not in the future, of which a row tells."""
    recent: int = 0
    """Rows looked at that tell of the last 30 days,"""
    on_time: int = 0
    """and those of them that were recorded within the promised span."""
    period: tuple[Day, Day] | None = None
    """The first and the last moment, or day, of which a row tells."""
    version: str | None = None

    @property
    def sampled(self) -> bool:
        return self.rows_read < self.rows

    @property
    def rows_read(self) -> int:
        return self.looked_at if self.read is None else self.read


def told(quality: Quality, dataset: Dataset, visible: Collection[str]) -> dict[str, Any]:
    """The quality of the fields that a caller sees. Whoever is told must be allowed to see every row."""
    if quality.rows < dataset.smallest_group:
        return suppressed(dataset, quality.computed_at)
    shown = {name: counted for name in visible if (counted := quality.fields.get(name)) is not None}
    part = quality.rows_read / quality.looked_at if quality.looked_at else 0
    period = quality.period if dataset.time in visible else None
    required = [shown[each.name] for each in dataset.fields if each.required and each.name in shown]
    optional = [shown[each.name] for each in dataset.fields if not each.required and each.name in shown]
    completeness, timeliness = _share(required, quality.looked_at), _timeliness(quality, dataset)
    filled = sum(counted.filled for counted in shown.values())
    validity = 1 - sum(counted.invalid for counted in shown.values()) / filled if filled else None
    return {
        "dataset": dataset.id,
        "computed_at": moment(quality.computed_at),
        "rows": quality.rows,
        "looked_at": quality.rows_read,
        "sampled": quality.sampled,
        "scores": {"completeness": _rounded(completeness), "validity": _rounded(validity), "timeliness": _rounded(timeliness.pop("score", None))},
        "optional_filled": _rounded(_share(optional, quality.looked_at)),
        "timeliness": timeliness or None,
        "period": dict(zip(("start", "end"), map(_written, period), strict=True)) if period else None,
        "fields": {name: {"filled": _rounded(c.filled / quality.looked_at), "invalid": round(c.invalid * part)} for name, c in shown.items()} if part else {},
    }


def suppressed(dataset: Dataset, now: datetime) -> dict[str, Any]:
    """What is told of a dataset that has too few rows, or is about persons."""
    return {"dataset": dataset.id, "computed_at": moment(now), "suppressed": True}


def together(found: Mapping[str, Quality]) -> Quality:
    """The quality of several sources' rows, each weighing as many rows as it has. The newest row of all counts, the oldest look."""
    parts = list(found.values())
    names = {name for part in parts for name in part.fields}
    fields = {
        name: Counted(
            sum(part.fields[name].filled * _weight(part) for part in parts if name in part.fields),
            sum(part.fields[name].invalid * _weight(part) for part in parts if name in part.fields),
        )
        for name in names
    }
    return Quality(
        computed_at=min(part.computed_at for part in parts),
        rows=sum(part.rows for part in parts),
        looked_at=sum(part.rows for part in parts if part.looked_at),
        read=sum(part.rows_read for part in parts),
        fields=fields,
        newest=max((part.newest for part in parts if part.newest), default=None),
        recent=sum(part.recent for part in parts),
        on_time=sum(part.on_time for part in parts),
        period=_whole_period([part for part in parts if part.rows]),
    )


def _whole_period(parts: list[Quality]) -> tuple[Day, Day] | None:
    """From the first of all to the last; nothing if one of them does not say."""
    known = [part.period for part in parts if part.period]
    if not known or len(known) < len(parts) or len({type(end) for period in known for end in period}) > 1:
        return None
    return min(start for start, _ in known), max(end for _, end in known)


def _written(end: Day) -> str:
    return moment(end) or "" if isinstance(end, datetime) else end.isoformat()


def _weight(part: Quality) -> float:
    return part.rows / part.looked_at if part.looked_at else 0.0


def _share(counted: list[Counted], rows: int) -> float | None:
    return sum(each.filled for each in counted) / (len(counted) * rows) if counted and rows else None


def _timeliness(quality: Quality, dataset: Dataset) -> dict[str, Any]:
    """How the promise is kept: rows that come when something happens by their delay, all others by the age of the newest."""
    if dataset.freshness is None:
        return {}
    promised = dataset.freshness.total_seconds()
    age = max(0.0, (quality.computed_at - quality.newest).total_seconds()) if quality.newest else None
    on_time = quality.on_time / quality.recent if quality.recent else None
    by_age = None if age is None else min(1.0, promised / age) if age > 0 else 1.0
    found = {
        "score": on_time if dataset.irregular else by_age,
        "promised_s": promised,
        "newest": moment(quality.newest),
        "age_s": round(age) if age is not None else None,
        "kept": None if dataset.irregular else age is not None and age <= promised,
        "on_time": _rounded(on_time),
        "recent": quality.recent or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _rounded(share: float | None) -> float | None:
    """To four digits, and never up to a perfect score that is none."""
    return None if share is None else min(round(share, 4), 0.9999) if share < 1 else 1.0
