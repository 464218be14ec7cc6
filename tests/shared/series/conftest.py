"""A service that keeps the levels of four gauges, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import insert

from shared.body import Body, rows_of
from shared.caller import Caller
from shared.series import Limit, Loaded, NeverAbove, Observed, Property, SeriesDirectory, columns, hour_needs, load, series, whole_hours
from shared.service import Runtime, Service, create_app
from shared.testing import running
from shared.vocabulary import Text
from tests.city import City

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
LEVELS = Observed(
    feature="gauge",
    properties=(
        Property(code="level", title=Text("水位", "Level"), unit="m", minimum=-10, maximum=100),
        Property(code="crest", title=Text("最高水位", "Crest"), unit="m", minimum=-10, maximum=100),
    ),
    never_above=(NeverAbove(lesser="level", greater="crest"),),
    limits=(Limit(property="level", value=5, source="test"),),
)
EVERYWHERE = Caller("client:a", "430300/gauges", frozenset(), ("*",))
service = Service(name="gauges", title=Text("水位站", "Gauges"), routers=[], metadata=series.metadata, series=True)
Row = tuple[str, datetime, float]


@dataclass(frozen=True, slots=True)
class Gauges:
    """Gauges g1 (instants), g2 (hours, by their end), g3 (minutes) and g4 (hours, a quarter of an hour off UTC)."""

    runtime: Runtime
    city: City
    directory: SeriesDirectory

    async def load(self, rows: Sequence[Row | dict[str, Any]], *, correct: bool = False, caller: Caller = EVERYWHERE, now: datetime = NOW) -> Loaded:
        sent = [row if isinstance(row, dict) else {"gauge": row[0], "property": "level", "time": row[1].isoformat(), "value": row[2]} for row in rows]
        found = rows_of(Body(orjson.dumps(sent), "application/json", b""), columns(LEVELS))
        async with self.runtime.sessions() as session, session.begin():
            return await load(session, found, LEVELS, self.directory, caller, now, correct=correct)

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        return self.city.sql(self.runtime.settings, statement, *arguments)

    def assert_hours_match_the_values(self) -> None:
        wrong = self.sql("""
            SELECT * FROM observations_hourly h FULL JOIN (
                SELECT series, date_trunc('hour', time, 'UTC') AS hour, count(*) AS count, sum(value) AS sum, avg(value) AS mean,
                    var_pop(value) * count(*) AS m2, min(value) AS min, max(value) AS max
                FROM observations WHERE quality <= 3 GROUP BY 1, 2
            ) v USING (series, hour)
            WHERE (h.count = v.count AND h.min = v.min AND h.max = v.max AND abs(h.sum - v.sum) < 1e-9 * (1 + abs(v.sum))
                AND abs(h.mean - v.mean) < 1e-9 * (1 + abs(v.mean)) AND abs(h.m2 - v.m2) < 1e-9 * (1 + v.m2)) IS NOT TRUE
        """)
        assert wrong == []


KINDS = {
    "g1": ("instant", None, "Asia/Shanghai"),
    "g2": ("end", 3600, "Asia/Shanghai"),
    "g3": ("begin", 60, "Asia/Shanghai"),
    "g4": ("begin", 3600, "Asia/Kathmandu"),
}
ROWS = [
    {
        "feature": name,
        "property": measured,
        "unit": "m",
        "timing": timing,
        "interval_s": interval,
        "hour_needs": hour_needs(interval),
        "timezone": zone,
        "whole_hours": whole_hours(zone),
        "area": "430302",
        "recorded_by": "test",
    }
    for name, (timing, interval, zone) in KINDS.items()
    for measured in ("level", "crest")
]


@pytest.fixture(scope="module")
async def runtime(city: City) -> AsyncIterator[Runtime]:
    app = create_app(service, city.settings(service))
    async with running(app):
        async with app.state.runtime.engine.begin() as connection:
            await connection.execute(insert(series), ROWS)
        yield app.state.runtime


@pytest.fixture
def gauges(runtime: Runtime, city: City) -> Gauges:
    found = Gauges(runtime, city, SeriesDirectory())
    found.sql("TRUNCATE observations, observations_hourly, observations_history")
    for (partition,) in found.sql("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'observations'::regclass"):
        found.sql(f"DROP TABLE {partition}")
    return found


def at(hour: float, day: int = 1) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour)


def counts(loaded: Loaded) -> tuple[int, int, int, int]:
    answer = loaded.answer
    return answer.taken, answer.corrected, answer.duplicates, answer.rejected
