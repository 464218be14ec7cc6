"""The merged order of rows, against sorting everything at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hub.federation.union import Disorder, Portion, check_order, merge
from shared.datasets.keyset import place_of

VALUES = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([0.5, -1.25, float("inf")]))
TEXTS = st.one_of(st.none(), st.text(alphabet="abéA中\U0001f525", max_size=3))


def ordered(rows: list[tuple[Any, Any, str]], down: tuple[bool, bool]) -> list[tuple[Any, Any, str]]:
    """Rows of one source in its own order, by the plainest means: stable sorts from the last level to the first."""
    found = sorted(rows, key=lambda row: row[2])
    for level in (1, 0):
        some = [row for row in found if row[level] is not None]
        none = [row for row in found if row[level] is None]
        some.sort(key=lambda row: row[level], reverse=down[level])
        found = some + none
    return found


@given(
    sources=st.lists(st.lists(st.tuples(VALUES, TEXTS), max_size=12), min_size=1, max_size=4),
    down=st.tuples(st.booleans(), st.booleans()),
    limit=st.integers(1, 9),
)
def test_paging_through_a_union_gives_every_row_once_in_the_order_of_the_whole(
    sources: list[list[tuple[Any, Any]]], down: tuple[bool, bool], limit: int
) -> None:
    everything: dict[str, list[tuple[Any, Any, str]]] = {
        f"s{number}": ordered([(*row, f"{place:03d}") for place, row in enumerate(rows)], down) for number, rows in enumerate(sources)
    }
    whole = ordered([(first, second, f"{source} {key}") for source, rows in everything.items() for first, second, key in rows], down)
    at = dict.fromkeys(everything, 0)
    found: list[str] = []
    for _ in range(200):
        portions = []
        for source, rows in everything.items():
            rest = rows[at[source] :]
            portions.append(Portion(source, [place_of(row) for row in rest[:limit]], len(rest) <= limit))
        for portion in portions:
            check_order(portion, down)
        merged = merge(portions, down, limit)
        found += [f"{portions[number].source} {everything[portions[number].source][at[portions[number].source] + row][2]}" for number, row in merged.picked]
        for portion, taken in zip(portions, merged.taken, strict=True):
            at[portion.source] += taken
        if merged.done:
            break
    assert found == [row[2] for row in whole]


def test_a_page_ends_where_a_source_ran_out_of_what_it_sent() -> None:
    short = Portion("a", [place_of([1, "x"])], exhausted=False)
    long = Portion("b", [place_of([2, "y"]), place_of([3, "z"])], exhausted=True)
    merged = merge([short, long], [False], 10)
    assert (merged.picked, merged.done) == ([(0, 0)], False)


def test_a_source_with_nothing_to_show_that_claims_more_is_not_believed() -> None:
    with pytest.raises(Disorder):
        check_order(Portion("a", [], exhausted=False), [])


@pytest.mark.parametrize(
    "places",
    [
        [["i2", "sa"], ["i1", "sb"]],
        [["i1", "sa"], ["i1", "sa"]],
        [["i1", "sb"], ["i1", "sa"]],
        [["i1"]],
        [["?1", "sa"]],
        [["", "sa"]],
        [["inope", "sa"]],
        [["tnever", "sa"], ["i1", "sb"]],
        [[1, "sa"]],
    ],
)
def test_rows_out_of_order_or_without_understandable_places_are_refused(places: list[Any]) -> None:
    with pytest.raises(Disorder):
        check_order(Portion("a", places, exhausted=True), [False])


def test_times_without_a_zone_spoil_no_order() -> None:
    portions = [Portion("a", [["t2026-01-01T00:00:00", "s1"]], exhausted=True), Portion("b", [["t2026-01-01T00:00:00+00:00", "s1"]], exhausted=True)]
    for portion in portions:
        check_order(portion, [False])
    assert len(merge(portions, [False], 9).picked) == 2
