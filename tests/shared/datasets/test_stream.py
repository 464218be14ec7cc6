"""Every row in one answer: the same rows, types and rights as page by page, bounded in number, and never whole if broken off."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from shared.service import create_app
from shared.testing import serving
from tests.city import City
from tests.shared.datasets.conftest import Watch, watching
from tests.shared.datasets.watch import DDL, SERVICE

ITEMS = "/collections/watch.reports/items"
OUTLINES = "/collections/watch.outlines/items"


def opened(content: bytes) -> tuple[pa.Table, dict[str, Any], dict[str, Any]]:
    """Rows of an Arrow stream, what it says at its beginning, and at its end."""
    with pa.ipc.open_stream(content) as reader:
        batches, last = [], None
        while True:
            try:
                batch, last = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            batches.append(batch)
        assert last is not None
        table = pa.Table.from_batches(batches, reader.schema.remove_metadata())
        return table, json.loads(reader.schema.metadata[b"liandong"]), json.loads(last[b"liandong"])


async def streamed(watch: Watch, path: str = ITEMS, claims: dict[str, Any] | None = None, **parameters: Any) -> pa.Table:
    answer = await watch.get(path, claims=claims, stream="true", f="arrow", **parameters)
    assert answer.status_code == 200, answer.text
    table, about, end = opened(answer.content)
    assert end["numberReturned"] == table.num_rows
    assert about["dataset"] == path.split("/")[2]
    return table


async def paged(watch: Watch, path: str = ITEMS, claims: dict[str, Any] | None = None, **parameters: Any) -> pa.Table:
    answer = await watch.get(path, claims=claims, f="arrow", **parameters)
    assert answer.status_code == 200, answer.text
    return pa.ipc.open_stream(answer.content).read_all().replace_schema_metadata(None)


PERSONAL = {"scope": "hub:query", "clearance": {"grade": "important", "personal": "sensitive"}}


@pytest.mark.parametrize(
    ("path", "parameters", "claims"),
    [
        (ITEMS, {}, None),
        (ITEMS, {}, PERSONAL),
        (ITEMS, {"sortby": "-height,kind"}, None),
        (ITEMS, {"sortby": "seen_at", "limit": "3"}, None),
        (ITEMS, {"kind": "水"}, None),
        (ITEMS, {"kind": "it's a \\' OR true --"}, None),
        (ITEMS, {"filter": "kind LIKE '%o%' OR kind = '%%s %(x)s :y \\'"}, None),
        (ITEMS, {"bbox": "179,-11,-179,-9"}, None),
        (ITEMS, {"datetime": "2026-11-04T00:00:00.000001Z/", "properties": "seen_at,post_name"}, None),
        (ITEMS, {"properties": "level", "skipGeometry": "true"}, None),
        (ITEMS, {}, {"scope": "hub:query", "areas": ["4303"]}),
        (ITEMS, {"known_at": "2026-01-01T00:00:00Z"}, None),
        (OUTLINES, {}, None),
        (OUTLINES, {"skipGeometry": "true", "properties": "area"}, None),
    ],
)
async def test_a_stream_has_the_rows_and_types_of_the_pages(watch: Watch, path: str, parameters: dict[str, Any], claims: dict[str, Any] | None) -> None:
    found, expected = await streamed(watch, path, claims, **parameters), await paged(watch, path, claims, **parameters)
    assert found.schema == expected.schema
    order = "id" if "id" in found.schema.names else "site"
    assert (found if "sortby" in parameters else found.sort_by(order)) == (expected if "sortby" in parameters else expected.sort_by(order))


@pytest.mark.parametrize("path", [ITEMS, OUTLINES])
async def test_geojson_and_csv_are_those_of_the_pages(watch: Watch, path: str) -> None:
    crs = "http://www.opengis.net/def/crs/EPSG/0/4326"
    page = (await watch.get(path, sortby="area", crs=crs)).json()
    answer = await watch.get(path, stream="true", sortby="area", crs=crs)
    whole = answer.json()
    assert (answer.headers["content-type"], answer.headers["content-crs"]) == ("application/geo+json", f"<{crs}>")
    assert (whole["features"], whole["numberReturned"], whole["type"]) == (page["features"], len(page["features"]), "FeatureCollection")
    assert (await watch.get(path, stream="true", sortby="area", f="csv")).text == (await watch.get(path, sortby="area", f="csv")).text


async def test_a_hub_may_ask_for_features_or_for_fields_alone(watch: Watch) -> None:
    shapes = {}
    for shape in ("features", "fields"):
        answer = await watch.get(ITEMS, headers={"Liandong-Rows": shape}, stream="true", f="arrow", properties="kind,level", sortby="level")
        shapes[shape] = opened(answer.content)[0]
    assert shapes["features"].schema.names == ["_id", "kind", "level", "_lon", "_lat"]
    assert shapes["fields"].schema.names == ["kind", "level"]
    assert shapes["fields"] == shapes["features"].select(["kind", "level"])
    assert (await watch.get(ITEMS, headers={"Liandong-Rows": "all"}, stream="true", f="arrow")).status_code == 400


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"stream": "perhaps"}, "/stream"),
        ({"stream": "true", "token": "x"}, "/token"),
        ({"stream": "true", "resultType": "hits"}, "/resultType"),
        ({"stream": "true", "limit": "0"}, "/limit"),
        ({"stream": "true", "filter": "observer = 'Zhang'"}, "/filter"),
        ({"stream": "true", "filter": "level = 1e999"}, "/filter"),
        ({"stream": "true", "sortby": "observer"}, "/sortby"),
    ],
)
async def test_what_is_wrong_is_said_before_the_first_row(watch: Watch, parameters: dict[str, Any], pointer: str) -> None:
    answer = await watch.get(ITEMS, **parameters)
    assert (answer.status_code, answer.json()["pointer"]) == (400, pointer), answer.text


async def test_an_earlier_moment_is_streamed_as_it_was(city: City) -> None:
    async with watching(city) as watch:
        then = (await watch.get(ITEMS, limit="1")).json()["timeStamp"]
        await asyncio.sleep(0.01)
        watch.sql("DELETE FROM reports WHERE id <> 'r1'")
        assert (await streamed(watch))["id"].to_pylist() == ["r1"]
        assert sorted((await streamed(watch, known_at=then))["id"].to_pylist()) == ["r1", "r2", "r3", "r4", "r5"]


@pytest.fixture(scope="module")
async def large(city: City) -> AsyncIterator[Watch]:
    """Served on a real port: 300,000 reports, two streams at once, little patience."""
    settings = city.settings(SERVICE, ddl=DDL, streams_at_once=2, stream_idle_s=1.5)
    city.sql(
        settings,
        "INSERT INTO reports (id, kind, level, height, seen_at, area, lon, lat, recorded_by) SELECT 'r' || n, 'kind ' || n % 9, n % 7, n / 8.0, "
        "'2026-11-01Z'::timestamptz + n * interval '1 s', '430302', 112.9, 27.8, 'test' FROM generate_series(1, 300000) n",
        role="app",
    )
    app = create_app(SERVICE, settings)
    async with serving(app) as client:
        yield Watch(city, settings, app, client)


def running_streams(watch: Watch) -> int:
    counted: int = watch.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '% streams' AND datname = current_database()", role="owner")[0][
        0
    ]
    return counted


async def none_left(watch: Watch, patience_s: float = 5) -> None:
    end = asyncio.get_running_loop().time() + patience_s
    bulk = watch.app.state.runtime.bulk
    while (count := running_streams(watch), bulk.free) != (0, 2) and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.05)
    assert (count, bulk.free) == (0, 2), "a stream holds on to its connection"


async def test_a_stream_holds_a_connection_only_while_its_client_reads(large: Watch) -> None:
    for _ in range(3):
        async with large.client.stream("GET", ITEMS, params={"stream": "true", "f": "arrow"}, headers=large.headers()) as answer:
            await anext(answer.aiter_raw())
    await none_left(large)


async def test_no_more_streams_than_may_be_and_pages_beside_them(large: Watch) -> None:
    parameters: dict[str, Any] = {"stream": "true", "f": "arrow"}
    async with (
        large.client.stream("GET", ITEMS, params=parameters, headers=large.headers()) as first,
        large.client.stream("GET", ITEMS, params=parameters, headers=large.headers()) as second,
    ):
        await anext(first.aiter_raw())
        await anext(second.aiter_raw())
        refused = await large.get(ITEMS, **parameters)
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-requests")
        assert int(refused.headers["retry-after"]) > 0
        assert (await large.get(ITEMS, limit="1")).status_code == 200
    await none_left(large)
    assert len((await large.get(ITEMS, **parameters, limit="7")).content) > 0


@pytest.mark.parametrize("form", ["arrow", "csv", "geojson"])
async def test_a_client_that_stops_reading_loses_its_stream_and_sees_that_it_is_not_whole(large: Watch, form: str) -> None:
    async with large.client.stream("GET", ITEMS, params={"stream": "true", "f": form}, headers=large.headers()) as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        await none_left(large)
        with pytest.raises(httpx.RemoteProtocolError):
            [_ async for _ in pieces]


async def test_a_stream_is_made_while_it_is_read(large: Watch) -> None:
    """CSV of all rows: counted by its lines, in the order of the question."""
    answer = await large.get(ITEMS, stream="true", f="csv", properties="level", sortby="-level,seen_at")
    lines = io.StringIO(answer.text).read().splitlines()
    levels = [int(line.split(",")[1]) for line in lines[1:]]
    assert (len(levels), levels) == (300_000, sorted(levels, reverse=True))
