"""The questions, each as the hub is asked and as SQL for the peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bench.federation.sector import SIX
from shared.datasets.aggregate.sketches import QUANTILE_ERROR

Part = Literal["groups", "rollups"]
P90 = "quantile_disc(value, 0.9)"
LOWER = "list_sort(list(value))[1 + CAST(floor(0.9 * (count(value) - 1)) AS BIGINT)]"
"""The quantile as the contract defines it: of n values the one at rank floor(q (n - 1))."""
DUCK_HOUR = "epoch_us(time) // 3600000000 * 3600"
"""Arithmetic, which DuckDB does in less time than `date_trunc`; the city's zone is whole hours from UTC."""
FDW_HOUR = "date_trunc('hour', time)"
GROUPS: Mapping[str, Any] = {"by": {"district": "area:district", "hour": "time:hour"}, "tz": "Asia/Shanghai"}
COUNT, MEAN = {"fn": "count"}, {"fn": "avg", "field": "value"}


def since(number: int) -> datetime:
    """A moment before all rows, another one for each number: no answer may be kept from one round for the next."""
    return datetime(2025, 6, 1, tzinfo=UTC) - timedelta(hours=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question both ways, and how many times faster than its peers the hub must be."""

    name: str
    part: Part
    dataset: str
    question: Mapping[str, Any]
    measured: str
    """The measures in SQL, in the order of the question's."""
    rows: str
    """The rows of one source, named `{source}`, with area, time and value."""
    duck: float
    fdw: float | None = None
    error: float = 1e-9
    """How far the last measure may be off, relative."""
    served_from: str = "rows"
    quarter: bool = False
    """Only the last quarter of the year: the sketches of a whole year of hours have more cells than are answered."""

    def since(self, number: int) -> str:
        last = datetime(2026, 7, 1, 16, tzinfo=UTC) - timedelta(minutes=number)
        return (last if self.quarter else since(number)).isoformat()

    def asked(self, number: int) -> dict[str, Any]:
        return {**GROUPS, **self.question, "from": self.since(number), "strict": True, "deadline_ms": 60_000}

    def sql(self, number: int, hour: str, *, check: bool = False) -> str:
        """The same for a peer that cuts times to hours in its own way."""
        together = " UNION ALL ".join(self.rows.format(source=source, since=self.since(number)) for source in SIX)
        measured = self.measured.replace(P90, LOWER) if check else self.measured
        return f"SELECT left(area, 6) AS district, {hour} AS hour, {measured} FROM ({together}) AS together GROUP BY 1, 2"


EVENTS = "SELECT area, time, value FROM {source}.events WHERE time >= '{since}'::timestamptz"
READINGS = """
    SELECT s.area, o.time, o.value FROM {source}.observations o JOIN {source}.series s ON s.id = o.series
    WHERE s.property = 'pm25' AND o.quality <= 3 AND o.time >= '{since}'::timestamptz
"""
CASES = (
    Case(
        name="rows: count and mean",
        part="groups",
        dataset="bench.events",
        question={"measures": {"n": COUNT, "mean": MEAN}},
        measured="count(*), avg(value)",
        rows=EVENTS,
        duck=2,
        fdw=5,
    ),
    Case(
        name="rows of a quarter: count and 90th percentile",
        part="groups",
        dataset="bench.events",
        question={"measures": {"n": COUNT, "p90": {"fn": "quantile", "field": "value", "q": 0.9}}},
        measured=f"count(*), {P90}",
        rows=EVENTS,
        duck=1,
        error=QUANTILE_ERROR,
        quarter=True,
    ),
    Case(
        name="series: count, mean, maximum",
        part="rollups",
        dataset="bench.readings",
        question={"measures": {"n": COUNT, "mean": MEAN, "max": {"fn": "max", "field": "value"}}, "filter": "property = 'pm25' AND quality <= 3"},
        measured="count(*), avg(value), max(value)",
        rows=READINGS,
        duck=20,
        served_from="rollup:hourly",
    ),
)
BY_HAND = """
    SELECT district, hour, sum(n), sum(total) / sum(n) FROM ({together}) AS together GROUP BY 1, 2
"""
BY_HAND_PART = """
    SELECT left(area, 6) AS district, date_trunc('hour', time) AS hour, count(*) AS n, sum(value) AS total
    FROM {source}.events WHERE time >= '{since}'::timestamptz GROUP BY 1, 2
"""


def by_hand(number: int) -> str:
    """What somebody who knows postgres_fdw writes instead: groups of each source, then their sums."""
    return BY_HAND.format(together=" UNION ALL ".join(BY_HAND_PART.format(source=source, since=since(number).isoformat()) for source in SIX))


JOIN = "SELECT p.category, count(*) AS n, avg(c.value) AS mean FROM {left}.checks c JOIN {right}.premises p ON p.id = c.id GROUP BY 1 ORDER BY 1"
