"""What the hub says of its sources' datasets: the same as they say themselves, cut to the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation, readings

OWN = {"hub.areas", "hub.incidents", "hub.tasks", "hub.warnings"}


@pytest.fixture(scope="module")
async def made(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": calls("f", 5), "harbour": calls("p", 5), "air": readings(5)}) as found:
        yield found


async def both(made: Federation, path: str, **claims: Any) -> tuple[Any, Any]:
    """The hub's answer and the sector's to the same path, addresses made alike."""
    claims.setdefault("clearance", {"grade": "important", "personal": "none"})
    at_hub = await made.client.get(path, headers=made.city.headers("hub", scope="hub:query", **claims))
    sector = made.source("430300/brigade").url
    async with httpx.AsyncClient(trust_env=False) as client:
        token = made.city.headers("brigade", scope="hub:query", actor="430300/hub", **claims)
        at_sector = await client.get(sector + path, headers=token)
    assert at_hub.status_code == at_sector.status_code == 200, at_hub.text + at_sector.text
    assert at_hub.headers["content-type"] == at_sector.headers["content-type"]
    return at_hub.json(), httpx.Response(200, text=at_sector.text.replace(sector, str(made.client.base_url).rstrip("/"))).json()


@pytest.mark.parametrize("personal", ["none", "personal"])
@pytest.mark.parametrize("path", ["", "/schema", "/queryables", "/schema/feature"])
async def test_a_collection_is_described_as_its_source_describes_it(made: Federation, path: str, personal: str) -> None:
    hub, sector = await both(made, f"/collections/fire.calls{path}", clearance={"grade": "important", "personal": personal})
    if path == "":
        assert hub.pop("sources") == ["430300/brigade", "430300/harbour"]
    assert hub == sector
    assert ("phone" in str(hub)) == (personal == "personal" and path != "")


async def test_the_collections_are_the_union_and_each_speaks_the_callers_language(made: Federation) -> None:
    headers = made.headers()
    english = (await made.client.get("/collections", headers=headers)).json()["collections"]
    chinese = (await made.client.get("/collections", headers={**headers, "Accept-Language": "zh-CN"})).json()["collections"]
    assert [(one["id"], one["title"]) for one in english if one["id"] not in OWN] == [("air.readings", "Air"), ("fire.calls", "Calls for service")]
    assert {one["id"]: one["title"] for one in chinese}["fire.calls"] == "接警记录"
    assert {one["id"] for one in english} > OWN


async def test_scopes_decide_which_collections_exist(made: Federation) -> None:
    for scope, expected in (("fire:read", {"fire.calls"}), ("air:read", {"air.readings"}), ("food:read", set())):
        headers = made.headers(scope=scope)
        found = (await made.client.get("/collections", headers=headers)).json()["collections"]
        assert {one["id"] for one in found} == expected
        assert (await made.client.get("/collections/fire.calls", headers=headers)).status_code == (200 if "fire.calls" in expected else 404)
    assert (await made.client.get("/collections/nothing", headers=made.headers())).status_code == 404
    assert (await made.client.get("/collections")).status_code == 401


async def test_capabilities_name_all_datasets_with_versions_for_those_who_see_everything(made: Federation) -> None:
    everything: dict[str, Any] = {"clearance": {"grade": "important", "personal": "sensitive"}}
    found = (await made.client.get("/capabilities", headers=made.headers(**everything))).json()
    assert (found["service"], found["city"], found["contract"]) == ("hub", "430300", "1")
    by_id = {dataset["id"]: dataset for dataset in found["datasets"]}
    assert set(by_id) == {"air.readings", "fire.calls", *OWN}
    assert by_id["fire.calls"]["version"].count(".") == 1, "one part for each source"
    assert by_id["fire.calls"]["as_of"].endswith("Z")
    narrow = (await made.client.get("/capabilities", headers=made.headers(areas=["430302"]))).json()
    assert "version" not in next(dataset for dataset in narrow["datasets"] if dataset["id"] == "fire.calls")


async def test_the_catalogue_lists_everything_as_dcat(made: Federation) -> None:
    answer = await made.client.get("/catalog", headers=made.headers())
    assert answer.headers["content-type"] == "application/ld+json"
    assert {dataset["dct:identifier"] for dataset in answer.json()["dcat:dataset"]} == {"air.readings", "fire.calls", *OWN}


async def test_the_landing_page_and_the_description_of_the_interface_are_public(made: Federation) -> None:
    assert (await made.client.get("/")).status_code == 200
    assert (await made.client.get("/conformance")).status_code == 200
    paths = (await made.client.get("/api")).json()["paths"]
    assert {"/aggregate", "/collections/{collection}/items", "/oauth/token", "/sources", "/sign-in"} <= set(paths)
    assert "coverage" in paths["/aggregate"]["post"]["responses"]["502"]["description"]
