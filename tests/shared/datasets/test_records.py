"""Records over HTTP: pages, filters, forms and what is refused."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest

from shared.paging import MOST_CHARACTERS
from tests.city import City
from tests.shared.datasets.conftest import Watch, statements, watching

ITEMS = "/collections/watch.reports/items"
NARROWER: list[dict[str, Any]] = [{}, {"limit": "2"}, {"f": "csv"}]
EMPTY: list[dict[str, Any]] = [{}, {"kind": "none"}]
ALL = ["r1", "r2", "r3", "r4", "r5"]


async def test_a_page_is_a_feature_collection_with_times_in_utc(watch: Watch) -> None:
    answer = await watch.get(ITEMS, limit="1")
    page = answer.json()
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    assert page["type"] == "FeatureCollection"
    assert page["numberReturned"] == 1
    assert "numberMatched" not in page
    assert page["timeStamp"].endswith("Z")
    feature = page["features"][0]
    assert feature["id"] == "r1"
    assert feature["geometry"] == {"type": "Point", "coordinates": [112.9, 27.8]}
    assert feature["properties"]["seen_at"] == "2026-11-01T00:00:00Z"
    assert feature["properties"]["post_name"] == "North gate"
    assert {link["rel"] for link in page["links"]} >= {"self", "next", "collection", "alternate"}


async def test_geometries_that_are_not_wanted_are_neither_given_nor_searched(watch: Watch) -> None:
    page = (await watch.get(ITEMS, skipGeometry="true")).json()
    assert [feature["geometry"] for feature in page["features"]] == [None] * len(ALL)
    assert (await watch.get(ITEMS, skipGeometry="perhaps")).status_code == 400
    assert (await watch.get(ITEMS, skipGeometry="true", bbox="112.9,27.8,112.95,27.85")).status_code == 400


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ALL),
        ({"kind": "flood"}, ["r1"]),
        ({"level": "7"}, ["r4"]),
        ({"height": "0.5"}, ["r3"]),
        ({"urgent": "true"}, ["r1", "r4"]),
        ({"day": "2026-11-01"}, ["r1", "r2"]),
        ({"seen_at": "2026-11-01T20:00:00+08:00"}, ["r2"]),
        ({"seen_at": "2026-11-01T20:00:00 08:00"}, ["r2"]),
        ({"kind": "flood", "level": "4"}, []),
        ({"kind": "水"}, ["r5"]),
        ({"bbox": "112.9,27.8,112.95,27.85"}, ["r1", "r2"]),
        ({"bbox": "112.9,27.8,-100,112.95,27.85,100"}, ["r1", "r2"]),
        ({"bbox": "179,-11,-179,-9"}, ["r3", "r4"]),
        ({"bbox": "-180,-11,-179,-9"}, ["r4"]),
        ({"bbox": "27.8,112.9,27.85,112.95", "bbox-crs": "http://www.opengis.net/def/crs/EPSG/0/4326"}, ["r1", "r2"]),
        ({"datetime": "2026-11-01T00:00:00Z/2026-11-02T00:00:00Z"}, ["r1", "r2", "r3"]),
        ({"datetime": "2026-11-01T00:00:00Z"}, ["r1"]),
        ({"datetime": "../2026-11-01T12:00:00Z"}, ["r1", "r2"]),
        ({"datetime": "2026-11-04T00:00:00.000001Z/"}, ["r5"]),
        ({"datetime": "2026-11-01"}, ["r1", "r2"]),
        ({"datetime": "2026-11-01/2026-11-02"}, ["r1", "r2", "r3"]),
        ({"filter": "kind = 'fire' OR level >= 5"}, ["r2", "r4", "r5"]),
        ({"filter": '{"op":"=","args":[{"property":"kind"},"fire"]}', "filter-lang": "cql2-json"}, ["r2"]),
        ({"filter": "post_name = 'North gate'"}, ["r1", "r4"]),
        ({"filter": "S_WITHIN(geometry, POLYGON((112.8 27.7, 112.92 27.7, 112.92 27.9, 112.8 27.9, 112.8 27.7)))"}, ["r1"]),
        ({"filter": "S_DISJOINT(geometry, BBOX(112, 27, 113, 28))"}, ["r3", "r4"]),
        ({"filter": "S_INTERSECTS(geometry, BBOX(179, -11, -179, -9))"}, ["r3", "r4"]),
        ({"filter": "geometry IS NULL"}, ["r5"]),
        ({"filter": "height / level > 0.4"}, ["r1", "r5"]),
        ({"filter": "height / (level - level) > 0 OR level = 1"}, ["r2"]),
        ({"sortby": "-seen_at"}, ALL[::-1]),
        ({"sortby": "level"}, ["r2", "r1", "r5", "r4", "r3"]),
        ({"sortby": "-level"}, ["r4", "r5", "r1", "r2", "r3"]),
        ({"sortby": "kind"}, ["r3", "r2", "r1", "r5", "r4"]),
        ({"sortby": "urgent,-height"}, ["r5", "r2", "r1", "r4", "r3"]),
    ],
)
async def test_parameters_choose_and_order_the_rows(watch: Watch, parameters: dict[str, Any], found: list[str]) -> None:
    assert await watch.ids(**parameters) == found


@pytest.mark.parametrize("sortby", [None, "level", "-level", "kind,-height", "-kind,urgent", "-day,seen_at", "height", "area", "post_name,-urgent"])
async def test_pages_follow_one_another_without_gap_or_repeat(watch: Watch, sortby: str | None) -> None:
    parameters: dict[str, Any] = {"sortby": sortby} if sortby else {}
    whole = await watch.ids(**parameters)
    walked = []
    address = f"{ITEMS}?limit=1" + (f"&sortby={sortby}" if sortby else "")
    while address:
        page = (await watch.get(address)).json()
        walked += [feature["id"] for feature in page["features"]]
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert walked == whole
    assert sorted(walked) == ALL


async def test_a_whole_answer_says_how_many_matched(watch: Watch) -> None:
    assert (await watch.get(ITEMS, limit="5")).json()["numberMatched"] == 5
    hits = (await watch.get(ITEMS, resultType="hits", kind="flood")).json()
    assert (hits["numberMatched"], hits["numberReturned"], hits["features"]) == (1, 0, [])


async def test_a_limit_beyond_the_most_gives_the_most(city: City) -> None:
    async with watching(city, page_limit=3) as watch:
        assert (await watch.get(ITEMS, limit="999999999999")).json()["numberReturned"] == 3
        assert (await watch.get(ITEMS)).json()["numberReturned"] == 3


async def test_properties_choose_the_fields(watch: Watch) -> None:
    page = (await watch.get(ITEMS, properties="level,kind", limit="1")).json()
    assert page["features"][0]["properties"] == {"kind": "flood", "level": 3}


async def test_csv_tells_nothing_from_an_empty_text_and_links_the_next_page(own_watch: Watch) -> None:
    own_watch.sql("UPDATE reports SET kind = '' WHERE id = 'r4'")
    answer = await own_watch.get(ITEMS, f="csv", limit="4")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == ["r1", "r2", "r3", "r4"]
    assert rows[0]["seen_at"] == "2026-11-01T00:00:00Z"
    assert (rows[0]["lon"], rows[0]["urgent"], rows[1]["height"]) == ("112.9", "true", "")
    assert '"r4",""' in answer.text
    following = answer.headers["link"].split(">")[0].removeprefix("<")
    assert [row["id"] for row in csv.DictReader(io.StringIO((await own_watch.get(following)).text))] == ["r5"]


async def test_arrow_bears_types_and_times(watch: Watch) -> None:
    answer = await watch.get(ITEMS, headers={"Accept": "application/vnd.apache.arrow.stream"})
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.column_names[0] == "id"
    assert table.schema.field("level").type == pa.int64()
    assert table.schema.field("seen_at").type == pa.timestamp("us", "UTC")
    assert table["lon"].to_pylist()[-1] is None
    assert json.loads(table.schema.metadata[b"liandong"])["numberReturned"] == 5


async def test_an_empty_answer_has_the_same_columns(watch: Watch) -> None:
    full, empty = [pa.ipc.open_stream((await watch.get(ITEMS, f="arrow", **extra)).content).schema for extra in EMPTY]
    assert full.names == empty.names
    assert full.types == empty.types


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/geo+json"),
        ("application/json", "application/json"),
        ("text/html, application/json;q=0.8, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("application/geo+json; q=0.1, */*; q=0.01", "application/geo+json"),
    ],
)
async def test_the_form_follows_accept(watch: Watch, accept: str, content_type: str) -> None:
    assert (await watch.get(ITEMS, headers={"Accept": accept})).headers["content-type"] == content_type


async def test_a_form_that_is_not_there_is_406(watch: Watch) -> None:
    assert (await watch.get(ITEMS, headers={"Accept": "text/html"})).status_code == 406
    assert (await watch.get(ITEMS, f="xml")).status_code == 406


async def test_coordinates_come_swapped_in_epsg_4326(watch: Watch) -> None:
    crs = "http://www.opengis.net/def/crs/EPSG/0/4326"
    answer = await watch.get(ITEMS, crs=crs, limit="1")
    assert answer.headers["content-crs"] == f"<{crs}>"
    assert answer.json()["features"][0]["geometry"]["coordinates"] == [27.8, 112.9]
    outline = (await watch.get("/collections/watch.outlines/items", crs=crs)).json()["features"][0]
    assert outline["geometry"]["coordinates"] == [[27.8, 112.9], [27.9, 113.0]]


async def test_a_row_is_found_by_its_id(watch: Watch) -> None:
    row = (await watch.get(f"{ITEMS}/r2")).json()
    assert (row["type"], row["id"], row["properties"]["kind"]) == ("Feature", "r2", "fire")
    assert [link["rel"] for link in row["links"]] == ["self", "collection"]
    assert (await watch.get(f"{ITEMS}/r2", f="csv")).text.count("\n") == 2


async def test_a_key_of_several_columns_is_joined_and_taken_apart(watch: Watch) -> None:
    site = "00000000-0000-0000-0000-000000000001"
    page = (await watch.get("/collections/watch.outlines/items")).json()
    assert [feature["id"] for feature in page["features"]] == [f"{site}~1", f"{site}~2"]
    assert page["features"][0]["geometry"]["type"] == "LineString"
    assert page["features"][1]["geometry"] is None
    assert (await watch.get(f"/collections/watch.outlines/items/{site}~2")).json()["id"] == f"{site}~2"
    following = (await watch.get("/collections/watch.outlines/items?limit=1")).json()["links"][-1]["href"]
    assert [feature["id"] for feature in (await watch.get(following)).json()["features"]] == [f"{site}~2"]


@pytest.mark.parametrize("bbox", ["112.95,27.85,114,29", "112.5,27.0,112.9,27.8"])
async def test_shapes_are_found_by_their_envelope(watch: Watch, bbox: str) -> None:
    answer = await watch.get("/collections/watch.outlines/items", bbox=bbox)
    assert answer.json()["numberReturned"] == 1


@pytest.mark.parametrize(
    ("collection", "feature_id"),
    [
        ("watch.reports", "r9"),
        ("watch.reports", "r1~1"),
        ("watch.reports", "%00"),
        ("watch.reports", "a/b"),
        ("watch.outlines", "00000000-0000-0000-0000-000000000001"),
        ("watch.outlines", "nothing~1"),
        ("watch.outlines", "00000000-0000-0000-0000-000000000001~1_0"),
        ("watch.outlines", "00000000-0000-0000-0000-000000000001~99999999999"),
        ("watch.orders", "9" * 30),
    ],
)
async def test_an_id_that_no_row_has_is_404(watch: Watch, collection: str, feature_id: str) -> None:
    answer = await watch.get(f"/collections/{collection}/items/{feature_id}", claims={"scope": "watch:read"})
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "ten"}, "/limit"),
        ({"limit": "१"}, "/limit"),
        ({"bbox": "1,2,3"}, "/bbox"),
        ({"bbox": "1,2,nan,4"}, "/bbox"),
        ({"bbox": "1,5,2,4"}, "/bbox"),
        ({"bbox": "1,2,3,4", "bbox-crs": "EPSG:3857"}, "/bbox-crs"),
        ({"crs": "EPSG:3857"}, "/crs"),
        ({"datetime": "yesterday"}, "/datetime"),
        ({"datetime": "2026-11-01T00:00:00"}, "/datetime"),
        ({"datetime": "2026-11-02T00:00:00Z/2026-11-01T00:00:00Z"}, "/datetime"),
        ({"datetime": "../.."}, "/datetime"),
        ({"datetime": "9999-12-31T23:59:59-12:00"}, "/datetime"),
        ({"datetime": "9999-12-31"}, "/datetime"),
        ({"datetime": "0001-01-01/.."}, "/datetime"),
        ({"known_at": "2026-11-01"}, "/known_at"),
        ({"kindd": "x"}, "/kindd"),
        ({"level": "high"}, "/level"),
        ({"level": "1e400"}, "/level"),
        ({"level": "9007199254740993"}, "/level"),
        ({"level": "9" * 400}, "/level"),
        ({"urgent": "yes"}, "/urgent"),
        ({"kind": "a\x00b"}, "/kind"),
        ({"kind": "x" * 9000}, "/kind"),
        ({"day": "2026-13-01"}, "/day"),
        ({"sortby": "colour"}, "/sortby"),
        ({"sortby": "level,-level"}, "/sortby"),
        ({"properties": "kind,colour"}, "/properties"),
        ({"filter": "kind ="}, "/filter"),
        ({"filter": "colour = 'red'"}, "/filter"),
        ({"filter": "1", "filter-lang": "cql"}, "/filter-lang"),
        ({"filter": "level = 1", "filter-crs": "EPSG:3857"}, "/filter-crs"),
        ({"token": "AAAA"}, "/token"),
        ({"token": "ünï"}, "/token"),
        ({"token": "A" * (MOST_CHARACTERS + 1)}, "/token"),
        ({"resultType": "count"}, "/resultType"),
    ],
)
async def test_what_cannot_be_understood_is_refused_by_name(watch: Watch, parameters: dict[str, Any], pointer: str) -> None:
    answer = await watch.get(ITEMS, **parameters)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["pointer"] == pointer


async def test_a_parameter_given_twice_is_refused(watch: Watch) -> None:
    answer = await watch.get(f"{ITEMS}?kind=a&kind=b")
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/kind")


async def test_a_number_out_of_the_databases_range_is_refused_not_a_fault(watch: Watch) -> None:
    answer = await watch.get(ITEMS, filter="height * 1e300 * 1e300 > 1")
    assert answer.status_code == 400


@pytest.mark.parametrize("parameters", [{"bbox": "1,2,3,4"}, {"datetime": "2026-11-01T00:00:00Z"}])
async def test_a_dataset_without_place_or_time_says_so(watch: Watch, parameters: dict[str, Any]) -> None:
    answer = await watch.get("/collections/watch.orders/items", claims={"scope": "watch:read"}, **parameters)
    assert answer.status_code == 400


async def test_a_query_beyond_the_time_limit_is_503(city: City) -> None:
    async with watching(city, statement_timeout_s=0.3) as watch:
        watch.sql("ALTER TABLE reports RENAME TO kept", role="owner")
        watch.sql("CREATE VIEW reports AS SELECT kept.* FROM kept, LATERAL (SELECT pg_sleep(5) WHERE kept.id <> '') AS slow", role="owner")
        watch.sql("GRANT SELECT ON reports TO watch_reader", role="owner")
        answer = await watch.get(ITEMS)
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/query-too-slow"


async def test_an_unchanged_answer_is_304_until_a_row_changes(own_watch: Watch) -> None:
    claims = {"scope": "watch:read", "clearance": {"grade": "important", "personal": "sensitive"}}
    first = await own_watch.get(ITEMS, claims=claims)
    again = await own_watch.get(ITEMS, claims=claims, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert "Authorization" in first.headers["vary"]
    own_watch.sql("UPDATE posts SET name = 'Old north gate' WHERE code = 'p1'")
    changed = await own_watch.get(ITEMS, claims=claims, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_the_tags_of_two_queries_forms_and_rights_differ(watch: Watch) -> None:
    everything = {"scope": "watch:read", "clearance": {"grade": "important", "personal": "sensitive"}}
    tags = [
        (await watch.get(ITEMS, claims=claims, **parameters)).headers["etag"]
        for claims in (everything, {"scope": "hub:query"}, {"scope": "hub:query", "areas": ["4303"]})
        for parameters in NARROWER
    ]
    assert len(set(tags)) == len(tags)


async def test_a_page_ends_early_when_its_texts_grow_too_large(own_watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.datasets.records.PAGE_BYTES", 30)
    page = (await own_watch.get(ITEMS)).json()
    assert 0 < page["numberReturned"] < 5
    token = parse_qs(urlsplit(page["links"][-1]["href"]).query)["token"][0]
    rest = (await own_watch.get(ITEMS, token=token)).json()
    assert rest["features"][0]["id"] == f"r{page['numberReturned'] + 1}"


@pytest.mark.parametrize(
    ("path", "most"),
    [(ITEMS, 1), (f"{ITEMS}/r1", 1), (f"{ITEMS}?known_at=2026-01-01T00:00:00Z", 2), ("/collections", 0), ("/capabilities", 1), ("/catalog", 1)],
)
async def test_an_answer_takes_a_fixed_number_of_statements(watch: Watch, path: str, most: int) -> None:
    with statements(watch) as asked:
        assert (await watch.get(path)).status_code == 200
    assert len(asked) == most, asked
