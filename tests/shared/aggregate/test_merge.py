"""Merging the states of any split of the rows gives what the rows as a whole give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.aggregate import grouping
from shared.datasets.aggregate.columns import GROUP_ROWS, Dimension, Layout, Measure
from shared.datasets.aggregate.finish import finish
from shared.datasets.aggregate.merge import merge_states
from shared.datasets.aggregate.problems import BrokenStates, NotFinite
from shared.datasets.aggregate.render import rows_of
from shared.datasets.aggregate.states import States, read_states, write_states
from tests.shared.aggregate.reference import layout_of, registers_of, source_answer, states_of

MEASURES = (
    Measure("n", "count"),
    Measure("filled", "count", "level"),
    Measure("units", "sum", "units"),
    Measure("total", "sum", "level", source="number"),
    Measure("mean", "avg", "level", source="number"),
    Measure("least", "min", "level", source="number"),
    Measure("first", "min", "name", source="string"),
    Measure("most", "max", "units"),
    Measure("spread", "stddev", "level", source="number"),
    Measure("p90", "quantile", "level", 0.9, source="number"),
)
LAYOUT = layout_of(*MEASURES)

number = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1e-300, -3.5]), st.floats(-1e9, 1e9))
row = st.tuples(st.sampled_from(["430302", "430304", None]), st.sampled_from(["fire", "rescue"]), number, st.integers(-(2**40), 2**40), st.text(max_size=3))
split = st.lists(st.lists(row, max_size=10), min_size=1, max_size=4)


def frame(rows: list[Any]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["place", "kind", "level", "units", "name"], dtype=object)
    return made.astype({"level": "float64", "units": "int64"})


def sources_of(parts: list[list[Any]], layout: Layout = LAYOUT) -> list[States]:
    return [states_of(frame(part), layout, f"{position}/fire") for position, part in enumerate(parts)]


@settings(max_examples=30, deadline=None)
@given(split)
def test_the_merge_of_a_split_is_the_whole(parts: list[list[Any]]) -> None:
    whole = rows_of(finish(states_of(frame([row for part in parts for row in part]), LAYOUT)))
    sources = [read_states(write_states(states)) if number % 2 else states for number, states in enumerate(sources_of(parts))]  # the hub's own, and others
    merged = rows_of(finish(merge_states(sources)))
    assert [row[:5] for row in merged] == [row[:5] for row in whole]
    for got, expected in zip(merged, whole, strict=True):
        for measure, mine, other in zip(MEASURES, got[2:], expected[2:], strict=True):
            if other is not None and measure.fn in ("sum", "avg", "stddev") and measure.source == "number":
                assert mine == pytest.approx(other, rel=1e-12, abs=1e-5)  # of values up to 1e9
            else:
                assert mine == other, measure


@settings(max_examples=20, deadline=None)
@given(split, st.randoms(use_true_random=False))
def test_the_order_of_the_sources_changes_no_bit(parts: list[list[Any]], random: Any) -> None:
    sources = sources_of(parts)
    shuffled = random.sample(sources, len(sources))
    assert finish(merge_states(shuffled)).table.equals(finish(merge_states(sources)).table)


@settings(max_examples=30, deadline=None)
@given(split)
def test_states_come_through_the_stream_unchanged(parts: list[list[Any]]) -> None:
    for states in sources_of(parts):
        read = read_states(write_states(states))
        assert (read.layout, read.answers, read.table.cast(LAYOUT.schema())) == (states.layout, states.answers, states.table)


def test_seconds_since_1970_keep_their_deviation_over_many_sources() -> None:
    random = np.random.default_rng(7)
    seconds = 1.79e9 + random.normal(0, 2.0, 50_000)
    layout = layout_of(Measure("spread", "stddev", "level", source="number"), by=())
    parts = [states_of(pd.DataFrame({"level": part}), layout, f"{position}/fire") for position, part in enumerate(np.array_split(seconds, 40))]
    ((found,),) = rows_of(finish(merge_states(parts)))
    assert found == pytest.approx(float(np.std(seconds - 1.79e9, ddof=1)), rel=1e-6)


def test_floating_sums_are_compensated() -> None:
    layout = layout_of(Measure("total", "sum", "level", source="number"), by=())
    values = [1e16, 1.0, 1.0, -1e16]
    parts = [states_of(pd.DataFrame({"level": [value]}), layout, f"{position}/fire") for position, value in enumerate(values)]
    assert rows_of(finish(merge_states(parts))) == [(math.fsum(values),)]


def test_integer_sums_beyond_64_bits_are_refused() -> None:
    layout = layout_of(Measure("units", "sum", "units"), by=())
    parts = [states_of(pd.DataFrame({"units": [2**62]}), layout, f"{position}/fire") for position in range(3)]
    with pytest.raises(NotFinite):
        merge_states(parts)


def test_the_same_source_is_not_counted_twice() -> None:
    states = states_of(frame([("430302", "fire", 1.0, 1, "x")]), LAYOUT)
    with pytest.raises(BrokenStates, match="answered twice"):
        merge_states([states, states])


def test_sources_that_understand_a_column_differently_are_not_merged() -> None:
    rows = frame([("430302", "fire", 1.0, 1, "x")])
    seconds, minutes = (layout_of(Measure("mean", "avg", "level", source="number", unit=unit)) for unit in ("s", "min"))
    with pytest.raises(BrokenStates, match="differently"):
        merge_states([states_of(rows, seconds, "1/fire"), states_of(rows, minutes, "2/fire")])


def test_a_merge_of_sources_without_rows_has_no_groups() -> None:
    merged = merge_states(sources_of([[], []]))
    assert merged.table.num_rows == 0
    assert rows_of(finish(merged)) == []


def test_without_dimensions_there_is_one_group_even_of_no_rows() -> None:
    layout = layout_of(Measure("n", "count"), Measure("total", "sum", "level", source="number"), Measure("p90", "quantile", "level", 0.9), by=())
    assert rows_of(finish(merge_states(sources_of([[], []], layout)))) == [(0, None, None)]


def test_distinct_counts_of_sources_that_share_values_merge_as_if_they_were_one() -> None:
    layout = layout_of(Measure("people", "distinct", "name", source="string"), by=("place",))
    random = np.random.default_rng(9)
    hashes = random.integers(0, 2**63, 5000, dtype=np.uint64) * np.uint64(2)

    def source(number: int, parts: list[np.ndarray]) -> States:
        table = pa.table(
            {"place": ["a", "b"], GROUP_ROWS: [len(part) for part in parts], "people.registers": [registers_of(part).tolist() for part in parts]},
            schema=layout.schema(),
        )
        return States(layout, table, (source_answer(f"{number}/fire"),))

    draws = [[random.choice(hashes, size) for size in (900, 2500)] for _ in range(4)]
    merged = merge_states([source(number, parts) for number, parts in enumerate(draws)])
    whole = source(9, [np.concatenate([parts[place] for parts in draws]) for place in (0, 1)])
    assert rows_of(finish(merged)) == rows_of(finish(whole))
    assert merged.table["people.registers"].to_pylist() == whole.table["people.registers"].to_pylist()


BY_TIME = Layout((Dimension("place", "place", "string"), Dimension("hour", "time:hour", "datetime")), (Measure("n", "count"), MEASURES[3]), "Asia/Shanghai")
moment = st.one_of(st.none(), st.integers(-50, 50).map(lambda hours: hours * 3_600_000_000), st.integers(-(10**15), 10**15))


@pytest.mark.parametrize("crowded", [False, True])
@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.lists(st.tuples(st.sampled_from(["a", "b", None]), moment, st.floats(-9, 9)), max_size=8), min_size=2, max_size=4))
def test_times_and_texts_of_sources_meet_however_each_of_them_sent_them(crowded: bool, parts: list[list[tuple[str | None, int | None, float]]]) -> None:
    """Also where groups are numbered, because a table of all that might be would be large, or codes would be larger than numbers are."""
    expected: dict[tuple[Any, ...], tuple[int, float]] = {}
    for place, hour, level in (row for part in parts for row in part):
        count, total = expected.get((place, hour), (0, 0.0))
        expected[place, hour] = count + 1, total + level
    with pytest.MonkeyPatch.context() as patched:
        if crowded:
            patched.setattr(grouping, "LARGEST", 8)
            patched.setattr(grouping, "_SMALL", 0)
        merged = merge_states([read_states(write_states(by_time(part, f"{number}/fire"))) for number, part in enumerate(parts)]).table
    found = merged.set_column(1, "hour", merged["hour"].cast(pa.int64())).to_pylist()
    assert {(row["place"], row["hour"]): row[GROUP_ROWS] for row in found} == {key: count for key, (count, _) in expected.items()}
    assert len(found) == len(expected)
    for row in found:
        assert row["total.sum"] == pytest.approx(expected[row["place"], row["hour"]][1], abs=1e-9)


def by_time(rows: list[tuple[str | None, int | None, float]], source: str) -> States:
    levels: dict[tuple[str | None, int | None], list[float]] = {}
    for place, hour, level in rows:
        levels.setdefault((place, hour), []).append(level)
    count = [len(each) for each in levels.values()]
    columns = {
        "place": [place for place, _ in levels],
        "hour": pa.array([hour for _, hour in levels], pa.int64()).cast(pa.timestamp("us", "UTC")),
        GROUP_ROWS: count,
        "n.count": count,
        "total.count": count,
        "total.sum": [sum(each) for each in levels.values()],
    }
    return States(BY_TIME, pa.table(columns, schema=BY_TIME.schema()), (source_answer(source, rows=len(rows)),))
