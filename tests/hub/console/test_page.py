"""What the hub answers at `/` and around it: a page for browsers, the OGC landing page for all others."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import shapely

from services.hub.app import service
from services.hub.console.outlines import MOST_VERTICES, UNIT_DEG, simplified
from shared.service import create_app
from shared.testing import running
from tests.city import City

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture(scope="module")
async def client(city: City) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(service, city.settings("hub"))) as found:
        yield found


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html;q=0.5", "application/geo+json, */*;q=0.1", "x"])
async def test_tools_are_given_the_landing_page_as_ever(client: httpx.AsyncClient, accept: str | None) -> None:
    answer = await client.get("/", headers={"Accept": accept or ""})
    assert answer.status_code == 200
    assert {link["rel"] for link in answer.json()["links"]} >= {"self", "service-desc", "conformance", "data"}
    assert "Accept" in answer.headers["vary"]


async def test_f_decides_before_the_accept_header_does(client: httpx.AsyncClient) -> None:
    assert (await client.get("/?f=json", headers={"Accept": CHROMIUM})).json()["links"]
    assert (await client.get("/?f=html")).headers["content-type"].startswith("text/html")
    assert (await client.get("/?f=xml", headers={"Accept": CHROMIUM})).status_code == 406
    assert (await client.post("/", headers={"Accept": CHROMIUM})).status_code == 405


async def test_a_browser_is_given_a_page_that_loads_its_own_files_only_and_keeps_them(client: httpx.AsyncClient) -> None:
    page = await client.get("/", headers={"Accept": CHROMIUM})
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
    assert page.headers["cache-control"] == "no-cache"
    assert not re.search(r"https?://|\son\w+=|style=", page.text), "nothing from elsewhere, nothing inline"
    addresses = set(re.findall(r'(?:src|href)="(console/[^"]+)"', page.text))
    assert len(addresses) > 10
    total = len(gzip.compress(page.content))
    for address in addresses:
        file = await client.get(f"/{address}")
        assert file.status_code == 200, address
        assert "immutable" in file.headers["cache-control"]
        assert (await client.get(f"/{address}", headers={"If-None-Match": file.headers["etag"]})).status_code == 304
        packed = await client.get(f"/{address}", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip" and packed.content == file.content
        total += int(packed.headers["content-length"])
    assert total < 60_000, "a page is small: map and overview must fit into 150 KB with it"
    old = re.sub(r"console/\w+/", "console/0000000000000000/", min(addresses))
    assert (await client.get(f"/{old}")).status_code == 404


def squares(side: int, corners: int) -> Iterator[tuple[str, shapely.Geometry]]:
    """Areas side by side that share wavy borders of many corners."""
    for column in range(side):
        for row in range(side):
            box = shapely.box(112 + column / 10, 27 + row / 10, 112.1 + column / 10, 27.1 + row / 10)
            yield f"{430300 + column * side + row}", shapely.segmentize(box, 0.4 / corners)


def test_polygons_become_few_whole_numbers_and_neighbours_still_share_their_borders() -> None:
    shapes = dict(squares(8, 1000))
    assert sum(shapely.get_num_coordinates(list(shapes.values()))) > 60_000
    rings = simplified({code: {"type": "Polygon", "coordinates": [list(shape.exterior.coords)]} for code, shape in shapes.items()})
    assert rings.keys() == shapes.keys()
    assert sum(len(coded) for each in rings.values() for coded in each) // 2 <= MOST_VERTICES
    drawn = {code: shapely.Polygon(decoded(each[0])) for code, each in rings.items()}
    assert all(shapely.symmetric_difference(drawn[code], shapes[code]).area < 1e-6 for code in shapes)
    assert shapely.union_all(list(drawn.values())).area == pytest.approx(sum(shape.area for shape in drawn.values()), rel=1e-9)
    assert simplified({}) == {}


def decoded(coded: list[int]) -> list[tuple[float, float]]:
    x = y = 0
    points = []
    for dx, dy in zip(coded[::2], coded[1::2], strict=True):
        x, y = x + dx, y + dy
        points.append((x * UNIT_DEG, y * UNIT_DEG))
    return points
