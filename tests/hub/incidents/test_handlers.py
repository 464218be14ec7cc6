"""A release becomes an incident by itself, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.city import City
from tests.hub.desk import Desk, desk_of
from tests.hub.events.receiving import append, entry
from tests.shared.events_under_test import eventually

RELEASE = {
    "release": "01JDRELEASE0000000000000001",
    "revision": 1,
    "site": "s1",
    "substance": "7782-50-5",
    "name_zh": "氯",
    "name_en": "chlorine",
    "un": "1017",
    "rate_kg_s": None,
    "amount_kg": None,
    "began_at": "2026-11-22T08:00:00Z",
    "lon": 112.94,
    "lat": 27.83,
}
REGARDING = f"releases/{RELEASE['release']}"


def reported(number: int, **changed: Any) -> dict[str, str]:
    data = RELEASE | changed
    return entry(
        number, "worksafety", "worksafety.release.reported.v1", data=data, area="430304003", regarding=f"releases/{data['release']}", subject="sites/s1"
    )


def concluded(number: int) -> dict[str, str]:
    data = {"release": RELEASE["release"], "site": "s1", "ended_at": "2026-11-22T09:00:00Z"}
    return entry(number, "worksafety", "worksafety.release.concluded.v1", data=data, area="430304003", regarding=REGARDING, subject="sites/s1")


@pytest.fixture
async def desk(city: City) -> AsyncIterator[Desk]:
    async with desk_of(city) as made:
        yield made


def rows(desk: Desk, statement: str) -> list[Any]:
    return list(desk.city.sql(desk.settings, statement))


async def test_a_release_opens_one_incident_with_the_tasks_of_its_plan_and_its_end_only_proposes_closing(desk: Desk) -> None:
    admin, first = desk.city.redis_admin(), reported(0)
    append(admin, first, first, entry(1, "worksafety"), reported(1, revision=2, amount_kg=500.0), first, service="worksafety")
    await eventually(lambda: len(rows(desk, "SELECT FROM event_log WHERE type = 'worksafety.release.reported.v1'")) == 2)
    (row,) = rows(desk, "SELECT * FROM incidents")
    assert (row["kind"], row["title_zh"], row["area"], row["grade"], row["grade_basis"]) == ("release", "氯泄漏", "430304003", 3, "provisional")
    assert {task["sector"] for task in rows(desk, "SELECT sector FROM tasks")} == {"worksafety", "env", "traffic", "fire", "community"}
    assert [item["event"]["data"]["revision"] for item in await desk.items(row["id"])] == [1, 2]
    append(admin, concluded(2), service="worksafety")
    await eventually(lambda: rows(desk, "SELECT FROM incidents WHERE closing_proposed_at IS NOT NULL"))
    shown = await desk.done("GET", f"/incidents/{row['id']}")
    assert (shown["state"], shown["revision"], len(shown["tasks"])) == ("open", 2, 5)
    assert [item["kind"] for item in await desk.items(row["id"])].count("closing_proposed") == 1
    assert not rows(desk, "SELECT FROM dead_letters")


async def test_a_release_that_an_officer_has_taken_up_opens_no_second_incident(desk: Desk) -> None:
    made = await desk.open(kind="other", about=REGARDING)
    append(desk.city.redis_admin(), reported(0), service="worksafety")
    await eventually(lambda: rows(desk, "SELECT FROM event_log WHERE type = 'worksafety.release.reported.v1'"))
    assert [row["id"] for row in rows(desk, "SELECT id FROM incidents")] == [made["id"]]
    assert [item["kind"] for item in await desk.items(made["id"])] == ["event"]
