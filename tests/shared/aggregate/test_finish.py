"""Finished answers: small groups go, `having` filters as SQL would, sorting is total, datasets stand side by side."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from shared.datasets.aggregate.across import Standing, side_by_side
from shared.datasets.aggregate.columns import Dimension, Layout, Measure
from shared.datasets.aggregate.finish import Finished, finish, select_rows
from shared.datasets.aggregate.problems import InvalidDimension, NotFinite, UnknownColumn
from shared.datasets.aggregate.render import as_arrow, as_csv, as_json, rows_of
from shared.datasets.coverage import Coverage, Scope
from shared.errors import Problem
from tests.shared.aggregate.reference import layout_of, source_answer, states_of

COVERAGE = Coverage(scope=Scope(areas=("*",), grade="general", personal="none"), sources=(source_answer(rows=3),))
DAY = datetime(2026, 10, 31, 16, tzinfo=UTC)


def answer(**columns: list[Any]) -> Finished:
    """A finished answer with dimensions `place` and `day`, and measures `n`, `mean` and `latest`."""
    dimensions = (Dimension("place", "area:district", "string"), Dimension("day", "time:day", "datetime"))
    measures = (Measure("n", "count"), Measure("mean", "avg", "level", source="number", unit="s"), Measure("latest", "max", "seen", source="date"))
    described = tuple(column.column() for column in dimensions) + tuple(measure.column() for measure in measures)
    kinds = [pa.string(), pa.timestamp("us", "UTC"), pa.int64(), pa.float64(), pa.date32()]
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in zip(("place", "day", "n", "mean", "latest"), kinds, strict=True)})
    return Finished(dimensions, described, table, "Asia/Shanghai")


ANSWER = answer(
    place=["430302", "430304", None, "430321"],
    day=[DAY, DAY, DAY, None],
    n=[5, 2, 7, 5],
    mean=[1.5, None, -4.0, 2.0],
    latest=[date(2026, 11, 1), None, date(2026, 11, 3), date(2026, 11, 2)],
)


def places(having: Any = None, sortby: tuple[str, ...] = (), limit: int | None = None) -> list[str | None]:
    found: list[str | None] = select_rows(ANSWER, having=having, sortby=sortby, limit=limit).table["place"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("having", "expected"),
    [
        ("n >= 5", ["430302", None, "430321"]),
        ("n >= 5 AND mean > 0", ["430302", "430321"]),
        ("mean > 0", ["430302", "430321"]),
        ("NOT (mean > 0)", [None]),
        ("mean IS NULL OR n = 7", ["430304", None]),
        ("n BETWEEN 2 AND 5", ["430302", "430304", "430321"]),
        ("n IN (2, 7)", ["430304", None]),
        ("place = '430302'", ["430302"]),
        ("place <> '430302'", ["430304", "430321"]),
        ("n * 2 > mean + 10", [None]),
        ("n / 2 = 2.5", ["430302", "430321"]),
        ("day >= TIMESTAMP('2026-10-31T16:00:00Z')", ["430302", "430304", None]),
        ("day = DATE('2026-11-01')", ["430302", "430304", None]),
        ("day < '2026-11-01T00:00:00+08:00'", []),
        ("latest > DATE('2026-11-01')", [None, "430321"]),
        ("latest = '2026-11-03'", [None]),
        ("1 = 1", ["430302", "430304", None, "430321"]),
        ("1 = 2", []),
        ({"op": ">", "args": [{"property": "n"}, 6]}, [None]),
        ({"op": "=", "args": [{"property": "n"}, None]}, []),
    ],
)
def test_having_keeps_the_rows_for_which_it_is_true(having: Any, expected: list[str | None]) -> None:
    assert places(having) == expected


@pytest.mark.parametrize(
    "having",
    [
        "n",
        "n + 1",
        "calls > 1",
        "group.rows > 1",
        "n > 'x'",
        "place > 5",
        "day > '2026-11-01T00:00:00'",
        "day > 'yesterday'",
        "latest > '2026-13-01'",
        "n >",
        "",
        "casei(place) = 'x'",
        "S_INTERSECTS(place, POINT(1 2))",
        "n > 9007199254740993",
        "(" * 2000 + "n > 1" + ")" * 2000,
        "NOT " * 3000 + "n > 1",
        {"op": "exec", "args": []},
        {"op": "and", "args": [True]},
        {"op": "in", "args": [{"property": "n"}, []]},
        {"op": "in", "args": [{"property": "n"}, 3]},
        {"op": ">", "args": [{"property": "n"}]},
        {"op": ">", "args": [{"property": ["n"]}, 1]},
        {"op": ["and"], "args": [True, True]},
        {"op": ">", "args": "n"},
        {"property": "n"},
        {"op": "=", "args": [{"interval": ["..", ".."]}, {"property": "day"}]},
    ],
)
def test_having_that_makes_no_sense_is_refused(having: Any) -> None:
    with pytest.raises(Problem) as caught:
        places(having)
    assert (caught.value.status, caught.value.pointer) == (400, "/having")


def test_a_misspelt_column_is_recognised() -> None:
    with pytest.raises(UnknownColumn, match="Did you mean 'mean'"):
        places("meen > 1")


def test_rows_are_sorted_nulls_last_and_ties_by_the_dimensions() -> None:
    assert places(sortby=("-n",)) == [None, "430302", "430321", "430304"]
    assert places(sortby=("mean",)) == [None, "430302", "430321", "430304"]
    assert places(sortby=("-mean",), limit=2) == ["430321", "430302"]
    with pytest.raises(UnknownColumn) as caught:
        places(sortby=("n", "-nn"))
    assert caught.value.pointer == "/sortby/1"


def test_groups_smaller_than_the_smallest_are_left_out_and_counted() -> None:
    states = states_of(pd.DataFrame({"place": ["a", "a", "a", "b", "b", "c"]}), layout_of(Measure("n", "count"), by=("place",)))
    finished = finish(replace(states, smallest_group=3))
    assert (rows_of(finished), finished.suppressed) == ([("a", 3)], 2)


def test_a_total_that_is_too_small_is_left_out_but_nothing_is_nothing() -> None:
    layout = layout_of(Measure("n", "count"), by=())
    few, none = (finish(replace(states_of(pd.DataFrame({"x": values}), layout), smallest_group=3)) for values in ([1, 2], []))
    assert (rows_of(few), few.suppressed) == ([], 1)
    assert (rows_of(none), none.suppressed) == ([(0,)], 0)


def test_the_deviation_is_that_of_a_sample() -> None:
    layout = layout_of(Measure("spread", "stddev", "level", source="number"), by=("place",))
    rows = pd.DataFrame({"place": ["a", "a", "b"], "level": [1.0, 4.0, 2.0]})
    assert rows_of(finish(states_of(rows, layout))) == [("a", pytest.approx(rows["level"][:2].std())), ("b", None)]


def test_an_infinite_mean_is_refused_rather_than_left_out() -> None:
    states = states_of(pd.DataFrame({"level": [1.0]}), layout_of(Measure("total", "sum", "level", source="number"), by=()))
    table = states.table.set_column(2, "total.sum", pa.array([float("inf")]))
    with pytest.raises(NotFinite):
        finish(replace(states, table=table))


def test_json_bears_columns_rows_in_the_asked_zone_and_coverage() -> None:
    body = json.loads(as_json(ANSWER, COVERAGE))
    assert body["columns"] == [
        {"name": "place", "type": "string", "role": "dimension", "of": "area:district"},
        {"name": "day", "type": "datetime", "role": "dimension", "of": "time:day"},
        {"name": "n", "type": "integer", "role": "measure", "fn": "count"},
        {"name": "mean", "type": "number", "role": "measure", "fn": "avg", "unit": "s"},
        {"name": "latest", "type": "date", "role": "measure", "fn": "max"},
    ]
    assert body["rows"][1:3] == [["430304", "2026-11-01T00:00:00+08:00", 2, None, None], [None, "2026-11-01T00:00:00+08:00", 7, -4.0, "2026-11-03"]]
    assert body["coverage"]["complete"] is True
    assert body["coverage"]["sources"][0] == {
        "source": "430300/fire",
        "dataset": "fire.calls",
        "status": "ok",
        "rows": 3,
        "as_of": "2026-11-22T08:00:00.000Z",
        "elapsed_ms": 1,
        "served_from": "rows",
    }


def test_csv_and_arrow_bear_the_same_rows() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(ANSWER).decode())))
    assert rows[0] == ["place", "day", "n", "mean", "latest"]
    assert rows[2] == ["430304", "2026-11-01T00:00:00+08:00", "2", "", ""]
    with pa.ipc.open_stream(as_arrow(ANSWER, COVERAGE)) as reader:
        table = reader.read_all()
    assert str(table.schema.field("day").type) == "timestamp[us, tz=Asia/Shanghai]"
    assert table["n"].to_pylist() == [5, 2, 7, 5]
    assert json.loads(table.schema.metadata[b"liandong"])["coverage"]["complete"] is True


def part(layout: Layout, rows: dict[str, list[Any]]) -> Finished:
    return finish(states_of(pd.DataFrame(rows), layout))


def test_a_count_of_nothing_is_zero_and_a_mean_of_nothing_null() -> None:
    fires = part(layout_of(Measure("calls", "count"), by=("place",)), {"place": ["a", "a", None]})
    air = part(layout_of(Measure("pm25", "avg", "level", source="number"), by=("place",)), {"place": ["b", None, "a"], "level": [3.0, 1.0, None]})
    joined = side_by_side({"fires": fires, "air": air})
    assert [column["name"] for column in joined.columns] == ["place", "fires.calls", "air.pm25", "fires.status", "air.status"]
    assert joined.columns[3] == {"name": "fires.status", "type": "string", "role": "status", "of": "fires"}
    assert rows_of(joined) == [("a", 2, None, "ok", "ok"), ("b", 0, 3.0, "empty", "ok"), (None, 1, 1.0, "ok", "ok")]
    kept = select_rows(joined, having="fires.status = 'empty' OR fires.calls > 1", sortby=["-air.pm25"], limit=None)
    assert [row[0] for row in rows_of(kept)] == ["b", "a"]


def test_what_nobody_knows_is_not_zero() -> None:
    hours = (Dimension("hour", "time:hour", "datetime"),)
    days = [datetime(2026, 11, day, tzinfo=UTC) for day in range(1, 6)]
    one = part(Layout(hours, (Measure("n", "count"),), "UTC"), {"hour": days})
    some = {"hour": [days[0], days[1], days[1], days[3]]}
    other = finish(replace(states_of(pd.DataFrame(some), Layout(hours, (Measure("n", "count"),), "UTC")), smallest_group=2))
    found = {
        name: [row[2::2] for row in rows_of(side_by_side({"one": one, "other": other}, {"other": standing}))]
        for name, standing in {
            "whole": Standing(),
            "broken": Standing(whole=False),
            "kept": Standing(since=days[2], until=days[3]),
        }.items()
    }
    assert found["whole"] == [(None, "suppressed"), (2, "ok"), (0, "empty"), (None, "suppressed"), (0, "empty")]
    assert found["broken"] == [(None, "suppressed"), (2, "partial"), (None, "unanswered"), (None, "suppressed"), (None, "unanswered")]
    assert found["kept"] == [(None, "suppressed"), (2, "partial"), (0, "empty"), (None, "suppressed"), (None, "outside")]


def test_totals_of_datasets_stand_side_by_side() -> None:
    parts = {name: part(layout_of(Measure("n", "count"), by=()), {"x": values}) for name, values in (("one", [1, 2]), ("other", []))}
    assert rows_of(side_by_side(parts)) == [(2, 0, "ok", "ok")]


def test_datasets_that_mean_different_things_by_a_dimension_do_not_stand_side_by_side() -> None:
    one = part(layout_of(Measure("n", "count"), by=("place",)), {"place": ["a"]})
    numbers = Layout((Dimension("place", "place", "integer"),), (Measure("n", "count"),), "Asia/Shanghai")
    for other in (part(numbers, {"place": [1]}), replace(one, tz="UTC")):
        with pytest.raises(InvalidDimension):
            side_by_side({"one": one, "other": other})
