"""Incidents as officers and sectors handle them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from tests.city import City
from tests.hub.desk import OPENED, Desk, desk_of, log, others


@pytest.fixture(scope="module")
async def desk(city: City) -> AsyncIterator[Desk]:
    async with desk_of(city) as made:
        yield made


async def test_an_officer_opens_an_incident_and_the_grade_is_by_rule(desk: Desk) -> None:
    made = await desk.open(about="releases/A1")
    assert (made["grade"], made["grade_basis"], made["state"], made["revision"], made["tasks"]) == (4, "provisional", "open", 1, [])
    assert made["regarding"] == ["releases/A1"]
    again = await desk.send("POST", "/incidents", OPENED | {"about": "releases/A1"})
    assert (again.status_code, again.json()["pointer"]) == (409, "/about")
    answer = await desk.send("GET", f"/incidents/{made['id']}")
    assert answer.headers["etag"] == '"1"'


async def test_the_same_opening_sent_again_opens_once(desk: Desk) -> None:
    first, second = [await desk.done("POST", "/incidents", OPENED, key="once-1") for _ in range(2)]
    assert first == second


async def test_figures_and_officers_change_the_grade_and_every_grade_is_kept(desk: Desk) -> None:
    made = await desk.open()
    path = f"/incidents/{made['id']}"
    known = await desk.done("PATCH", path, {"revision": 1, "deaths": 3})
    assert (known["grade"], known["grade_basis"], known["revision"]) == (3, "decree-493", 2)
    stale = await desk.send("PATCH", path, {"revision": 1, "deaths": 30})
    assert (stale.status_code, stale.json()["pointer"]) == (409, "/revision")
    officers = await desk.done("POST", f"{path}/grade", {"revision": 2, "grade": 2, "reason": "舆情"})
    more = await desk.done("PATCH", path, {"revision": 3, "deaths": 40})
    assert (officers["grade"], more["grade"], more["grade_basis"]) == (2, 2, "officer")
    back = await desk.done("POST", f"{path}/grade", {"revision": 4, "grade": None, "reason": "rules again"})
    assert (back["grade"], back["grade_basis"]) == (1, "decree-493")
    kept = desk.city.sql(desk.settings, "SELECT grade FROM incidents_history WHERE id = $1 ORDER BY revision", made["id"])
    assert [row["grade"] for row in kept] == [4, 3, 2, 2]
    told = desk.city.sql(desk.settings, "SELECT envelope ->> 'incidentgrade' AS g FROM outbox WHERE subject = $1 ORDER BY sequence", f"incidents/{made['id']}")
    assert [row["g"] for row in told] == ["IV", "III", "II", "I"]


async def test_one_of_two_changes_at_once_wins(desk: Desk) -> None:
    made = await desk.open()
    changes = (desk.send("PATCH", f"/incidents/{made['id']}", {"revision": 1, "deaths": number}) for number in range(2))
    assert sorted(answer.status_code for answer in await asyncio.gather(*changes)) == [200, 409]


async def test_the_response_level_is_a_scale_of_its_own(desk: Desk) -> None:
    made = await desk.open()
    path = f"/incidents/{made['id']}/response"
    set_ = await desk.done("POST", path, {"revision": 1, "level": 2, "authority": "市人民政府", "reason": "预案启动"})
    assert (set_["response_level"], set_["response_authority"], set_["grade"]) == (2, "市人民政府", 4)
    ended = await desk.done("POST", path, {"revision": 2, "level": None, "authority": "市人民政府", "reason": "终止"})
    assert ended["response_level"] is None
    told = desk.city.sql(
        desk.settings, "SELECT envelope ->> 'responselevel' AS l FROM outbox WHERE envelope ->> 'type' = 'hub.response.set.v1' ORDER BY sequence"
    )
    assert [row["l"] for row in told] == ["II", None]
    assert [item["text"] for item in await desk.items(made["id"]) if item["kind"] == "response"] == ["II, 市人民政府: 预案启动", "—, 市人民政府: 终止"]


async def test_tasks_are_answered_by_their_sector_alone(desk: Desk) -> None:
    made = await desk.open()
    task = await desk.done(
        "POST", f"/incidents/{made['id']}/tasks", {"sector": "traffic", "what_zh": "封路", "what_en": "Close the road", "due_at": "2026-01-01T00:00:00Z"}
    )
    assert task["overdue"] and task["state"] == "assigned"
    path = f"/tasks/{task['id']}/answer"
    assert (await desk.send("POST", path, {"state": "done"}, scope="hub:command")).status_code == 403
    assert (await desk.send("POST", path, {"state": "done"}, scope="fire:write")).status_code == 404
    assert (await desk.send("POST", path, {"state": "done"}, scope="traffic:write", areas=["4301"])).status_code == 404
    assert (await desk.send("POST", path, {"state": "declined"}, scope="traffic:write")).status_code == 422
    assert [one["id"] for one in await desk.done("GET", "/tasks?sector=traffic", scope="traffic:read")] == [task["id"]]
    assert (await desk.send("GET", "/tasks?sector=traffic", scope="fire:read")).status_code == 403
    for state in ("acknowledged", "acknowledged", "done", "done"):
        assert (await desk.done("POST", path, {"state": state}, scope="traffic:write"))["state"] == state
    late = await desk.send("POST", path, {"state": "declined", "note": "no"}, scope="traffic:write")
    assert late.status_code == 409
    told = desk.city.sql(
        desk.settings, "SELECT envelope -> 'data' ->> 'state' AS s FROM outbox WHERE envelope ->> 'type' = 'hub.task.answered.v1' ORDER BY sequence"
    )
    assert [row["s"] for row in told] == ["acknowledged", "done"]
    assert (await desk.send("POST", f"/incidents/{made['id']}/tasks", {"sector": "nobody", "what_zh": "x", "what_en": "x"})).status_code == 422


async def test_an_incident_closes_when_its_tasks_have_ended_and_opens_again_with_a_reason(desk: Desk) -> None:
    made = await desk.open()
    path = f"/incidents/{made['id']}"
    task = await desk.done("POST", f"{path}/tasks", {"sector": "fire", "what_zh": "灭火", "what_en": "Put it out"})
    closing = {"revision": 1, "summary": "火已扑灭"}
    assert (await desk.send("POST", f"{path}/close", closing)).status_code == 409
    await desk.done("POST", f"/tasks/{task['id']}/waive", {"reason": "not needed"})
    closed = await desk.done("POST", f"{path}/close", closing)
    assert (closed["state"], closed["summary"], closed["tasks"][0]["state"]) == ("closed", "火已扑灭", "waived")
    for method, where, body in (
        ("POST", "close", closing | {"revision": 2}),
        ("POST", "entries", {"text": "x"}),
        ("POST", "tasks", {"sector": "fire", "what_zh": "x", "what_en": "x"}),
    ):
        assert (await desk.send(method, f"{path}/{where}", body)).status_code == 409
    opened = await desk.done("POST", f"{path}/reopen", {"revision": 2, "reason": "复燃"})
    assert (opened["state"], opened["revision"]) == ("open", 3)
    assert [item["kind"] for item in await desk.items(made["id"])] == ["waived", "closed", "reopened"]


async def test_the_timeline_is_events_and_entries_in_order_page_by_page(desk: Desk) -> None:
    made = await desk.open(about="releases/T1")
    coverage = {"complete": False, "sources": [{"source": "430300/env", "status": "timeout"}]}
    at = {}
    await log(desk, "430304", "releases/T1")
    await desk.done("POST", f"/incidents/{made['id']}/entries", {"kind": "decision", "text": "疏散\n两千人", "coverage": coverage})
    at["between"] = datetime.now(UTC).isoformat()
    await log(desk, "430102", f"incidents/{made['id']}")
    await log(desk, "430304", "releases/other")
    by_hand = await log(desk, "430304", None)
    await desk.done("PUT", f"/incidents/{made['id']}/events", {"position": by_hand})
    await desk.done("PUT", f"/incidents/{made['id']}/events", {"position": by_hand})
    items = await desk.items(made["id"])
    assert [item["kind"] for item in items] == ["event", "decision", "event", "event"]
    assert items[1]["coverage"] == coverage and items[1]["by"] == "client:test"
    assert [item["kind"] for item in await desk.items(made["id"], known_at=at["between"])] == ["event", "decision"]
    assert len(await desk.items(made["id"], areas=["4303"])) == 3
    paged, after = [], None
    while True:
        query = httpx.QueryParams({"limit": 1} | ({"after": after} if after else {}))
        page = await desk.done("GET", f"/incidents/{made['id']}/timeline?{query}")
        paged += page["items"]
        if (after := page["next"]) is None:
            break
    assert others(paged) == items
    assert (await desk.send("PUT", f"/incidents/{made['id']}/events", {"position": 10**9})).status_code == 404


async def test_what_lies_outside_the_areas_does_not_exist(desk: Desk) -> None:
    made = await desk.open()
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/timeline", None),
        ("PATCH", "", {"revision": 1}),
        ("POST", "/close", {"revision": 1, "summary": "x"}),
        ("POST", "/tasks", {"sector": "fire", "what_zh": "x", "what_en": "x"}),
    ):
        assert (await desk.send(method, f"/incidents/{made['id']}{path}", body, areas=["4301"])).status_code == 404
    refused = await desk.send("POST", "/incidents", OPENED, areas=["4301"])
    assert refused.status_code == 422
    assert (await desk.send("POST", "/incidents", OPENED, scope="hub:query")).status_code == 403


async def test_incidents_and_tasks_are_datasets(desk: Desk) -> None:
    for name in ("hub.incidents", "hub.tasks"):
        rows = await desk.done("GET", f"/collections/{name}/items?limit=1000", scope="hub:query")
        assert rows["numberReturned"] > 0
        assert (await desk.done("GET", f"/collections/{name}/items", scope="hub:query", areas=["4301"]))["numberReturned"] == 0
    counted = await desk.done("GET", "/collections/hub.incidents/aggregate?measure=n:count&by=grade", scope="hub:query")
    assert sum(row[1] for row in counted["rows"]) >= 8
