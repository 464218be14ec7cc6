"""A service's copy of the areas while a newer table is on its way, and with a hub that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest

from shared.area_directory import AreaDirectory
from shared.database import new_metadata
from shared.errors import Unavailable
from shared.service import Service, create_app
from shared.testing import running
from shared.vocabulary import Text
from tests.city import City

TOY = Service(name="food", title=Text("食品", "Food"), routers=[], metadata=new_metadata())


class Hasty(AreaDirectory):
    patience_s: ClassVar[float] = 0.2


class Hub:
    """Sends two pages: the first at once, the second when it is let go; nothing at all if it is silent."""

    def __init__(self) -> None:
        self.go, self.silent, self.asked = asyncio.Event(), False, 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.silent:
            await asyncio.sleep(5)
        if "after" not in request.url.params:
            return httpx.Response(200, json={"version": "7", "areas": [area("43", "province")], "next": "43"})
        await self.go.wait()
        return httpx.Response(200, json={"version": "7", "areas": [area("4303", "city", province="43")], "next": None})


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
        yield hub, Hasty(runtime.engine, runtime.reader, http, "http://hub", tmp_path_factory.mktemp("cache"))


async def test_nothing_is_called_unknown_while_a_newer_table_is_arriving(copy: tuple[Hub, AreaDirectory]):
    hub, areas = copy
    for _ in range(2):
        with pytest.raises(Unavailable, match="just being copied"):
            await areas.known(["4303"])
    with pytest.raises(Unavailable):
        await areas.locate([(1, 1)])
    hub.go.set()
    assert await areas.known(["4303", "9999"]) == {"4303"}
    assert hub.asked == 2


async def test_a_hub_that_does_not_answer_changes_nothing(copy: tuple[Hub, AreaDirectory]):
    hub, areas = copy
    hub.silent = True
    assert await areas.known(["4303"]) == set()
    assert await areas.locate([(1, 1)]) == [None]
