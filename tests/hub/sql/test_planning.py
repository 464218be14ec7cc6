"""Plans: whatever is pushed to the sources, the answer stays the same; what can be pushed is."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from services.hub.sql.allowed import check
from services.hub.sql.domain import Column, Groups, Kind, Plan, Rows, Table
from services.hub.sql.params import bind, fix_now
from services.hub.sql.planning import plan
from services.hub.sql.resolve import resolve
from services.hub.sql.statement import read
from tests.hub.federation.sectors import calls, readings
from tests.hub.sql.by_duckdb import database, rows_of, same
from tests.hub.sql.random_sql import statement
from tests.hub.sql.stand_in import carry_out

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 22, 16, 30, tzinfo=ZONE)


def table(dataset: str, primary: str, /, **kinds: Kind) -> Table:
    columns = {name: Column(name, kind) for name, kind in kinds.items()}
    return Table(dataset, columns, {}, primary, frozenset({"id"}), True)


CATALOGUE = {
    "fire.calls": table("fire.calls", "received_at", id="string", area="string", received_at="datetime", kind="string", response_s="number", units="integer"),
    "air.readings": table("air.readings", "time", id="string", area="string", time="datetime", value="number"),
}


def planned(sql: str, *, limit: int = 100_000, groups: bool = True, params: Any = ()) -> Plan:
    read_ = read(sql)
    check(read_)
    tree = resolve(read_, fix_now(bind(read_, params), NOW), CATALOGUE)
    return plan(read_, tree, CATALOGUE, ZONE, limit, groups=groups)


@pytest.fixture(scope="module")
def everything() -> duckdb.DuckDBPyConnection:
    rows = [{**row, "_source": name} for name, part in (("a", calls("f", 300)), ("b", calls("p", 200))) for row in part]
    rows += [{**rows[0], "id": "odd", "area": None, "kind": "100%_\\'x", "response_s": 3.7, "units": None}]
    return database({"fire.calls": rows, "air.readings": readings(60)})


def differing(everything: duckdb.DuckDBPyConnection, seed: int, count: int) -> list[str]:
    chance, wrong = random.Random(seed), []
    for _ in range(count):
        sql = statement(chance)
        expected = rows_of(everything.sql(sql).to_arrow_table())
        for groups in (True, False):
            made = planned(sql, groups=groups)
            found = rows_of(carry_out(made, everything))
            if not same(found, expected, ordered="ORDER BY" in sql and "OVER" not in sql):
                wrong.append(f"{sql}\n  {found[:3]}\n  {expected[:3]}\n  {made}")
    return wrong


def test_what_is_pushed_to_the_sources_does_not_change_the_answer(everything: duckdb.DuckDBPyConnection) -> None:
    wrong = differing(everything, 7, 40)
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:5])


@pytest.mark.proof
def test_of_three_thousand_statements_none_changes_its_answer(everything: duckdb.DuckDBPyConnection) -> None:
    wrong = differing(everything, 8, 3000)
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:5])


def test_groups_conditions_limits_and_keys_are_pushed() -> None:
    (groups,) = planned("SELECT left(area, 6) AS d, avg(units) FROM fire.calls WHERE left(kind, 6) = 'struct' AND length(area) > 4 GROUP BY d").scans
    assert isinstance(groups, Groups)
    assert set(groups.by.values()) == {"area"}
    assert groups.filter == {"op": "like", "args": [{"property": "kind"}, "struct%"]}
    (rows,) = planned("SELECT id FROM fire.calls WHERE received_at >= now() - INTERVAL 1 DAY LIMIT 5 OFFSET 2").scans
    assert isinstance(rows, Rows)
    assert rows.filter == {"op": ">=", "args": [{"property": "received_at"}, {"timestamp": "2026-11-21T08:30:00Z"}]}
    assert (rows.columns, rows.limit) == (("id", "received_at"), 7)
    large, small = planned("SELECT c.kind, r.value FROM fire.calls c JOIN air.readings r ON r.area = c.area WHERE r.id IN ('r-00001', 'r-00002')").scans
    assert isinstance(large, Rows)
    assert large.bound is not None
    assert (large.bound.column, large.bound.other, large.bound.by) == ("area", small.name, "area")
    (outer, _) = planned("SELECT c.kind FROM fire.calls c LEFT JOIN air.readings r ON r.area = c.area AND r.id = 'r-00001'").scans
    assert isinstance(outer, Rows)
    assert outer.bound is None


@pytest.mark.parametrize(
    "measure",
    [
        "quantile_cont(response_s, 0.5)",
        "count(*) FILTER (WHERE units > 1)",
        "string_agg(kind, ',')",
        "avg(units + 1)",
        "stddev(response_s), count(DISTINCT kind)",
        "count(DISTINCT kind), approx_quantile(units, 0.9)",
    ],
)
def test_what_groups_cannot_say_exactly_is_computed_from_rows(measure: str) -> None:
    (rows,) = planned(f"SELECT {measure} FROM fire.calls").scans
    assert isinstance(rows, Rows)
