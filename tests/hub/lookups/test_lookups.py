"""A service's own question is asked through the hub: with the asker's rights, bounded, and honest about failure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Query

from shared.auth import Caller, may
from shared.database import new_metadata
from shared.errors import NotFound
from shared.service import Lookup, Service, create_app
from shared.testing import serving
from shared.vocabulary import Text
from tests.city import City
from tests.hub.federation.sectors import Federation, federation

router = APIRouter()


@router.get("/whereabouts")
async def whereabouts(caller: Annotated[Caller, may("scouts:read", "hub:query")], x: Annotated[int, Query(ge=0)], tag: Annotated[list[str], Query()]) -> Any:
    if x == 404:
        raise NotFound("Nobody is there.", pointer="/x")
    return {"areas": caller.areas, "actor": caller.actor, "audience": caller.audience, "x": x, "tag": tag}


SCOUTS = Service(
    name="scouts",
    title=Text("侦察", "Scouts"),
    routers=[router],
    metadata=new_metadata(),
    lookups=[
        Lookup(id="scouts.whereabouts", path="/whereabouts", title=Text("何处", "Whereabouts")),
        Lookup(id="fire.stolen", path="/whereabouts", title=Text("冒名", "In another's name")),
    ],
)


@pytest.fixture(scope="module")
async def asked(city: City) -> AsyncIterator[Federation]:
    async with serving(create_app(SCOUTS, city.settings(SCOUTS))) as scouts, federation(city, {}, {"430300/scouts": str(scouts.base_url)}) as found:
        yield found


async def test_the_service_answers_within_the_rights_of_the_asker(asked: Federation) -> None:
    answer = await asked.client.get("/lookups/scouts.whereabouts?x=3&tag=a&tag=b&deadline_ms=5000", headers=asked.headers(areas=["430302"]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"] == {"areas": ["430302"], "actor": "430300/hub", "audience": "430300/scouts", "x": 3, "tag": ["a", "b"]}
    coverage = answer.json()["coverage"]
    assert (coverage["complete"], coverage["limited"], coverage["sources"][0]["source"]) == (True, True, "430300/scouts")


async def test_the_hub_lists_what_the_caller_may_ask_and_no_lookup_in_anothers_name(asked: Federation) -> None:
    listed = await asked.client.get("/lookups", headers=asked.headers())
    assert [(each["id"], each["source"]) for each in listed.json()] == [("scouts.whereabouts", "430300/scouts")]
    assert (await asked.client.get("/lookups", headers=asked.headers(scope="food:read"))).json() == []
    refused = await asked.client.get("/lookups/scouts.whereabouts?x=1&tag=a", headers=asked.headers(scope="food:read"))
    assert refused.status_code == 404
    assert (await asked.client.get("/lookups/fire.stolen?x=1&tag=a", headers=asked.headers())).status_code == 404


@pytest.mark.parametrize(("query", "status", "pointer"), [("x=404&tag=a", 404, "/x"), ("x=-1&tag=a", 400, "/x"), ("tag=a", 400, "/x")])
async def test_what_the_service_refuses_is_passed_on(asked: Federation, query: str, status: int, pointer: str) -> None:
    answer = await asked.client.get(f"/lookups/scouts.whereabouts?{query}", headers=asked.headers())
    assert (answer.status_code, answer.json()["pointer"]) == (status, pointer), answer.text


async def test_a_service_that_is_away_is_named(city: City, tmp_path: Path) -> None:
    async with federation(city, {}) as found:
        async with serving(create_app(SCOUTS, city.settings(SCOUTS))) as scouts:
            headers = found.headers(scope="hub:query hub:admin")
            added = await found.client.post("/sources", json={"name": "430300/scouts", "url": str(scouts.base_url)}, headers=headers)
            assert added.status_code == 201
            await found.meet()
        answer = await found.client.get("/lookups/scouts.whereabouts?x=1&tag=a", headers=found.headers())
        assert answer.status_code == 502
        assert answer.json()["coverage"]["sources"][0]["status"] == "error"
