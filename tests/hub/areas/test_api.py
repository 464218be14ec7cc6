"""The area table at the hub, and the copies that services keep of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.hub.app import service as hub
from shared.service import Service, create_app
from shared.testing import running, serving
from shared.vocabulary import Text
from tests.city import City

ROOTS = [
    {"code": "cn", "name_zh": "中国"},
    {"code": "43", "name_zh": "湖南省"},
    {"code": "4303", "name_zh": "湘潭市", "name_en": "Xiangtan"},
]
YUHU = {
    "code": "430302",
    "name_zh": "雨湖区",
    "geometry": {"type": "Polygon", "coordinates": [[[112.8, 27.8], [112.9, 27.8], [112.9, 27.9], [112.8, 27.9], [112.8, 27.8]]]},
}
ZONE = {"code": "430371", "name_zh": "湘潭高新区", "kind": "functional"}


class Loader:
    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers

    async def __call__(self, *rows: Any, **query: Any) -> dict[str, Any]:
        answer = await self.client.put("/areas", json=list(rows), params=query, headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def all(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/areas", params={"geometry": True})).json()
        return {area["code"]: area for area in found["areas"]}


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    return answer["taken"], answer["corrected"], answer["duplicates"], answer["rejected"]


@pytest.fixture
async def load(city: City) -> AsyncIterator[Loader]:
    async with running(create_app(hub, city.settings("hub"))) as client:
        yield Loader(client, city.headers("hub", scope="hub:admin"))


async def test_areas_are_taken_with_their_ancestors_and_parents_may_follow_in_the_batch(load: Loader):
    assert counts(await load(YUHU, ZONE, *reversed(ROOTS))) == (5, 0, 0, 0)
    areas = await load.all()
    assert [areas["430302"][level] for level in ("nation", "province", "city", "district", "town")] == ["cn", "43", "4303", "430302", None]
    assert areas["430302"]["bbox"] == [112.8, 27.8, 112.9, 27.9]
    assert areas["430371"]["geometry"] is None
    assert areas["430371"]["kind"] == "functional"


async def test_the_same_again_is_a_duplicate_and_another_value_a_conflict_until_it_corrects(load: Loader):
    await load(*ROOTS, YUHU)
    assert counts(await load(YUHU, {"code": "4303", "name_zh": "湘潭市"})) == (0, 0, 2, 0)
    other = {"code": "430302", "name_zh": "雨湖"}
    refused = await load(other)
    assert counts(refused) == (0, 0, 0, 1)
    assert refused["errors"][0]["code"] == "conflict"
    assert counts(await load(other, correct=True)) == (0, 1, 0, 0)
    area = (await load.all())["430302"]
    assert (area["name_zh"], area["bbox"]) == ("雨湖", [112.8, 27.8, 112.9, 27.9])  # what was not stated stayed


async def test_what_was_not_recorded_is_added_without_a_correction(load: Loader):
    await load(*ROOTS, {"code": "430302", "name_zh": "雨湖区"})
    assert counts(await load(YUHU | {"name_en": "Yuhu"})) == (0, 1, 0, 0)
    assert counts(await load(YUHU)) == (0, 0, 1, 0)
    refused = await load({"code": "430302", "name_en": None})
    assert (counts(refused), (await load.all())["430302"]["name_en"]) == ((0, 0, 0, 1), "Yuhu")


async def test_a_correction_leaves_the_former_version_in_history(load: Loader, city: City):
    await load(*ROOTS)
    await load({"code": "4303", "name_zh": "湘潭"}, correct=True)
    settings = load.client._transport.app.state.runtime.settings  # type: ignore[attr-defined]
    assert [row["name_zh"] for row in city.sql(settings, "SELECT name_zh FROM areas_history WHERE code = '4303'")] == ["湘潭市"]


async def test_unsound_rows_are_named_and_the_others_taken(load: Loader):
    answer = await load(
        *ROOTS,
        {"code": "430301", "name_zh": ""},
        {"code": "440101", "name_zh": "无上级"},
        {"code": "us-06075", "name_en": "San Francisco"},
        {"code": "430302", "name_zh": "雨湖区", "geometry": {"type": "Point", "coordinates": [1, 1]}},
        {"code": "430304", "name_zh": "岳塘区"},
        {"code": "430304", "name_zh": "岳塘"},
        {"code": "430381", "name_zh": "湘乡市", "surprise": 1},
        {"code": "430382", "name_zh": "韶山市"},
    )
    assert counts(answer) == (4, 0, 0, 7)
    assert {error["row"]: error["code"] for error in answer["errors"]} == {
        3: "string-too-short",
        4: "unknown-parent",
        5: "level",
        6: "geometry",
        7: "contradictory",
        8: "contradictory",
        9: "extra-forbidden",
    }


async def test_an_area_that_holds_others_keeps_its_place(load: Loader):
    await load(*ROOTS, {"code": "44", "name_zh": "广东省"})
    answer = await load({"code": "43", "parent": None}, correct=True)
    assert answer["errors"][0]["code"] == "has-children"


async def test_pages_go_by_code_and_an_unchanged_table_is_not_sent_again(load: Loader):
    await load(*ROOTS, YUHU, ZONE)
    first = await load.client.get("/areas", params={"limit": 3})
    second = await load.client.get("/areas", params={"limit": 3, "after": first.json()["next"]})
    assert [area["code"] for page in (first, second) for area in page.json()["areas"]] == ["43", "4303", "430302", "430371", "cn"]
    assert second.json()["next"] is None
    assert (await load.client.get("/areas", headers={"If-None-Match": first.headers["etag"]})).status_code == 304
    await load({"code": "44", "name_zh": "广东省"})
    assert (await load.client.get("/areas", headers={"If-None-Match": first.headers["etag"]})).status_code == 200


async def test_only_what_changed_since_a_version_is_listed_if_it_was_one(load: Loader):
    await load(*ROOTS)
    version = (await load.client.get("/areas")).json()["version"]
    await load(YUHU)
    changed = (await load.client.get("/areas", params={"since": version})).json()
    assert ([area["code"] for area in changed["areas"]], changed["since"]) == (["430302"], version)
    for other in ("3-660dc9858aa7c", "0-0", "nonsense", "1-zz"):
        everything = (await load.client.get("/areas", params={"since": other})).json()
        assert (len(everything["areas"]), everything["since"]) == (4, None)


async def test_only_areas_that_held_on_a_day_are_listed_if_one_is_given(load: Loader):
    await load(*ROOTS, {"code": "4302", "name_zh": "株洲市"})
    await load({"code": "430221", "name_zh": "株洲县", "valid_to": "2018-10-01"}, {"code": "430212", "name_zh": "渌口区", "valid_from": "2018-10-01"})
    listed = {
        day: [area["code"] for area in (await load.client.get("/areas", params={"parent": "4302", "at": day})).json()["areas"]]
        for day in ("2018-09-30", "2018-10-01")
    }
    assert listed == {"2018-09-30": ["430221"], "2018-10-01": ["430212"]}


async def test_areas_are_a_dataset_with_polygons_for_whoever_may_ask(load: Loader, city: City):
    await load(*ROOTS, YUHU)
    items = "/collections/hub.areas/items"
    analyst = city.headers("hub", scope="hub:query", areas=["43"])
    found = (await load.client.get(items, params={"bbox": "112.85,27.85,113,28"}, headers=analyst)).json()["features"]
    assert [(each["id"], each["properties"]["city"], each["geometry"]["type"]) for each in found] == [("430302", "4303", "Polygon")]
    named = (await load.client.get(items, params={"filter": "level = 'city'"}, headers=analyst)).json()["features"]
    assert [each["properties"]["name_en"] for each in named] == ["Xiangtan"]


@pytest.mark.parametrize("body", [b"{}", b"[", b"[1]", b'[{"code": "A"}]', b'[{"code": "43\\u0000"}]', b"\xff", b"[" * 5000])
async def test_a_broken_body_is_a_problem_or_a_rejected_row_and_never_a_failure(load: Loader, body: bytes):
    answer = await load.client.put("/areas", content=body, headers={**load.headers, "Content-Type": "application/json"})
    assert answer.status_code == 422 or answer.json()["rejected"] == 1


async def test_loading_needs_the_scope_and_reading_needs_nothing(load: Loader, city: City):
    assert (await load.client.put("/areas", json=[])).status_code == 401
    assert (await load.client.put("/areas", json=[], headers=city.headers("hub", scope="hub:query"))).status_code == 403
    assert (await load.client.get("/areas/4303")).status_code == 404
    await load(*ROOTS)
    assert (await load.client.get("/areas/4303")).json()["name_en"] == "Xiangtan"


TOY = Service(name="food", title=Text("食品", "Food"), routers=[], metadata=hub.metadata.__class__())


async def test_a_service_follows_the_master_and_outlives_it(city: City):
    toy_settings = city.settings(TOY)
    async with serving(create_app(hub, city.settings("hub"))) as master:
        load = Loader(master, city.headers("hub", scope="hub:admin"))
        await load(*ROOTS, ZONE)
        settings = toy_settings.model_copy(update={"hub_url": str(master.base_url).rstrip("/")})
        app = create_app(TOY, settings)
        async with running(app):
            areas = app.state.runtime.areas
            await areas.refresh()
            assert await areas.known(["4303", "430371", "430302"]) == {"4303", "430371"}
            assert await areas.locate([(112.85, 27.85)]) == [None]
            await load(YUHU)
            areas._quiet_until = 0.0
            assert await areas.known(["430302"]) == {"430302"}  # unknown, so the hub was asked at once
            assert await areas.locate([(112.85, 27.85), (1, 1)], ["4303", None]) == ["430302", None]
            assert await areas.refresh() is False
            city.sql(settings, "SELECT 1")
    app = create_app(TOY, settings)  # the hub is gone now
    async with running(app):
        areas = app.state.runtime.areas
        assert await areas.known(["430302", "4399"]) == {"430302"}
        assert await areas.locate([(112.85, 27.85)]) == ["430302"]


async def test_loads_that_run_side_by_side_all_see_the_areas_that_have_just_come(city: City):
    toy_settings = city.settings(TOY)
    async with serving(create_app(hub, city.settings("hub"))) as master:
        app = create_app(TOY, toy_settings.model_copy(update={"hub_url": str(master.base_url).rstrip("/")}))
        async with running(app):
            areas = app.state.runtime.areas
            await areas.refresh()
            await Loader(master, city.headers("hub", scope="hub:admin"))(*ROOTS, YUHU)
            found = await asyncio.gather(*(areas.locate([(112.85, 27.85), (1, 1)]) for _ in range(8)))
            assert found == [["430302", None]] * 8
            assert await asyncio.gather(*(areas.known(["430302"]) for _ in range(8))) == [{"430302"}] * 8


async def test_unknown_codes_do_not_make_a_service_ask_the_hub_each_time(city: City):
    app = create_app(hub, city.settings("hub"))  # the master asks its own database
    async with running(app):
        areas = app.state.runtime.areas
        await areas.known(["9999"])
        rounds = areas._rounds
        for _ in range(5):
            assert await areas.known(["9999"]) == set()
        assert areas._rounds == rounds
