"""CQL2 filters: what they mean, in text and in JSON, against a slow reference; and what never reaches the parser."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import cql2
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import asyncpg as dialect

from shared.caller import Caller
from shared.datasets.bulk_sql import as_text
from shared.datasets.cql import FilterLanguage, compile_filter
from shared.datasets.filter_bounds import MOST_BYTES, MOST_LEVELS, MOST_OPERATORS, read_json
from shared.datasets.filter_text import read_text
from shared.datasets.view import UnknownField, view
from shared.errors import InvalidRequest, Problem
from tests.city import City
from tests.shared.datasets import cql_reference as reference
from tests.shared.datasets.watch import DDL, REPORTS, SERVICE

CALLER = Caller(subject="test", audience="430300/watch", scopes=frozenset({"hub:query"}), areas=("*",))
VIEW = view(REPORTS, CALLER)
Truths = Callable[..., list[dict[str, bool | None]]]


def made_rows() -> list[dict[str, Any]]:
    draw = random.Random(7)
    return [
        {
            "id": f"r{number:03}",
            "kind": draw.choice([None, *reference.WORDS]),
            "level": draw.choice([None, *range(-5, 10)]),
            "height": draw.choice([None, 0.0, -0.0, 0.1, 0.30000000000000004, -2.5, 7.25, 1e6]),
            "urgent": draw.choice([None, True, False]),
            "seen_at": draw.choice(reference.TIMES) + draw.choice([timedelta(0), timedelta(microseconds=1)]),
            "day": draw.choice([None, *reference.DAYS]),
            "area": draw.choice(["4303", "430302", "", "b%", "水"]),
            "lon": draw.uniform(-1, 11),
            "lat": draw.uniform(-1, 11),
            "recorded_by": "test",
        }
        for number in range(120)
    ]


ROWS = made_rows()


@pytest.fixture(scope="module")
def truths(city: City) -> Truths:
    """What conditions are for every row, by id, as the reader role is told."""
    made = city.settings(SERVICE, ddl=DDL)
    names = ", ".join(ROWS[0])
    rows = json.dumps(ROWS, default=lambda value: value.isoformat())
    city.sql(made, f"INSERT INTO reports ({names}) SELECT {names} FROM jsonb_populate_recordset(NULL::reports, $1::jsonb)", rows, role="app")

    def ask(*conditions: ColumnElement[bool]) -> list[dict[str, bool | None]]:
        asked = select(VIEW.keys[0].label("id"), *(condition.label(f"c{number}") for number, condition in enumerate(conditions)))
        compiled = asked.select_from(VIEW.source).compile(dialect=dialect.dialect())
        parameters = [compiled.params[name] for name in compiled.positiontup or ()]
        found = city.sql(made, compiled.string, *parameters, role="reader")
        written = city.sql(made, as_text(asked.select_from(VIEW.source)), role="reader")
        assert {row[0]: tuple(row) for row in written} == {row[0]: tuple(row) for row in found}, (
            "values written into the statement mean something else than bound ones"
        )
        return [{row["id"]: row[f"c{number}"] for row in found} for number in range(len(conditions))]

    return ask


@given(node=reference.filters)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], derandomize=True)
def test_text_and_json_mean_what_the_reference_says(truths: Truths, node: Any) -> None:
    expected = {row["id"]: reference.truth(node, row) for row in ROWS}
    text, tree = reference.as_text(node), json.dumps(node)
    assert truths(compile_filter(text, VIEW), compile_filter(tree, VIEW, language="cql2-json")) == [expected, expected]


@pytest.mark.proof
@given(nodes=st.lists(reference.filters, min_size=20, max_size=20))
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_text_means_what_the_reference_says_thousands_of_times(truths: Truths, nodes: list[Any]) -> None:
    expected = [{row["id"]: reference.truth(node, row) for row in ROWS} for node in nodes]
    assert truths(*(compile_filter(reference.as_text(node), VIEW) for node in nodes)) == expected


@given(node=reference.filters)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_reading_piece_by_piece_reads_what_the_parser_reads_whole(node: Any) -> None:
    text = reference.as_text(node)
    if text.count("(") < 8:
        assert flattened(read_text(text, pointer="/filter")) == flattened(cql2.parse_text(text).to_json())


def flattened(node: Any) -> Any:
    """The parser makes one `and` of `a AND (b AND c)` or of two, which mean the same."""
    if isinstance(node, dict) and node.get("op") in ("and", "or"):
        parts = [flattened(arg) for arg in node["args"]]
        inner = [part["args"] if isinstance(part, dict) and part.get("op") == node["op"] else [part] for part in parts]
        return {"op": node["op"], "args": [part for found in inner for part in found]}
    if isinstance(node, dict):
        return {name: flattened(part) for name, part in node.items()}
    return [flattened(part) for part in node] if isinstance(node, list) else node


@given(
    corners=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=3, max_size=8),
    hole=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_points_within_a_polygon_are_those_that_shapely_finds(truths: Truths, corners: list[tuple[float, float]], hole: bool) -> None:
    shape = shapely.MultiPoint(corners).convex_hull.buffer(0.5, quad_segs=2)
    if hole:
        shape = shape.difference(shape.centroid.buffer(0.3, quad_segs=2))
    [found] = truths(compile_filter({"op": "s_within", "args": [{"property": "geometry"}, json.loads(shapely.to_geojson(shape))]}, VIEW))
    expected = {row["id"]: bool(shapely.contains_xy(shape, row["lon"], row["lat"])) for row in ROWS}
    edge = shape.boundary
    assert {key: value for key, value in found.items() if value != expected[key]} == {
        row["id"]: found[row["id"]] for row in ROWS if found[row["id"]] != expected[row["id"]] and edge.distance(shapely.Point(row["lon"], row["lat"])) < 2e-6
    }


@given(corners=st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_a_box_may_cross_the_antimeridian(truths: Truths, corners: tuple[float, float, float, float]) -> None:
    west, south, east, north = corners[0], min(corners[1], corners[3]), corners[2], max(corners[1], corners[3])

    def inside(lon: float, lat: float) -> bool:
        return south <= lat <= north and (west <= lon <= east if west <= east else lon >= west or lon <= east)

    [found] = truths(compile_filter({"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [west, south, east, north]}]}, VIEW))
    assert found == {row["id"]: inside(row["lon"], row["lat"]) for row in ROWS}


def test_case_is_folded_on_both_sides(truths: Truths) -> None:
    [found] = truths(compile_filter("CASEI(kind) IN (casei('FLOOD'), casei('É'))", VIEW))
    assert {key for key, value in found.items() if value} == {row["id"] for row in ROWS if row["kind"] in ("flood", "é")}
    [begins] = truths(compile_filter("CASEI(kind) LIKE CASEI('FLO%')", VIEW))
    assert {key for key, value in begins.items() if value} == {row["id"] for row in ROWS if row["kind"] == "flood"}


class Unreachable:
    """A parser that must not be called."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the parser was reached: {name}")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2000 + "level = 1" + ")" * 2000,
        "(" * (MOST_LEVELS + 1) + "level = 1" + ")" * (MOST_LEVELS + 1),
        "NOT " * 2000 + "urgent",
        "level = 1" + " AND level = 1" * MOST_OPERATORS,
        "level" + "-1" * 2000 + " = 1",
        "POINT(1" + " -1" * 1000 + ") = level",
        "f(" * 500 + "1" + ")" * 500,
        "level IN (" * 40 + "1" + ")" * 40,
        "kind = '" + "x" * MOST_BYTES + "'",
        "kind = 'a\x00'",
        "kind = '\ud800'",
        "level = 9007199254740993",
        "level = " + "9" * 400,
        "level = " + "9" * 5000,
        "level = 1e999",
        "level = 1; DROP TABLE reports",
        "liandong:piece:0",
        "",
        "  ",
    ],
)
def test_what_could_kill_or_hang_the_parser_is_refused_before_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("shared.datasets.filter_text.cql2", Unreachable())
    with pytest.raises(InvalidRequest):
        read_text(text, pointer="/filter")


@pytest.mark.parametrize("text", ["(" * MOST_LEVELS, "(" * 31 + "level = " + ")" * 31, "f(" * 30 + "(" * 2, "level IN (" * 30, "POLYGON((" * 2])
def test_what_the_parser_alone_would_try_for_hours_is_refused_at_once(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidRequest):
        read_text(text, pointer="/filter")
    assert time.perf_counter() - started < 1


def refusal(text: str, language: FilterLanguage = "cql2-text") -> Problem | None:
    try:
        compile_filter(text, VIEW, language=language)
    except Problem as problem:
        return problem
    return None


SOUP = [
    "(",
    ")",
    "NOT",
    "AND",
    "OR",
    "level",
    "kind",
    "'x'",
    "1",
    "-",
    "+",
    "=",
    "<",
    ",",
    "IN",
    "BETWEEN",
    "LIKE",
    "IS",
    "NULL",
    "POINT",
    "1 2",
    "casei",
    '"a b"',
    "''",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(SOUP), max_size=80).map(" ".join)))
@settings(max_examples=300, deadline=2000, derandomize=True)
def test_no_text_does_more_than_be_refused(text: str) -> None:
    problem = refusal(text)
    assert problem is None or (problem.status, problem.pointer) == (400, "/filter")


JSON_SOUP = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=4), st.sampled_from(["level", "kind", "and", "=", "in", "like"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["and", "=", "in", "like", "+", "casei", "t_after", "s_within", "between", "isNull", "not"]),
                "args": st.lists(inner, max_size=3),
            }
        ),
        st.fixed_dictionaries({"property": st.sampled_from(["level", "kind", "geometry", "seen_at", "urgent"])}),
        st.fixed_dictionaries({"type": st.sampled_from(["Point", "Polygon"]), "coordinates": inner}),
        st.dictionaries(st.sampled_from(["timestamp", "date", "interval", "bbox", "op", "args", "property"]), inner, max_size=2),
    ),
    max_leaves=12,
)


@given(JSON_SOUP)
@settings(max_examples=300, deadline=2000, derandomize=True)
def test_no_json_does_more_than_be_refused(node: Any) -> None:
    problem = refusal(json.dumps(node), "cql2-json")
    assert problem is None or problem.status == 400


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        '{"op":"not","args":[' * 33 + "true" + "]}" * 33,
        json.dumps({"op": "or", "args": [{"op": "not", "args": [True]}] * 200}),
        '"\\ud800"',
        '"\\u0000"',
        "NaN",
        "9007199254740993",
        "9" * 400,
        "{",
    ],
)
def test_json_has_the_same_bounds(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_json(text, pointer="/filter")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("level = '3'", "a number"),
        ("kind = 5", "text in single quotes"),
        ("kind = NULL", "IS NULL"),
        ("urgent = 1", "TRUE or FALSE"),
        ("seen_at > '2026-11-01T00:00:00'", "no offset"),
        ("seen_at > DATE('2026-11-01')", "A day is not a moment"),
        ("seen_at > TIMESTAMP('12026-11-01T00:00:00Z')", "is not a time"),
        ("day = '2026-02-30'", "is not a date"),
        ("level = kind", "cannot be compared"),
        ("kind", "alone it says nothing"),
        ("level IN ()", "not supported"),
        ("kind LIKE 'a\\'", "backslash"),
        ("level LIKE '1%'", "LIKE compares texts"),
        ("level % 2 = 1", "'%'"),
        ("S_DWITHIN(geometry, POINT(1 2), 3, 'm')", "s_dwithin"),
        ("S_WITHIN(geometry, POLYGON((0 0, 1 0, 1 1, 0 1)))", "ends where it began"),
        ("S_WITHIN(geometry, POINT(200 0))", "not a longitude"),
        ("S_WITHIN(kind, POINT(1 2))", "not a geometry"),
        ("S_INTERSECTS(geometry, LINESTRING(0 0, 1 1))", "POLYGON"),
        ("S_INTERSECTS(geometry, BBOX(0, 5, 1, 4))", "south below north"),
        ("T_OVERLAPS(seen_at, INTERVAL('2026-11-01T00:00:00Z', '..'))", "t_overlaps"),
        ("T_AFTER(kind, TIMESTAMP('2026-11-01T00:00:00Z'))", "not a time"),
        ("T_AFTER(seen_at, INTERVAL('2026-11-01T00:00:00Z', '..'))", "open interval"),
        ("ACCENTI(kind) = 'x'", "accenti"),
        ("5", "A filter is a condition"),
    ],
)
def test_a_refusal_names_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        compile_filter(text, VIEW)
    assert says in refused.value.detail


@pytest.mark.parametrize("name", ["observer", "keeper", "plan", "sketch", "observe", "recorded_by", "lon", "geometri"])
def test_hidden_fields_are_as_unknown_as_those_that_are_not_there(name: str) -> None:
    with pytest.raises(UnknownField) as refused:
        compile_filter(f"{name} = 'x'", VIEW)
    told = refused.value.detail.replace(repr(name), "")
    assert not any(hidden in told for hidden in ("observer", "keeper", "plan", "sketch"))


def test_a_moment_is_the_same_in_every_offset(truths: Truths) -> None:
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    [found] = truths(compile_filter("seen_at = '2026-11-01T20:00:00+08:00'", VIEW))
    assert found == {row["id"]: row["seen_at"] == moment for row in ROWS}
