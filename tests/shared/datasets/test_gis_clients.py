"""Tools that know nothing of us: GDAL's OAPIF driver and OWSLib open a service as it is."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from typing import Any

import pytest
from owslib.ogcapi.features import Features

from shared.service import create_app
from shared.testing import serving
from tests.city import City
from tests.shared.datasets.conftest import ORDERS, OUTLINES, POSTS, REPORTS
from tests.shared.datasets.watch import DDL, SERVICE

EARLY = "INSERT INTO reports (id, kind, seen_at, area, recorded_by) SELECT 'a' || n, 'early', '2026-10-01Z', '43', 'test' FROM generate_series(1, 30) n"


@pytest.fixture(scope="module")
async def address(city: City) -> AsyncIterator[str]:
    """A service on a real port; the first thirty rows have null for most numbers."""
    settings = city.settings(SERVICE, ddl=DDL)
    for statement in (POSTS, REPORTS, OUTLINES, ORDERS, EARLY):
        city.sql(settings, statement, role="app")
    async with serving(create_app(SERVICE, settings)) as client:
        yield str(client.base_url).rstrip("/")


async def ogrinfo(city: City, *arguments: str) -> str:
    """What ogrinfo prints; it must not complain."""
    if shutil.which("ogrinfo") is None:
        pytest.skip("needs ogrinfo (Debian: gdal-bin)")
    environment = {**os.environ, "GDAL_HTTP_HEADERS": f"Authorization: Bearer {city.token('watch', scope='hub:query')}", "no_proxy": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec("ogrinfo", "-ro", *arguments, stdout=PIPE, stderr=STDOUT, env=environment)
    told = (await process.communicate())[0].decode()
    assert process.returncode == 0
    assert "ERROR" not in told, told
    return told


async def test_gdal_lists_the_collections_that_exist_for_the_caller(city: City, address: str) -> None:
    told = await ogrinfo(city, f"OAPIF:{address}")
    assert "watch.reports (title: Reports)" in told
    assert "watch.outlines" in told
    assert "watch.orders" not in told


async def test_gdal_takes_types_from_the_schema_even_where_the_first_rows_are_null(city: City, address: str) -> None:
    told = await ogrinfo(city, "-so", f"OAPIF:{address}", "watch.reports")
    assert {"level: Integer (0.0)", "height: Real (0.0)", "urgent: Integer(Boolean) (0.0)", "seen_at: DateTime (0.0)", "day: Date (0.0)"} <= set(
        told.split("\n")
    )


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), 35),
        (("-where", "level > 2"), 3),
        (("-where", "height < 0"), 1),
        (("-where", "kind = 'flood'"), 1),
        (("-where", "seen_at >= '2026/11/03 00:00:00'"), 2),
        (("-spat", "112", "27", "113", "28"), 2),
        (("-oo", "PAGE_SIZE=2"), 35),
    ],
)
async def test_gdal_finds_what_it_asks_for(city: City, address: str, arguments: tuple[str, ...], found: int) -> None:
    told = await ogrinfo(city, f"OAPIF:{address}", "watch.reports", *arguments)
    assert told.count("OGRFeature(watch.reports)") == found


async def test_owslib_reads_collections_schemas_and_rows(city: City, address: str) -> None:
    headers = city.headers("watch", scope="hub:query")

    def read() -> tuple[list[str], dict[str, Any], dict[str, Any], dict[str, Any]]:
        service = Features(address, headers=headers)
        found = service.collection_items("watch.reports", bbox=[112, 27, 113, 28], limit=1, filter="kind = 'flood'", sortby=("level", "desc"))
        return service.feature_collections(), service.collection_queryables("watch.reports"), found, service.api()

    collections, queryables, found, api = await asyncio.to_thread(read)
    assert collections == ["watch.reports", "watch.outlines"]
    assert queryables["properties"]["level"]["type"] == "integer"
    assert [feature["id"] for feature in found["features"]] == ["r1"]
    assert api["openapi"] == "3.0.3"
