"""What only DuckDB finds wrong has its place in the statement as it was written, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.hub.sql.failed_place import FailedPlace
from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation


@pytest.fixture(scope="module")
async def made(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": calls("f", 9)}) as found:
        yield found


@pytest.mark.parametrize(
    ("sql", "line", "column"),
    [
        ("SELECT sum(kind) FROM fire.calls", 1, 8),
        ("SELECT count(*) AS n,\n  Sum(kind) FROM fire.calls", 2, 3),
        ("SELECT kind, avg( kind ) FROM fire.calls GROUP BY kind", 1, 14),
        ("SELECT CAST('x' AS INT)", 1, 8),
        ("SELECT 1 AS one,\n 'x'::INT AS two", 2, 2),
        ("SELECT id FROM fire.calls\nWHERE received_at > 'yesterday'", 2, 21),
        ("SELECT id FROM fire.calls c\nWHERE c.units + c.kind > 3", 2, 19),
        ("SELECT sum(units), sum(kind) FROM fire.calls", 1, 20),
    ],
)
async def test_a_failure_is_pointed_at(made: Federation, sql: str, line: int, column: int) -> None:
    answer = await made.client.post("/sql", json={"sql": sql, "deadline_ms": 20_000}, headers=made.headers())
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["type"]) == (422, "/problems/sql-failed"), answer.text
    assert (told.get("line"), told.get("column")) == (line, column), told


@pytest.mark.parametrize(
    "message",
    [
        "Out of range",
        "Bad\n\nLINE 1: SELECT sum(b)\n               ^",  # shows what was not rendered
        "Bad\n\nLINE 1: ...a\n           ^",  # there several times
        "Bad\n\nLINE 1: SELECT sum(a), sum(a)\n                                        ^",  # beyond it
    ],
)
def test_what_is_not_certain_has_no_place(message: str) -> None:
    assert FailedPlace("SELECT sum(a), sum(a)", "SELECT sum(a), sum(a)").of(message) == {}


def test_of_words_that_were_written_once_and_rendered_twice_the_one_is_meant() -> None:
    place = FailedPlace("SELECT s + s\nFROM (SELECT sum(a) AS s)", "SELECT sum(a) + sum(a)")
    assert place.of("Bad\n\nLINE 1: SELECT sum(a) + sum(a)\n                        ^") == {"line": 2, "column": 14}
    assert FailedPlace("SELECT sum(a), sum(a), sum(a)", "SELECT sum(a), sum(a)").of("Bad\n\nLINE 1: SELECT sum(a), sum(a)\n               ^") == {}
