"""Calls become incidents, and incidents follow what their units report."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fire.incidents.domain import JOIN_WITHIN, JOIN_WITHIN_M, Assigned, Held, Reported, held_at, joins, nearest, progress
from shared.events.worksafety import ReleaseConcluded
from tests.city import City
from tests.fire.conftest import call
from tests.fire.neighbours import SITE, Dispatching, dispatching, outline, release

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def said(kind: str = "structure_fire", seconds: float = 0, east_m: float = 0, reference: tuple[str, str] | None = None) -> Reported:
    return Reported(kind, START + timedelta(seconds=seconds), 112.9 + east_m / 98_400, 27.8, reference)


@pytest.mark.parametrize(
    ("other", "joined"),
    [
        (said("smoke_investigation", 300, 250), True),
        (said("structure_fire", JOIN_WITHIN.total_seconds()), True),
        (said("structure_fire", JOIN_WITHIN.total_seconds() + 1), False),
        (said("structure_fire", 0, JOIN_WITHIN_M + 20), False),
        (said("medical"), False),
        (Reported("structure_fire", START, None, None), False),
    ],
)
def test_a_call_joins_an_incident_alike_in_kind_time_and_place(other: Reported, joined: bool):
    assert (joins(other, said()) is not None) is joined
    assert joins(other, said()) == joins(said(), other), "the rule does not care who came first"


def test_the_registrys_own_number_decides_before_time_and_place():
    first = said("structure_fire", 0, 0, ("sffd", "7"))
    assert joins(said("medical", 9000, 5000, ("sffd", "7")), first) == 0
    assert joins(said("structure_fire", 0, 0, ("sffd", "8")), first) is None
    assert joins(said("structure_fire", 0, 0, ("other", "8")), first) == 0


def test_of_several_incidents_the_nearest_is_joined():
    assert nearest(said(east_m=100), [("far", said(east_m=0)), ("near", said(east_m=150)), ("other", said("medical"))]) == "near"
    assert nearest(said(), []) is None


moments = st.none() | st.integers(0, 10_000).map(lambda seconds: START + timedelta(seconds=seconds))


@given(st.lists(st.tuples(moments, moments, st.booleans()), max_size=6), st.booleans())
def test_an_incident_closes_only_when_every_unit_is_free_and_nothing_holds_it_open(units: list[tuple[Any, Any, bool]], held: bool):
    assigned = [Assigned(START, on_scene, released, first) for on_scene, released, first in units]
    found = progress(START, assigned, held_open=held)
    assert (found.closed_at is not None) == (bool(units) and not held and all(released for _, released, _ in units))
    assert (found.state == "closed") == (found.closed_at is not None)
    assert found.on_scene_at == min((one for one, _, _ in units if one), default=None)
    assert found.assembled_at is None or all(one and one <= found.assembled_at for one, _, first in units if first)


def test_a_report_belongs_to_the_assignment_that_was_in_force():
    held = [Held("A", START), Held("B", START + timedelta(hours=1))]
    assert held_at(held, START - timedelta(seconds=1)) == (None, START)
    assert held_at(held, START + timedelta(minutes=30)) == (held[0], held[1].assigned_at)
    assert held_at(held, START + timedelta(hours=2)) == (held[1], None)


@pytest.fixture
async def fire(city: City) -> AsyncIterator[Dispatching]:
    async with dispatching(city) as found:
        yield found


async def record(fire: Dispatching, number: str, **values: Any) -> None:
    place: dict[str, Any] = {"lon": SITE[0], "lat": SITE[1], "crs": "wgs84", "received_at": datetime.now(UTC).isoformat()}
    answer = await fire.client.post("/calls", json=call(number, **(place | values)), headers=fire.headers())
    assert answer.status_code == 201, answer.text


async def test_calls_about_one_event_are_one_incident_even_at_the_same_moment(fire: Dispatching):
    await asyncio.gather(*(record(fire, str(number), lon=SITE[0] + number / 1e4) for number in range(5)))
    await record(fire, "far", lon=SITE[0] + 0.05)
    await record(fire, "routine", priority="routine")
    await record(fire, "1", lon=SITE[0] + 1 / 1e4, received_at=fire.rows("calls")[1]["received_at"].isoformat())
    assert sorted(row["calls"] for row in fire.rows("incidents")) == [1, 5]
    assert len(fire.events("incidents/")) == 2
    (many,) = [row for row in fire.rows("incidents") if row["calls"] == 5]
    assert len((await fire.incident(many["id"]))["calls"]) == 5
    elsewhere = fire.headers(areas=["4301"])
    assert (await fire.client.get(f"/incidents/{many['id']}", headers=elsewhere)).status_code == 404
    assert (await fire.client.post(f"/incidents/{many['id']}/close", headers=elsewhere)).status_code == 404
    closed = await fire.client.post(f"/incidents/{many['id']}/close", headers=fire.headers())
    assert closed.json()["state"] == "closed"
    assert (await fire.client.post(f"/incidents/{many['id']}/dispatch", json={}, headers=fire.headers())).status_code == 409
    await record(fire, "later")
    assert len(fire.rows("incidents")) == 3, "a closed incident is not joined"


async def test_units_reports_in_any_order_write_the_response_times_and_close_the_incident(fire: Dispatching):
    await fire.units(("E1", "engine", 0.01, ""))
    await record(fire, "1", kind="outside_fire")
    (row,) = fire.rows("incidents")
    await fire.client.post(f"/incidents/{row['id']}/dispatch", json={}, headers=fire.headers())
    await fire.until(1)
    sent = fire.rows("responses")[0]["dispatched_at"]
    fire.city.sql(fire.settings, "UPDATE calls SET received_at = received_at - interval '1 hour'")
    fire.city.sql(fire.settings, "UPDATE incidents SET opened_at = opened_at - interval '1 hour'")
    back = timedelta(minutes=50)  # as if it had been sent fifty minutes ago, so that the reports lie in the past
    for table, column in (("assignments", "assigned_at"), ("responses", "dispatched_at"), ("unit_status", "state_at"), ("unit_reports", "at")):
        fire.city.sql(fire.settings, f"UPDATE {table} SET {column} = {column} - interval '50 minutes'")
    reports = [(60, "en_route"), (300, "on_scene"), (1200, "returning"), (1500, "in_quarters")]
    random.Random(5).shuffle(reports)
    assert reports[-1][1] != "in_quarters"
    for seconds, state in reports:
        await fire.state("E1", state, sent - back + timedelta(seconds=seconds))
    (response,) = fire.rows("responses")
    assert (response["turnout_s"], response["travel_s"], response["quality"]) == (60, 240, 1)
    found = await fire.incident(row["id"])
    assert (found["state"], found["assembly_s"], found["units"][0]["released_at"] is not None) == ("closed", pytest.approx(300, abs=1), True)
    unit = (await fire.client.get("/units/E1", headers=fire.headers())).json()
    assert (unit["state"], unit["incident"]) == ("in_quarters", None)
    window = {"from": (sent - timedelta(hours=3)).isoformat(), "until": datetime.now(UTC).isoformat()}
    standards = {each["code"]: each for each in (await fire.client.get("/response-times", params=window, headers=fire.headers())).json()}
    assert (standards["nfpa-1710-full-assignment"]["counted"], standards["nfpa-1710-full-assignment"]["met"]) == (1, True)
    kinds = [each["t"] for each in fire.city.sql(fire.settings, "SELECT envelope->>'type' AS t FROM outbox ORDER BY position")]
    assert kinds.count("fire.incident.closed.v1") == 1


async def test_an_incident_stays_open_while_the_release_goes_on_and_closes_with_it(fire: Dispatching):
    await fire.units(("E1", "engine", 0.01, ""))
    await fire.hear(release("R1"), outline("R1"))
    (message,) = await fire.until(1)
    await fire.state("E1", "returning", datetime.now(UTC))
    assert (await fire.incident(message["incident"]))["closed_at"] is None
    await fire.hear(ReleaseConcluded(release="R1", site="S1", ended_at=datetime.now(UTC), regarding="releases/R1"))
    assert (await fire.incident(message["incident"]))["state"] == "closed"


async def test_a_release_that_is_over_before_anybody_was_sent_sends_nobody(fire: Dispatching):
    await fire.units(("E1", "engine", 0.01, ""))
    over = ReleaseConcluded(release="R1", site="S1", ended_at=datetime.now(UTC), regarding="releases/R1")
    await fire.hear(release("R1"), over)
    await fire.until(0)
    (row,) = fire.rows("incidents")
    assert (row["state"], row["units"], fire.rows("calls"), fire.messages()) == ("closed", 0, [], [])


async def test_a_release_joins_the_incident_that_calls_opened_and_each_release_has_its_own(fire: Dispatching):
    await record(fire, "1", kind="odor_investigation")
    await fire.hear(release("R1"), release("R2"))
    await fire.until(2)
    found = sorted((row["release"], row["calls"], row["regarding"]) for row in fire.rows("incidents"))
    assert found == [("R1", 1, "releases/R1"), ("R2", 0, "releases/R2")]


async def test_an_outline_may_overtake_its_release(fire: Dispatching):
    await fire.units(("E1", "engine", 0.01, ""))
    await fire.hear(outline("R1"))
    await fire.hear(release("R1"))
    (message,) = await fire.until(1)
    assert message["content"]["outline"]["revision"] == 1
