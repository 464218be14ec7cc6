"""Rows that leave the database in blocks of pages are those that leave it one by one, whatever values they have."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Integer, SmallInteger, String, Table, Text

from shared.database import new_metadata
from shared.datasets import bulk_answer, bulk_blocks
from shared.datasets.declaration import Dataset
from shared.datasets.fields import field
from shared.datasets.history import history_of, history_triggers_ddl, recorded_columns
from shared.service import Service, create_app
from shared.testing import running
from shared.vocabulary import Text as Words
from tests.city import City
from tests.shared.datasets.conftest import Watch
from tests.shared.datasets.test_stream import streamed

metadata = new_metadata()
samples = Table(
    "samples",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("small", SmallInteger),
    Column("big", BigInteger),
    Column("value", Double),
    Column("good", Boolean),
    Column("taken_at", DateTime(timezone=True)),
    Column("day", Date),
    Column("said", Text),
    Column("label", String(40), nullable=False),
    Column("area", Text, nullable=False),
    *recorded_columns(),
)
history_of(samples)
KINDS = {"number": "integer", "small": "integer", "big": "integer", "value": "number", "good": "boolean", "taken_at": "datetime", "day": "date"}
NAME = Words("样本", "Samples")
SAMPLES = Dataset(
    id="watch.samples",
    title=NAME,
    description=NAME,
    owner=NAME,
    table=samples,
    key=("number",),
    fields=tuple(field(name, "样", name, KINDS.get(name, "string")) for name in (*KINDS, "said", "label", "area")),  # type: ignore[arg-type]  # one of the kinds
    time="taken_at",
    area="area",
    legal_basis="test",
)
SERVICE = Service(name="watch", title=NAME, routers=[], datasets=[SAMPLES], metadata=metadata)
ITEMS = "/collections/watch.samples/items"
VALUES: dict[str, tuple[str, ...]] = {
    "small": ("NULL", "0", "-32768", "32767"),
    "big": ("NULL", "0", "-9223372036854775808", "9223372036854775807"),
    "value": ("NULL", "'NaN'", "'Infinity'", "'-Infinity'", "-0.0", "1.5", "5e-324", "1.7976931348623157e308"),
    "good": ("NULL", "true", "false"),
    "taken_at": ("NULL", "'2026-11-01T00:00:00.000001Z'", "'0001-01-01T00:00:00Z'", "'1999-12-31T23:59:59Z'"),
    "day": ("NULL", "'2000-01-01'", "'1969-12-31'", "'0001-01-01'"),
    "said": ("NULL", "''", "E'\\x01'", "'水'", "E'\\U0010ffff'", "E'\\u00fe\\u00ff'", "'a'"),
    "label": ("''", "'x'", "'  '", "E'\\\\xff'"),
    "area": ("'430302'", "'43'"),
}


def inserted(rows: int) -> str:
    """Random rows of every kind of value."""
    choose = random.Random(7).choice  # no secret
    made = ", ".join(f"({n}, {', '.join(choose(VALUES[name]) for name in VALUES)}, 'test')" for n in range(rows))
    return f"INSERT INTO samples (number, {', '.join(VALUES)}, recorded_by) VALUES {made}"


@pytest.fixture(scope="module")
async def watch(city: City) -> AsyncIterator[Watch]:
    settings = city.settings(SERVICE, ddl=list(history_triggers_ddl("samples")))
    city.sql(settings, inserted(3000), role="app")
    city.sql(settings, "DELETE FROM samples WHERE number BETWEEN 500 AND 1500", role="app")
    city.sql(settings, "UPDATE samples SET said = NULL WHERE number % 3 = 0", role="app")
    app = create_app(SERVICE, settings)
    async with running(app) as client:
        yield Watch(city, settings, app, client)


async def both_ways(watch: Watch, monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> tuple[pa.Table, pa.Table, bool]:
    """The rows in blocks, where that is possible, and one by one; whether the first came in blocks."""
    in_blocks: list[Any] = []

    def rows_of(*given: Any) -> AsyncIterator[Any]:
        in_blocks.append(given)
        return bulk_blocks.rows_of(*given)

    one_by_one = await streamed(watch, ITEMS, **parameters)
    monkeypatch.setattr(bulk_blocks, "LEAST_BYTES", 0)
    monkeypatch.setattr(bulk_blocks, "BLOCK_PAGES", 2)
    monkeypatch.setattr(bulk_blocks, "MOST_BATCH", 4096)
    monkeypatch.setattr(bulk_answer, "rows_of", rows_of)
    found = await streamed(watch, ITEMS, **parameters)
    return found, one_by_one, bool(in_blocks)


def comparable(table: pa.Table) -> list[str]:
    """Row by row, so that not-a-number equals itself and zero differs from minus zero."""
    return sorted(repr(row) for row in table.to_pylist())


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"properties": "number"},
        {"properties": "said"},
        {"properties": "value,label"},
        {"filter": "big >= 0 OR said = '水'"},
        {"filter": "said = 'nobody says this'"},
        {"filter": "said <> '%s %% %(x)s :y $1 {} \\ it''s'"},
        {"datetime": "2000-01-01T00:00:00Z/.."},
        {"good": "true", "properties": "number,day"},
    ],
)
async def test_rows_in_blocks_are_the_rows(watch: Watch, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str]) -> None:
    found, expected, in_blocks = await both_ways(watch, monkeypatch, **parameters)
    assert in_blocks
    assert found.schema == expected.schema
    assert comparable(found) == comparable(expected)
    assert expected.num_rows or "nobody" in str(parameters)


@pytest.mark.parametrize("parameters", [{"sortby": "number"}, {"limit": "10"}, {"filter": "number = 7"}, {"known_at": "2026-01-01T00:00:00Z"}])
async def test_what_an_index_an_order_or_a_limit_serves_better_comes_row_by_row(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str]
) -> None:
    found, expected, in_blocks = await both_ways(watch, monkeypatch, **parameters)
    assert not in_blocks
    assert comparable(found) == comparable(expected)


async def test_times_without_end_are_what_they_are_row_by_row(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.sql("INSERT INTO samples (number, taken_at, label, area, recorded_by) VALUES (-1, 'infinity', '', '43', 'test'), (-2, '-infinity', '', '43', 'test')")
    found, expected, in_blocks = await both_ways(watch, monkeypatch, properties="number,taken_at", filter="label = '' AND said IS NULL AND good IS NULL")
    assert in_blocks
    raw = [dict(zip(table["number"].to_pylist(), table["taken_at"].cast(pa.int64()).to_pylist(), strict=True)) for table in (found, expected)]
    assert raw[0] == raw[1]
    assert {-1, -2} <= raw[0].keys()
    watch.sql("DELETE FROM samples WHERE number < 0")


async def test_values_kept_outside_of_the_pages_come_row_by_row(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of them could be larger than what a statement may take."""
    texts = "SELECT -1, string_agg(md5(n::text), ''), '', '43', 'test' FROM generate_series(1, 2000) n"
    watch.sql(f"INSERT INTO samples (number, said, label, area, recorded_by) {texts}")
    found, expected, in_blocks = await both_ways(watch, monkeypatch)
    assert not in_blocks
    assert comparable(found) == comparable(expected)
