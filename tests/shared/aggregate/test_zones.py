"""Cutting time by arithmetic gives what PostgreSQL's own zone rules give, in every zone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from sqlalchemy import DateTime, column, select
from sqlalchemy.dialects import postgresql

from shared.config import Settings
from shared.datasets.aggregate.expressions import cut
from shared.datasets.aggregate.zones import TimeUnit, regular
from shared.datasets.declaration import Field
from shared.time_zones import known_zones
from shared.vocabulary import Text
from tests.city import City
from tests.shared.aggregate.toy import DDL, TOY

TIME = Field(name="at", type="datetime", title=Text("时间", "Time"))
ZONES = sorted(known_zones())


@pytest.fixture(scope="module")
def settings(city: City) -> Settings:
    """A database with instants: around every change of clocks of common zones, around each New Year, and at random."""
    made = city.settings(TOY, ddl=DDL)
    chosen = random.Random(4)
    moments = [datetime(1890, 1, 1, tzinfo=UTC) + timedelta(seconds=chosen.uniform(0, 160 * 365.25 * 86_400)) for _ in range(600)]
    moments += [
        datetime(year, month, 1, tzinfo=UTC) + timedelta(hours=hour, seconds=second)
        for year in range(1969, 2039)
        for month in (1, 7)
        for hour in (-13, -8, 0, 9)
        for second in (-1, 0)
    ]
    moments += [datetime(year, 3, 25, tzinfo=UTC) + timedelta(hours=3 * step) for year in (1971, 1988, 1991, 2011, 2026) for step in range(80)]
    city.sql(made, "CREATE TABLE moments (at timestamptz NOT NULL)")
    city.sql(made, "INSERT INTO moments SELECT unnest($1::timestamptz[])", moments)
    return made


def differing(city: City, settings: Settings, zone: str, unit: str) -> int:
    at = column("at", DateTime(timezone=True))
    ours = select(cut(at, TIME, unit, zone)).compile(dialect=postgresql.asyncpg.dialect(), compile_kwargs={"literal_binds": True})
    expression = str(ours).removeprefix("SELECT ").rpartition(" AS ")[0]
    (row,) = city.sql(settings, f"SELECT count(*) FILTER (WHERE {expression} IS DISTINCT FROM date_trunc('{unit}', at, '{zone}')) AS n FROM moments")
    found: int = row["n"]
    return found


@pytest.mark.parametrize("unit", get_args(TimeUnit))
def test_time_is_cut_as_the_rules_of_the_zone_say(city: City, settings: Settings, unit: str) -> None:
    sample = random.Random(unit).sample(ZONES, 15)
    assert {zone: n for zone in [*sample, "Asia/Shanghai", "America/Los_Angeles", "Asia/Kolkata"] if (n := differing(city, settings, zone, unit))} == {}


@pytest.mark.proof
@pytest.mark.parametrize("unit", get_args(TimeUnit))
def test_time_is_cut_as_the_rules_of_every_zone_say(city: City, settings: Settings, unit: str) -> None:
    assert {zone: n for zone in ZONES if (n := differing(city, settings, zone, unit))} == {}


def test_postgresql_knows_every_zone_that_may_be_asked(city: City, settings: Settings) -> None:
    assert known_zones() <= {row["name"] for row in city.sql(settings, "SELECT name FROM pg_timezone_names")}


def test_china_is_regular_since_it_gave_up_summer_time_and_california_never_is_for_days() -> None:
    china = regular("Asia/Shanghai", "day")
    assert china is not None and china.since.year == 1992
    assert regular("America/Los_Angeles", "day") is None
    assert regular("America/Los_Angeles", "hour") is not None
