"""Calls and units as they happen, and how responses kept to the standards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fire.conftest import NOW, OLD, RECENT, Fire, after, call, response


async def record(fire: Fire, **values: Any) -> Any:
    return await fire.client.post("/calls", json=call(**values), headers=fire.headers())


def report(**seconds: float) -> dict[str, Any]:
    return {"unit": "E1", "unit_kind": "engine"} | {name: after(RECENT, offset) for name, offset in ({"dispatched_at": 50} | seconds).items()}


async def test_a_call_is_recorded_told_and_its_units_reported_as_they_move(fire: Fire):
    answer = await record(fire)
    assert (answer.status_code, answer.json()["units"], answer.json()["response_s"]) == (201, 0, None)
    assert fire.events() == ["calls/430300:1"]
    path = "/calls/430300:1/responses"
    for seconds in ({}, {"en_route_at": 110}, {"on_scene_at": 300}):
        answer = await fire.client.post(path, json=report(**seconds), headers=fire.headers())
        assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["units"], shown["response_s"], shown["closed_at"]) == (1, 300, None)
    assert (shown["responses"][0]["turnout_s"], shown["responses"][0]["travel_s"]) == (60, 190)


async def test_the_same_call_again_is_the_same_and_another_one_of_its_number_a_conflict(fire: Fire):
    first = await record(fire)
    assert (await record(fire)).json() == first.json()
    other = await record(fire, kind="medical")
    assert (other.status_code, other.json()["detail"]) == (
        409,
        "This call is already recorded with another kind. If that was wrong, correct it by POST /responses?correct=true.",
    )
    assert len(fire.events()) == 1


async def test_a_known_moment_changes_only_by_a_correction(fire: Fire):
    await record(fire)
    path = "/calls/430300:1/responses"
    await fire.client.post(path, json=report(en_route_at=110), headers=fire.headers())
    refused = await fire.client.post(path, json=report(en_route_at=120), headers=fire.headers())
    assert (refused.status_code, refused.json()["pointer"]) == (409, "/en_route_at")
    corrected = await fire.client.post(path, params={"correct": True}, json=report(en_route_at=120), headers=fire.headers())
    assert corrected.json()["responses"][0]["turnout_s"] == 70


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"area": "4399"}, 422),
        ({"received_at": "2999-01-01T00:00:00Z"}, 422),
        ({"received_at": 5}, 422),
        ({"kind": "x"}, 422),
        ({"caller_phone": "110"}, 422),
        ({"lon": 1}, 422),
    ],
)
async def test_a_call_that_cannot_be_is_refused_and_not_told(fire: Fire, values: dict[str, Any], status: int):
    assert (await record(fire, **values)).status_code == status
    assert fire.rows("calls") == []
    assert fire.events() == []


async def test_calls_outside_the_areas_of_a_token_do_not_exist_for_it(fire: Fire):
    await record(fire)
    changsha = fire.headers(areas=["4301"])
    assert (await fire.client.get("/calls/430300:1", headers=changsha)).status_code == 404
    assert (await fire.client.post("/calls/430300:1/responses", json=report(), headers=changsha)).status_code == 404
    assert (await fire.client.post("/calls", json=call("2"), headers=changsha)).status_code == 422


async def test_responses_are_held_against_the_standards_among_the_calls_that_the_caller_sees(fire: Fire):
    await fire.load(
        response("1", start=OLD),  # handled in 50 s, turnout 60, travel 190, from dispatch 250
        response("2", start=OLD, dispatched_at=70, en_route_at=200, on_scene_at=600),
        response("2", "E2", start=OLD, dispatched_at=70, en_route_at=140, on_scene_at=700),
        response("3", start=OLD, kind="medical", unit_kind="medic"),
    )
    window = {"from": OLD.isoformat(), "until": NOW.isoformat()}

    async def figures(query: dict[str, str] | None = None, **claims: Any) -> dict[str, tuple[int, int, bool | None]]:
        answer = await fire.client.get("/response-times", params=window | (query or {}), headers=fire.headers(**claims))
        return {row["code"]: (row["counted"], row["within"], row["met"]) for row in answer.json()}

    assert await figures() == {
        "nfpa-1225-processing": (3, 2, False),
        "nfpa-1710-turnout-fire": (3, 2, False),
        "nfpa-1710-turnout-ems": (1, 1, True),
        "nfpa-1710-first-engine": (2, 1, False),
        "nfpa-1710-full-assignment": (0, 0, None),
        "jianbiao-152": (2, 1, None),
    }
    assert {counted for counted, _, _ in (await figures(areas=["4301"])).values()} == {0}
    await fire.client.put("/stations", json=[{"code": "ST", "area": "430304"}], headers=fire.headers())
    await fire.client.put("/units", json=[{"code": "E2", "kind": "engine", "station": "ST"}], headers=fire.headers())
    assert (await figures({"station": "ST"}))["nfpa-1710-first-engine"] == (1, 0, False), "only call 2, to which E2 came"
    assert (await figures({"area": "4303"}))["nfpa-1710-first-engine"] == (2, 1, False)
    assert (await figures({"area": "430302"}))["nfpa-1710-first-engine"] == (0, 0, None)


async def test_a_window_that_ends_before_it_begins_is_refused(fire: Fire):
    backwards = {"from": NOW.isoformat(), "until": OLD.isoformat()}
    assert (await fire.client.get("/response-times", params=backwards, headers=fire.headers())).status_code == 400
