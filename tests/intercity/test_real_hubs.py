"""A warning from one city's officers to another's hub, through both real hubs and gateways: nothing is put in the place of anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.intercity.cities import NORTH, SOUTH, TwoCities
from tests.services import Served, until

COMMAND = "hub:command"


async def issue(city: Served, status: str) -> dict[str, Any]:
    """Drafted by one officer, approved by another, issued for the other city too."""
    draft = {
        "status": status,
        "areas": ["430102"],
        "level": 1,
        "hazard": "hazardous-release",
        "categories": ["CBRNE"],
        "urgency": "Immediate",
        "certainty": "Observed",
        "event_zh": "氯气泄漏",
        "event_en": "Chlorine release",
        "headline_zh": "氯气泄漏红色预警",
        "headline_en": "Red warning: chlorine",
        "description_zh": "请关闭门窗。",
        "description_en": "Close windows & doors.",
        "area_name_zh": "芙蓉区",
        "area_name_en": "Furong",
        "expires": (datetime.now(UTC) + timedelta(hours=6)).isoformat(),
        "recipients": [SOUTH],
    }
    made = await city.send("POST", "hub", "/warnings", draft, COMMAND, sub="user:duty")
    await city.send("POST", "hub", f"/warnings/{made['id']}/approve", {"revision": 1}, COMMAND, sub="user:chief")
    said = {"revision": 2, "authority": "长沙市人民政府", "legal_basis": "《突发事件应对法》第六十四条"}
    issued: dict[str, Any] = await city.send("POST", "hub", f"/warnings/{made['id']}/issue", said, COMMAND, sub="user:duty")
    return issued


@pytest.mark.parametrize(("status", "mark"), [("Actual", ""), ("Exercise", "【演练】")])
async def test_a_warning_goes_from_hub_to_hub_and_an_exercise_reaches_no_public_channel(cities: TwoCities, status: str, mark: str) -> None:
    north, south = cities.north, cities.south
    areas = [{"code": code, "name_zh": code, **({"level": "nation"} if code == "cn" else {})} for code in ("cn", "43", "4301", "430102")]
    answer = await north.send("PUT", "hub", "/areas", areas, "hub:admin")
    assert answer["rejected"] == 0, answer
    await cities.agree(give={"warnings": True})
    await cities.officer(SOUTH, "PUT", "/warnings/issuers", {"peer": NORTH, "sender": f"{NORTH}/hub", "events": ["*"], "areas": ["4301"]})

    issued = await issue(north, status)
    log = f"SELECT envelope->'data' AS data FROM event_log WHERE type = $1 AND envelope->'data'->>'{{}}' = '{issued['id']}'"
    heard = "SELECT 1 FROM event_log WHERE type = 'intercity.warning.received.v1' AND envelope->'data'->>'identifier' = $1"
    await until(lambda: cities.city.sql(south.settings["hub"], heard, issued["identifier"]), "the other city's hub has not heard")
    told = await south.get("hub", "/warnings/received")
    mine = next(one["event"]["data"] for one in told if one["event"]["data"]["identifier"] == issued["identifier"])
    assert (mine["status"], mine["sender"], mine["headline_zh"]) == (status, f"{NORTH}/hub", f"{mark}氯气泄漏红色预警")
    await until(
        lambda: cities.city.sql(north.settings["hub"], log.format("warning"), "intercity.warning.acknowledged.v1"), "the acknowledgement is not in the log"
    )

    here = await north.clients["hub"].get(f"/warnings/{issued['id']}.xml", headers=north.headers("hub", "hub:query"))
    there = await south.clients["intercity"].get(f"/warnings/received/{NORTH}:{issued['identifier']}.xml", headers=south.headers("intercity", "intercity:read"))
    assert there.content == here.content, "byte for byte, from the hub that issued it"
    feeds = [(await city.clients["hub"].get("/warnings/feed.atom")).text for city in (north, south)]
    assert [issued["id"] in feed for feed in feeds] == [status == "Actual", False], "a peer's warning is on no feed of ours"
    public = await north.clients["hub"].get(f"/warnings/{issued['id']}.xml")
    assert public.status_code == (200 if status == "Actual" else 401)
