"""A city that is served, and one real Chromium to look at its first page."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from ops.services import declared
from services.hub.catalog import heartbeat
from shared.service import create_app
from shared.testing import serving
from tests.browser import scene
from tests.city import City
from tests.services import Served, served

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
PICTURES = os.environ.get("LIANDONG_PICTURES")
"""Where to write the pictures of the README; only then a leak is shown, too, for which more services are needed."""
NAMES = ("hub", "fire", "env")
WATCH = """
    window.shifts = 0;
    window.seen = {};
    const moved = (list) => { for (const entry of list.getEntries()) window.shifts += entry.value; };
    new PerformanceObserver(moved).observe({ type: "layout-shift", buffered: true });
    const look = () => {
        const rows = document.querySelectorAll("#events li[data-position]");
        if (!window.firstView && rows.length && document.querySelector(".cell:not(.none)")) window.firstView = performance.now();
        for (const row of rows) window.seen[row.dataset.position] ??= Date.now();
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""
"""Notes when the first view is whole, when each event is first there, and how much moves by itself."""


class Looked:
    """The city, and pages that look at it."""

    def __init__(self, city: Served, browser: Browser) -> None:
        self.city, self.browser = city, browser
        self.faults: list[str] = []

    @property
    def url(self) -> str:
        return self.city.url("hub") + "/"

    @asynccontextmanager
    async def page(
        self, *, token: str | None = "", life_s: float = 900, locale: str = "zh-CN", width: int = 1440, height: int = 900, **options: Any
    ) -> AsyncIterator[Page]:
        """A new browser window, signed in unless `token` is None; faults of scripts and the content policy are collected."""
        context: BrowserContext = await self.browser.new_context(viewport={"width": width, "height": height}, locale=locale, **options)
        try:
            await context.add_init_script(WATCH)
            if token is not None:
                given = token or self.token(life_s)
                session = {"token": given, "ends": (time.time() + life_s) * 1000, "life": life_s, "name": "duty"}
                await context.add_init_script(f"if (!sessionStorage.length) sessionStorage.setItem('liandong.session', {json.dumps(json.dumps(session))})")
            page = await context.new_page()
            page.on("pageerror", lambda error: self.faults.append(str(error)))
            page.on("console", lambda message: self.faults.append(message.text) if "Content Security Policy" in message.text else None)
            yield page
        finally:
            await context.close()

    def token(self, life_s: float = 900, **claims: Any) -> str:
        text = self.city.headers("hub", "hub:query hub:events", subject="client:duty", lifetime_s=life_s, **claims)["Authorization"]
        return text.removeprefix("Bearer ")

    async def restart(self, name: str) -> None:
        """A service that was stopped, at its old address."""
        port = self.city.clients[name].base_url.port or 0
        self.city.apps[name] = create_app(declared(name), self.city.settings[name])
        self.city.running[name] = stack = AsyncExitStack()
        self.city.clients[name] = await stack.enter_async_context(serving(self.city.apps[name], port))


@pytest.fixture(scope="module")
async def looked(city: City, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Looked]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium (Debian: apt install chromium), which is not on this machine")
    names = (*NAMES, "food", "worksafety", "traffic") if PICTURES else NAMES
    patch = pytest.MonkeyPatch()
    patch.setattr(heartbeat, "EVERY_S", 0.5)  # a dead sector is noticed sooner, so that the tests wait less
    async with served(city, tmp_path_factory.mktemp("browser"), names) as found, async_playwright() as playwright:
        await scene.furnish(found, cells=PICTURES is not None)  # the README shows the map of the demo city
        expect.set_options(timeout=20_000)
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        made = Looked(found, browser)
        yield made
        await browser.close()
        for stack in found.running.values():
            await stack.aclose()
    patch.undo()
