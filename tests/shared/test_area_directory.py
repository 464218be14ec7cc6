"""A service's copy of the areas while a newer table is on its way, and with a hub that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import httpx
import pytest

from shared.area_copy import AreaCopy
from shared.area_directory import AreaDirectory
from shared.database import new_metadata
from shared.errors import Unavailable
from shared.service import Service, create_app
from shared.testing import running
from shared.vocabulary import Text
from tests.city import City

TOY = Service(name="food", title=Text("食品", "Food"), routers=[], metadata=new_metadata())


class Hasty(AreaDirectory):
    patience_s: ClassVar[float] = 0.3
    pause_s: ClassVar[float] = 0.02


class Hub:
    """Sends a table of two pages, the second when it is let go; another version with each page while it changes; nothing at all if it is silent."""

    def __init__(self) -> None:
        self.go, self.silent, self.changing, self.pages = asyncio.Event(), False, False, 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.silent:
            await asyncio.sleep(5)
        version = f"{self.pages}-1" if self.changing else "7-7"
        if request.url.params.get("since") == version:
            return httpx.Response(304)
        self.pages += 1
        if "after" not in request.url.params:
            return httpx.Response(200, json={"version": version, "since": None, "areas": [area("43", "province")], "next": "43"})
        await self.go.wait()
        return httpx.Response(200, json={"version": version, "since": None, "areas": [area("4303", "city", province="43")], "next": None})


def area(code: str, level: str, **above: str) -> dict[str, Any]:
    levels = dict.fromkeys(("nation", "province", "city", "district", "town", "community"))
    names = {"name_zh": code, "name_en": None, "kind": "administrative", "valid_from": None, "valid_to": None, "geometry": None, "bbox": None}
    return {"code": code, "level": level, "parent": above.get("province"), **names, **levels, level: code, **above}


@pytest.fixture
async def copy(city: City, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Hub, AreaDirectory]]:
    hub = Hub()
    app = create_app(TOY, city.settings(TOY))
    async with running(app), httpx.AsyncClient(transport=httpx.MockTransport(hub)) as http:
        runtime = app.state.runtime
        yield hub, Hasty(runtime.reader, AreaCopy(runtime.engine, http, "http://hub", tmp_path_factory.mktemp("cache")))


@asynccontextmanager
async def keeping(areas: AreaDirectory) -> AsyncIterator[None]:
    task = asyncio.create_task(areas.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_called_unknown_while_a_newer_table_is_arriving(copy: tuple[Hub, AreaDirectory]):
    hub, areas = copy
    async with keeping(areas):
        for _ in range(2):
            with pytest.raises(Unavailable, match="just being copied"):
                await areas.known(["4303"])
        with pytest.raises(Unavailable):
            await areas.locate([(1, 1)])
        hub.go.set()
        assert await areas.known(["4303", "9999"]) == {"4303"}
    assert hub.pages == 2


async def test_nothing_is_called_unknown_while_the_table_changes_faster_than_it_can_be_read(copy: tuple[Hub, AreaDirectory]):
    hub, areas = copy
    hub.changing = True
    hub.go.set()
    async with keeping(areas):
        with pytest.raises(Unavailable):
            await areas.known(["4303"])
        hub.changing = False
        assert await areas.known(["4303"]) == {"4303"}


async def test_a_hub_that_does_not_answer_changes_nothing_and_is_not_waited_for_each_time(copy: tuple[Hub, AreaDirectory]):
    hub, areas = copy
    hub.silent = True
    async with keeping(areas), asyncio.timeout(2):
        for _ in range(20):
            assert await areas.known(["4303"]) == set()
            assert await areas.locate([(1, 1)]) == [None]


async def test_a_hub_that_breaks_off_while_it_sends_changes_nothing(copy: tuple[Hub, AreaDirectory]):
    hub, areas = copy
    async with keeping(areas):
        with pytest.raises(Unavailable):
            await areas.known(["4303"])
    async with keeping(areas):
        hub.silent = True
        assert await areas.known(["4303"]) == set()
