"""Proportional mass balance: published figures, random graphs against a reference, loops, books that do not balance."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.food.tracing.domain import Move, flows_of, link_faults, spread, whole_of
from tests.food.mixing import AT, Kitchen, amounts_of, parts_of, random_kitchen


def forward(kitchen: Kitchen, start: str) -> dict[str, float | None]:
    flows, _ = flows_of(kitchen.moves(), dict.fromkeys(kitchen.quantities, "kg"))
    return spread(start, kitchen.quantities[start], flows, whole_of(kitchen.quantities, flows, kitchen.moves()), "forward").amounts


def back(kitchen: Kitchen, end: str) -> dict[str, float | None]:
    flows, _ = flows_of(kitchen.moves(), dict.fromkeys(kitchen.quantities, "kg"))
    whole = whole_of(kitchen.quantities, flows, kitchen.moves())
    return {lot: None if part is None else part * whole[lot] for lot, part in spread(end, 1.0, flows, whole, "back").amounts.items()}


def close(found: dict[str, float | None], expected: dict[str, float]) -> bool:
    there = {lot: amount for lot, amount in found.items() if amount is None or amount > 1e-9}
    return there == pytest.approx({lot: amount for lot, amount in expected.items() if amount > 1e-9}, rel=1e-6, abs=1e-8)


def test_mixing_and_splitting_keep_what_there_is():
    """60 of 100 a and 40 b make 80 c and 20 d; half of c makes e."""
    kitchen = Kitchen({"a": 100, "b": 40, "c": 80, "d": 20, "e": 30}, [({"a": 60, "b": 40}, {"c": 80, "d": 20}), ({"c": 40}, {"e": 30})])
    assert forward(kitchen, "a") == pytest.approx({"a": 100, "c": 48, "d": 12, "e": 24})
    assert back(kitchen, "e") == pytest.approx({"e": 30, "c": 40, "a": 24, "b": 16})


@given(st.integers(0, 2**32), st.integers(2, 40), st.booleans())
@settings(max_examples=60, deadline=None)
def test_random_graphs_equal_the_reference(seed: int, size: int, loops: bool):
    agree(seed, size, loops=loops)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(20))
def test_large_random_graphs_equal_the_reference(seed: int):
    agree(seed, 1_000, loops=bool(seed % 2))


def agree(seed: int, size: int, *, loops: bool) -> None:
    kitchen = random_kitchen(seed, size, loops=loops)
    assert close(forward(kitchen, "l0"), amounts_of(kitchen, "l0"))
    last = f"l{size - 1}"
    if size <= 100:
        assert close(back(kitchen, last), parts_of(kitchen, last))
    else:
        assert back(kitchen, last).get("l0", 0.0) == pytest.approx(amounts_of(kitchen, "l0").get(last, 0.0), rel=1e-6, abs=1e-8)


def test_what_leaves_an_origin_arrives_at_ends_whole():
    kitchen = Kitchen({"a": 10, "b": 4, "c": 6, "d": 9}, [({"a": 10}, {"b": 4, "c": 6}), ({"b": 4, "c": 6}, {"d": 9})])
    assert forward(kitchen, "a")["d"] == pytest.approx(10)


def test_a_loop_is_found_and_counts_what_goes_round_each_time():
    kitchen = Kitchen({"a": 100, "b": 100, "c": 1}, [({"a": 100}, {"b": 100}), ({"b": 50}, {"a": 50}), ({"b": 50}, {"c": 1})])
    flows, _ = flows_of(kitchen.moves(), dict.fromkeys(kitchen.quantities, "kg"))
    assert spread("a", 1, flows, kitchen.quantities, "forward").loops == [["a", "b"]]
    assert forward(kitchen, "a") == pytest.approx({"a": 200, "b": 200, "c": 100})


def test_amounts_in_a_loop_that_nothing_leaves_are_unknown():
    kitchen = Kitchen({"a": 10, "b": 10}, [({"a": 10}, {"b": 10}), ({"b": 10}, {"a": 10})])
    assert forward(kitchen, "a") == {"a": None, "b": None}


def test_more_used_than_made_is_never_more_than_all():
    kitchen = Kitchen({"a": 10, "b": 50}, [({"a": 40}, {"b": 40})])
    assert forward(kitchen, "a")["b"] == pytest.approx(10)


def test_outputs_in_different_units_cannot_be_shared_out():
    kitchen = Kitchen({"a": 10, "b": 5, "c": 5}, [({"a": 10}, {"b": 5, "c": 5})])
    flows, faults = flows_of(kitchen.moves(), {"a": "kg", "b": "kg", "c": "L"})
    assert [fault.code for fault in faults] == ["outputs-in-different-units"]
    assert spread("a", 10, flows, kitchen.quantities, "forward").amounts == {"a": 10, "b": None, "c": None}


def test_missing_links_and_quantities_that_do_not_balance_are_told():
    def move(kind: str, lot: str, place: str, quantity: float, partner: str | None = None, event: str = "") -> Move:
        return Move(kind, event, lot, place, partner, quantity, AT, AT)

    moves = [
        move("ship", "a", "farm", 50, "mill"),
        move("receive", "a", "mill", 40, "farm"),
        move("ship", "a", "farm", 10, "shop"),
        move("receive", "b", "mill", 5, "nowhere"),
        move("sell", "a", "mill", 45),
        move("input", "a", "mill", 1, event="e1"),
        move("output", "c", "mill", 3, event="e2"),
        move("input", "b", "mill", 5, event="e3"),
        move("output", "d", "mill", 9, event="e3"),
    ]
    _, faults = flows_of(moves, dict.fromkeys("abcd", "kg"))
    faults += link_faults(moves, {"a": "farm", "b": "nowhere"}, {"a": 100, "b": 5})
    assert {(fault.code, fault.lot, fault.expected, fault.found) for fault in faults} == {
        ("no-outputs", "a", None, None),
        ("no-inputs", "c", None, None),
        ("more-out-than-in", "d", 5, 9),
        ("shipped-and-received-differ", "a", 50, 40),
        ("shipped-not-received", "a", 10, 0),
        ("received-not-shipped", "b", 0, 5),
        ("more-left-than-came", "a", 40, 46),
    }
