"""Responses loaded in bulk, with the calls that they state."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.fire.conftest import NOW, OLD, RECENT, Fire, after, counts, reasons, response


async def test_rows_of_one_call_make_one_call_with_all_its_units(fire: Fire):
    found = await fire.load(response(), response(unit="E2", on_scene_at=280), response("2", on_scene_at=500))
    assert counts(found) == (3, 0, 0, 0)
    shown = await fire.show()
    assert (shown["units"], shown["handling_s"], shown["response_s"]) == (2, 50, 280)
    assert [(unit["unit"], unit["turnout_s"], unit["travel_s"]) for unit in shown["responses"]] == [("E1", 60, 190), ("E2", 60, 170)]


async def test_later_responses_are_added_to_the_call(fire: Fire):
    await fire.load(response(on_scene_at=400))
    await fire.load(response(unit="E2", on_scene_at=250))
    assert (await fire.show())["response_s"] == 250
    assert [row["response_s"] for row in fire.rows("calls_history")] == [400]


async def test_a_new_call_is_told_once_and_an_old_or_historic_one_never(fire: Fire):
    await fire.load(response("1"), response("1", "E2"), response("2", start=OLD))
    await fire.load(response("3"), historic=True)
    await fire.load(response("1", "E3"))
    assert fire.events() == ["calls/430300:1"]


async def test_repetitions_are_duplicates_and_other_times_conflicts(fire: Fire):
    assert counts(await fire.load(response(), response())) == (1, 0, 1, 0)
    assert counts(await fire.load(response())) == (0, 0, 1, 0)
    changed = await fire.load(response(on_scene_at=310))
    assert (counts(changed), reasons(changed)) == ((0, 0, 0, 1), {0: "conflict"})
    moved = await fire.load(response(unit="E2", kind="medical"))
    assert reasons(moved) == {0: "conflict"}
    assert (await fire.show())["units"] == 1


async def test_a_call_that_its_rows_state_in_different_ways_is_out_with_all_of_them(fire: Fire):
    found = await fire.load(response(), response(unit="E2", kind="medical"), response("2"))
    assert (counts(found), reasons(found)) == ((1, 0, 0, 2), {0: "contradictory", 1: "contradictory"})


async def test_corrections_of_call_and_response_are_counted_and_followed(fire: Fire):
    await fire.load(response(), response(unit="E2"))
    rows = [response(received_at=after(RECENT, -30)), response(unit="E2", received_at=after(RECENT, -30))]
    assert counts(await fire.load(*rows, correct=True)) == (0, 2, 0, 0)
    assert (await fire.show())["response_s"] == 330
    assert counts(await fire.load(*rows, correct=True)) == (0, 0, 2, 0)


async def test_times_out_of_order_are_kept_and_flagged(fire: Fire):
    await fire.load(response(start=OLD, en_route_at=400))
    shown = await fire.show()
    assert (shown["quality"], shown["response_s"], shown["responses"][0]["travel_s"]) == (3, 300, None)


async def test_what_cannot_be_is_rejected_with_its_reason(fire: Fire):
    found = await fire.load(
        response("1", area="4399"),
        response("2", start=NOW + timedelta(days=1)),
        response("3", kind="dragon"),
        response("4", area=None),
        response("5", lon=112.95, lat=27.85),
        response("6", unit="E/1"),
        response("7", available_at=10**6),
    )
    assert reasons(found) == {
        0: "unknown-area",
        1: "time-out-of-range",
        2: "literal-error",
        3: "value-error",
        4: "value-error",
        5: "string-pattern-mismatch",
        6: "time-out-of-range",
    }


async def test_a_call_is_placed_by_its_point_within_the_coarser_area_that_is_known(fire: Fire):
    points = {"1": (112.95, 27.85), "2": (112.5, 27.5)}
    await fire.load(*(response(number, area=None, within="4303", lon=lon, lat=lat, crs="wgs84") for number, (lon, lat) in points.items()))
    assert [row["area"] for row in fire.rows("calls")] == ["430304", "4303"]


async def test_concurrent_loads_of_one_call_lose_no_unit(fire: Fire):
    await fire.load(response(unit="E0"))
    loads = await asyncio.gather(*(fire.load(response(unit=f"E{number}", on_scene_at=300 - number)) for number in range(1, 6)))
    assert sum(load["taken"] for load in loads) == 5
    shown = await fire.show()
    assert (shown["units"], shown["response_s"]) == (6, 295)


@pytest.mark.parametrize("units", [1, 500])
async def test_a_batch_needs_the_same_few_statements_whatever_its_rows(fire: Fire, units: int):
    from sqlalchemy import event

    asked: list[str] = []
    engine = fire.client._transport.app.state.runtime.engine.sync_engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda *of: asked.append(of[2]))
    await fire.load(*(response(str(number), start=OLD) for number in range(units)))
    assert len(asked) < 20
