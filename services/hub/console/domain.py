"""What the page shows of the city, and how long one overview serves all who look: pure rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from shared.vocabulary import Text

WINDOW_H = 24
"""Hours that the indicators look back."""
MOST_ROWS = 100
"""Rows of each list."""
MOST_EVENTS = 40
AT_MOST_EVERY_S = 2.0
"""However much happens and however many look, the sectors are not asked more often."""
CALM_S = 30.0
"""How often they are asked while nothing happens."""

Amount = tuple[int, float]
"""How many values, and their sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """A number for each area: rows counted, or the mean of a field."""

    id: str
    title: Text
    dataset: str
    filter: str | None = None
    mean_of: str | None = None
    """The field whose mean is shown; rows are counted if there is none."""
    unit: str | None = None
    """UCUM code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Rows that are shown one by one, the newest first."""

    id: str
    dataset: str
    conditions: Mapping[str, str]
    """What must hold for a thing that still goes on, by the field that it is about; those of fields that nobody declares are left out."""

    def filter(self, fields: Collection[str], now: datetime) -> str | None:
        """The conditions as CQL2."""
        moment = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return " AND ".join(text.format(now=f"TIMESTAMP('{moment}')") for name, text in self.conditions.items() if name in fields) or None


INDICATORS = (
    Indicator(id="calls", title=Text("接警", "Calls"), dataset="fire.calls"),
    Indicator(
        id="pm25",
        title=Text("PM2.5 均值", "Mean PM2.5"),
        dataset="env.observations",
        filter="property = 'pm25' AND quality <= 2",
        mean_of="value",
        unit="ug/m3",
    ),
    Indicator(id="food", title=Text("食品检查不合格", "Food: failed checks"), dataset="food.inspections", filter="failed = true"),
    Indicator(id="traffic", title=Text("交通事件", "On the roads"), dataset="traffic.incidents"),
)
LISTS = (
    Listed(id="incidents", dataset="hub.incidents", conditions={"closed_at": "closed_at IS NULL"}),
    Listed(
        id="warnings",
        dataset="hub.warnings",
        conditions={"state": "state = 'issued'", "kind": "kind <> 'Cancel'", "followed_by": "followed_by IS NULL", "expires": "expires > {now}"},
    ),
    Listed(id="outlines", dataset="env.outlines", conditions={"lifted_at": "lifted_at IS NULL"}),
    Listed(
        id="closures",
        dataset="traffic.closures",
        conditions={"ended_at": "ended_at IS NULL", "ends_at": "(ends_at IS NULL OR ends_at > {now})"},
    ),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of the hub by which an overview is judged: the end of its event log, and how its sources are."""

    position: int
    health: tuple[tuple[str, str], ...]


def still_serves(made: Moment, age_s: float, now: Moment, after: int) -> bool:
    """Whether an overview may be given once more to somebody who knows of events up to `after`.

    A young one serves unless it does not know those events; an older one as long as nothing has happened since, and for `CALM_S` at most.
    """
    if made.position < min(after, now.position):
        return False
    return age_s < AT_MOST_EVERY_S or (age_s < CALM_S and made == now)


def added_up(rows: Iterable[tuple[str | None, str | None, str, int, float | None]]) -> tuple[list[list[Any]], list[list[Any]]]:
    """From cells of district, town and hour to what is drawn: `[district, town, n, sum]` and `[district, hour, n, sum]`.

    Counts and sums add up; means are divided where they are shown.
    """
    places: dict[tuple[str | None, str | None], Amount] = {}
    hours: dict[tuple[str | None, str], Amount] = {}
    for district, town, hour, number, total in rows:
        if number:
            _add(places, (district, town), number, total or 0.0)
            _add(hours, (district, hour), number, total or 0.0)
    return _listed(places), _listed(hours)


def _add(into: dict[Any, Amount], key: tuple[Any, ...], number: int, total: float) -> None:
    before = into.get(key, (0, 0.0))
    into[key] = (before[0] + number, before[1] + total)


def _listed(amounts: Mapping[tuple[Any, ...], Amount]) -> list[list[Any]]:
    ordered = sorted(amounts.items(), key=lambda item: tuple(str(part or "") for part in item[0]))
    return [[*key, number, round(total, 6)] for key, (number, total) in ordered]


PartState = Literal["ok", "failed", "absent"]


def is_complete(parts: Sequence[Mapping[str, Any]], sources: Sequence[Mapping[str, Any]]) -> bool:
    """Whether everything that is shown rests on fresh answers of all who could give one, and no sector that might speak is silent.

    A sector that missed a heartbeat and yet gave a fresh answer is not.
    """
    asked = [part for part in parts if part["state"] != "absent"]
    answered = {answer["source"] for part in asked for answer in part["coverage"]["sources"] if answer["status"] == "ok"}
    return (
        bool(asked)
        and all(part["state"] == "ok" and part["coverage"]["complete"] for part in asked)
        and all(source["health"] == "up" or source["name"] in answered for source in sources if source["kind"] != "city")
    )
