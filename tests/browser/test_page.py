"""The hub's first page in a real browser: fast, true, and still there when something else is not."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from shared.events.catalogue import EVENTS
from tests.browser import scene
from tests.browser.conftest import PICTURES, Looked
from tests.browser.pictures import shrink
from tests.leak import leaking_city
from tests.services import Served, until

FIRST_VIEW_MS, BYTES, EVENT_S = 1000, 150_000, 1.0
PATIENCE_MS = 40_000
"""How long a busy machine may take until what must come true has come true."""
PERSON = {"name": "li.na", "password": "correct horse battery", "scopes": ["hub:query", "hub:events"], "areas": ["*"], "purposes": ["operations"]}
FIRST = ("hub", "food", "traffic", "fire", "env", "worksafety", "intercity")
SIZES = "performance.getEntries().filter((e) => e.transferSize).reduce((sum, e) => sum + e.transferSize, 0)"


@pytest.fixture(autouse=True)
def _no_faults(looked: Looked) -> Iterator[None]:
    looked.faults.clear()
    yield
    assert looked.faults == [], "scripts ran without a fault and within the content policy"


async def whole(page: Page, url: str) -> None:
    """Until the first view is whole and the stream is open."""
    await page.goto(url)
    await until_true(page, "!!window.firstView")
    await expect(page.locator("#connection")).to_have_class("chip good", timeout=PATIENCE_MS)


async def until_true(page: Page, expression: str) -> None:
    """Ask until it is so. Playwright's own way evaluates text within the page, which the content policy forbids."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not await page.evaluate(expression):
        assert time.monotonic() < end, expression
        await asyncio.sleep(0.02)


async def test_the_first_view_comes_within_a_second_in_few_bytes_from_the_hub_alone_and_nothing_jumps(looked: Looked) -> None:
    asked: list[str] = []
    views: list[float] = []
    sizes: list[int] = []
    while len(views) < 3 or (min(views) >= FIRST_VIEW_MS and len(views) < 10):  # a busy machine gets more tries
        async with looked.page() as page:
            page.on("request", lambda request: asked.append(request.url))
            await whole(page, looked.url)
            views.append(await page.evaluate("window.firstView"))
            sizes.append(await page.evaluate(SIZES))
            assert await page.evaluate("window.shifts") < 0.02
    assert min(views) < FIRST_VIEW_MS, views
    assert 0 < max(sizes) < BYTES
    assert {url for url in asked if not url.startswith(looked.url)} == set()


async def test_an_event_is_on_the_page_within_a_second_of_its_commit_and_the_figures_follow(looked: Looked) -> None:
    async with looked.page() as page:
        await whole(page, looked.url)
        calls = page.locator('.tile[data-id="calls"] b')
        before, latencies = int(await calls.inner_text()), list[float]()
        while (number := len(latencies)) < 3 or (statistics.median(latencies[-3:]) >= EVENT_S and number < 12):  # a busy machine gets more tries
            seen = set(await page.evaluate("Object.keys(window.seen)"))
            sent = time.time()
            await scene.call(looked.city, f"event-{number}", area="430302003")
            await until_true(page, f"Object.keys(window.seen).length > {len(seen)}")
            times = await page.evaluate("window.seen")
            latencies.append(min(at for position, at in times.items() if position not in seen) / 1000 - sent)
        assert statistics.median(latencies[-3:]) < EVENT_S, latencies
        await expect(page.locator("#events li").filter(has_text="接警：建筑火灾").first).to_contain_text("雨湖区 云塘街道")
        await expect(calls).to_have_text(re.compile(rf"^{before + len(latencies)}\b"), timeout=PATIENCE_MS)


async def test_without_a_sign_in_the_areas_are_there_and_nothing_else(looked: Looked) -> None:
    async with looked.page(token=None) as page:
        await page.goto(looked.url)
        await expect(page.locator(".cell").first).to_be_visible()
        assert await page.locator(".cell").count() == sum(len(scene.towns_of(district)) for district in scene.BUSY)
        await expect(page.locator("#sign-in")).to_be_visible()
        await expect(page.locator("#strip")).to_contain_text("登录后显示")
        assert await page.locator("#events li[data-position]").count() == 0
        await page.fill("#name", "duty")
        await page.fill("#password", "not the secret")
        await page.check("input[value=client]")
        await page.click("button.main")
        await expect(page.locator("#fault")).to_contain_text("不正确")
        await page.fill("#password", looked.city.accounts["duty"]["secret"])
        await page.click("button.main")
        await expect(page.locator("#sign-in")).to_be_hidden()
        await expect(page.locator("#events li[data-position]").first).to_be_visible()
        kept = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
        assert looked.city.accounts["duty"]["secret"] not in kept


async def test_an_expired_sign_in_is_asked_for_again_and_loses_neither_the_view_nor_an_event(looked: Looked) -> None:
    await looked.city.send("POST", "hub", "/users", PERSON, scope="hub:admin")
    async with looked.page(token=None) as page:
        await page.goto(looked.url)
        await sign_in(page)
        await expect(page.locator("#connection")).to_have_class("chip good")
        before = await page.locator("#events li[data-position]").count()
        tokens = looked.city.apps["hub"].state.runtime.tokens
        await looked.city.clients["hub"].post("/oauth/revoke", data={"subject": "user:li.na"}, headers=looked.city.headers("hub", "hub:admin"))
        await tokens.refresh()
        await scene.call(looked.city, "while-away", area="430382200", kind="water_rescue")
        await expect(page.locator("#sign-in-why")).to_contain_text("登录已过期", timeout=PATIENCE_MS)
        await expect(page.locator("#strip")).to_contain_text("登录已过期。画面停留在")
        assert await page.locator("#events li[data-position]").count() == before
        await sign_in(page)
        await expect(page.locator("#events li").filter(has_text="接警：水域救援")).to_have_count(1, timeout=PATIENCE_MS)
        await expect(page.locator("#strip")).to_contain_text("所问来源全部答复", timeout=PATIENCE_MS)


async def sign_in(page: Page) -> None:
    await page.fill("#name", str(PERSON["name"]))
    await page.fill("#password", str(PERSON["password"]))
    await page.click("button.main")
    await expect(page.locator("#sign-in")).to_be_hidden()


async def test_a_token_is_renewed_before_it_ends_and_the_stream_goes_on(looked: Looked) -> None:
    async with looked.page(life_s=4) as page:
        async with page.expect_response(lambda answer: answer.url.endswith("/me/token")) as renewed:
            await whole(page, looked.url)
        assert (await renewed.value).status == 200
        await asyncio.sleep(1.5)  # the first token has ended by now, and the stream with it
        await scene.call(looked.city, "after-renewal", area="430321100", kind="explosion")
        await expect(page.locator("#events li").filter(has_text="接警：爆炸")).to_have_count(1)
        await expect(page.locator("#sign-in")).to_be_hidden()


async def test_a_sector_that_is_down_is_named_and_nothing_is_called_complete_until_it_is_back(looked: Looked) -> None:
    async with looked.page(locale="en-GB") as page:
        await whole(page, looked.url)
        await expect(page.locator("#complete")).to_have_text("Complete")
        await looked.city.stop("env")
        strip = page.locator("#strip")
        await expect(strip).to_contain_text("incomplete. Missing: Environment", timeout=PATIENCE_MS)
        await expect(page.locator("#complete")).to_have_class("chip warn")
        await expect(page.locator('[data-source="430300/env"]')).to_have_class("bad")
        await expect(page.locator('.tile[data-id="pm25"]')).to_contain_text("Missing", timeout=PATIENCE_MS)
        await expect(page.locator('.tile[data-id="calls"] b')).to_have_text(re.compile(r"\d"))
        await looked.restart("env")
        await expect(page.locator("#complete")).to_have_text("Complete", timeout=PATIENCE_MS)


async def test_a_lost_hub_is_said_the_view_stays_and_everything_is_there_when_it_is_back(looked: Looked) -> None:
    async with looked.page() as page:
        await whole(page, looked.url)
        before = await page.locator("#events li[data-position]").count()
        await looked.city.stop("hub")
        await expect(page.locator("#strip")).to_contain_text("与枢纽失去联系。画面停留在", timeout=PATIENCE_MS)
        await expect(page.locator("#connection")).to_have_class("chip bad")
        assert await page.locator("#events li[data-position]").count() == before
        assert await page.locator(".cell.k1").count() > 0
        await scene.call(looked.city, "hub-away", area="430381001", kind="elevator_rescue")
        await looked.restart("hub")
        await expect(page.locator("#events li").filter(has_text="接警：电梯救援")).to_have_count(1, timeout=PATIENCE_MS)
        await looked.city.meet()
        await expect(page.locator("#strip")).to_contain_text("所问来源全部答复", timeout=PATIENCE_MS)


async def test_it_speaks_the_browsers_language_until_told_otherwise_and_has_words_for_every_event(looked: Looked) -> None:
    async with looked.page(locale="en-GB") as page:
        await whole(page, looked.url)
        assert await page.locator("html").get_attribute("lang") == "en"
        await expect(page.locator("#events-title")).to_have_text("Live events")
        await page.click("#language")
        await expect(page.locator("#events-title")).to_have_text("实时事件")
        await page.reload()
        assert await page.locator("html").get_attribute("lang") == "zh-CN"
        await expect(page.locator("#city")).to_have_text("湘潭市")
        script = (await page.locator("script[type=module]").get_attribute("src") or "").replace("app.js", "wording.js")
        words: dict[str, Any] = await page.evaluate(
            f"import('./{script}').then((m) => Object.fromEntries(Object.entries(m.EVENTS).map(([k, v]) => [k, v.length])))"
        )
        kinds = {kind.rpartition(".")[0] for kind in EVENTS}
        assert set(words) <= kinds, "no words for what nobody says"
        assert {kind for kind in kinds if kind.partition(".")[0] in FIRST} <= set(words), (
            "later sectors are described by type and subject until they have words"
        )
        assert set(words.values()) == {2}
        other = {"type": "water.gauge.risen.v2", "subject": "gauges/7", "source": "/430300/water", "data": {}}
        assert await page.evaluate(f"(event) => import('./{script}').then((m) => m.said(event))", other) == "gauge risen · gauges/7"


async def test_an_area_is_chosen_by_mouse_or_keyboard_and_filters_the_rest(looked: Looked) -> None:
    async with looked.page() as page:
        await whole(page, looked.url)
        everything = await page.locator("#events li[data-position]").count()
        await page.click('.cell[data-code="430304001"]')
        await expect(page.locator("#place")).to_contain_text("岳塘区")
        assert 0 < await page.locator("#events li[data-position]").count() < everything
        await expect(page.locator("#table tbody tr").first).to_contain_text("岳塘街道")
        await page.click('.cell[data-code="430304001"]')
        await expect(page.locator("#place")).to_contain_text("岳塘区 岳塘街道")
        await page.keyboard.press("Escape")
        await expect(page.locator("#place")).to_be_empty()
        await page.keyboard.press("ArrowRight")
        focused = await page.evaluate("document.activeElement.dataset.code")
        assert focused not in (None, "430304001")
        await page.keyboard.press("Enter")
        await expect(page.locator("#place button")).to_be_visible()
        await page.click('.tile[data-id="pm25"]')
        await expect(page.locator("#legend")).to_contain_text("μg/m³")


async def test_areas_with_polygons_are_a_map_and_those_without_stand_beside_it(looked: Looked) -> None:
    box = [[11290000, 2780000, 10000, 0, 0, 10000, -10000, 0]]
    east = [[11300000, 2780000, 10000, 0, 0, 10000, -10000, 0]]
    area = {"level": "district", "functional": False, "en": None}
    areas = [{"code": "430302", "district": "430302", "zh": "雨湖区", "rings": box}, {"code": "430304", "district": "430304", "zh": "岳塘区", "rings": east}]
    areas += [{"code": "430371", "district": "430371", "zh": "高新区"}]
    drawn = {"city": "430300", "code": "4303", "name": {"zh": "湘潭市", "en": None}, "timezone": "Asia/Shanghai", "unit": 1e-5, "version": "1-a"}
    async with looked.page() as page:
        await page.route("**/map", lambda route: route.fulfill(json={**drawn, "areas": [area | each for each in areas]}))
        await whole(page, looked.url)
        assert await page.locator(".cell").count() == 3
        await expect(page.locator("#map-note")).to_contain_text("方块")
        west_box, east_box = [await page.locator(f'.cell[data-code="{code}"]').bounding_box() for code in ("430302", "430304")]
        assert west_box and east_box and abs(west_box["x"] + west_box["width"] - east_box["x"]) < 6, "neighbours touch"
        await page.click('.cell[data-code="430371"]')
        await expect(page.locator("#place")).to_contain_text("高新区")


async def test_it_fits_wide_and_narrow_and_pictures_of_it_are_taken(looked: Looked, tmp_path: Path) -> None:
    if PICTURES:
        await show_a_leak(looked)
    shots = [("zh-CN", 1440, 900, "console.zh-CN.png"), ("en-GB", 1440, 900, "console.png")] if PICTURES else [("zh-CN", 1440, 900, "")]
    for locale, width, height, name in (*shots, ("en-GB", 390, 844, "")):
        async with looked.page(locale=locale, width=width, height=height) as page:
            await whole(page, looked.url)
            if PICTURES:
                await expect(page.locator("#complete")).to_have_class("chip good", timeout=PATIENCE_MS)
            picture = tmp_path / f"{width}-{locale}.png"
            await page.screenshot(path=picture)
            assert picture.stat().st_size > 20_000
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if PICTURES and name:
                assert shrink(picture, Path(PICTURES) / name) < 200_000


async def show_a_leak(looked: Looked) -> None:
    """Chlorine escapes: an incident, an outline, closed roads, a warning, and events in every sector."""
    for part in (leaking_city.plant, leaking_city.roads, leaking_city.brigade):
        await part(looked.city)
    await leaking_city.wind(looked.city, from_deg=270, speed=3.0)
    await leaking_city.leak(looked.city)
    await warn(looked.city)
    for number, area in enumerate(("430302003", "430304010", "430381001", "430373002")):
        await scene.call(looked.city, f"picture-{number}", area=area, kind=scene.KINDS[number])
    hub = looked.city.apps["hub"].state.runtime.own
    await until(lambda: hub.live.head > 10, "the leak is not in the log")
    await asyncio.sleep(3)
    await looked.city.meet()


async def warn(city: Served) -> None:
    """A warning that one officer drafts, a second approves, and the first issues."""
    draft = {
        "status": "Actual",
        "level": 2,
        "hazard": "hazardous-release",
        "categories": ["CBRNE"],
        "response_types": ["Shelter"],
        "urgency": "Immediate",
        "certainty": "Observed",
        "event_zh": "氯气泄漏",
        "event_en": "Chlorine release",
        "headline_zh": "下风向居民关闭门窗，留在室内",
        "headline_en": "Downwind: close windows, stay inside",
        "description_zh": "岳塘区氯气泄漏。",
        "description_en": "Chlorine escapes in Yuetang.",
        "areas": ["430304"],
        "area_name_zh": "岳塘区",
        "area_name_en": "Yuetang District",
        "expires": (datetime.now(UTC) + timedelta(hours=6)).isoformat(timespec="seconds"),
    }
    duty, chief = ({"scope": "hub:command hub:query", "subject": f"client:{who}"} for who in ("duty", "commander"))
    made = await city.send("POST", "hub", "/warnings", draft, **duty)
    await city.send("POST", "hub", f"/warnings/{made['id']}/approve", {"revision": made["revision"]}, **chief)
    await city.send(
        "POST",
        "hub",
        f"/warnings/{made['id']}/issue",
        {"revision": made["revision"] + 1, "authority": "市应急管理局", "legal_basis": "《突发事件应对法》第六十四条"},
        **duty,
    )
