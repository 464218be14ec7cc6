"""The environment service over HTTP: stations, series, loads in every format, bad input, the index of the air."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyarrow as pa
import pytest

from services.env.app import service
from shared.body.reading import SLOTS
from shared.service import create_app
from shared.testing import serving
from tests.env.conftest import Env, hourly, station

HOURS = [f"2026-11-01T{hour:02d}:00:00+08:00" for hour in range(24)]


def values(code: str, measured: str, numbers: list[float], first: int = 0) -> list[dict[str, Any]]:
    return [{"station": code, "property": measured, "time": HOURS[first + place], "value": number} for place, number in enumerate(numbers)]


def codes(answer: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(error["row"], error["pointer"], error["code"]) for error in answer["errors"]]


# stations and series


async def test_a_station_is_taken_once_and_corrected_with_its_history(env: Env) -> None:
    assert (await env.put("/stations", [station("A")]))["duplicates"] == 1
    moved = station("A", "110101")
    assert codes(await env.put("/stations", [moved])) == [(0, "/0", "conflict")]
    assert (await env.put("/stations", [moved], correct=True))["corrected"] == 1
    assert [row[0] for row in env.sql("SELECT area FROM stations_history")] == ["430302"]
    assert {row[0] for row in env.sql("SELECT area FROM series WHERE feature = 'A'")} == {"110101"}


async def test_a_station_is_located_by_its_point_in_the_system_that_it_declares(env: Env) -> None:
    square = {"type": "Polygon", "coordinates": [[[112.8, 27.8], [113.0, 27.8], [113.0, 28.0], [112.8, 28.0], [112.8, 27.8]]]}
    env.sql("UPDATE areas SET geometry = $1, extent = box(point(112.8, 27.8), point(113, 28)) WHERE code = '430304'", json.dumps(square))
    point = {"lon": 112.9, "lat": 27.9}
    rows = [
        {"code": "P1", "name_zh": "甲", **point, "crs": "wgs84"},
        {"code": "P2", "name_zh": "乙", **point, "crs": "gcj02"},
        {"code": "P3", "name_zh": "丙", **point},
        {"code": "P4", "name_zh": "丁", "lon": 10.0, "lat": 10.0, "crs": "wgs84"},
    ]
    answer = await env.put("/stations", rows)
    assert [(row, code) for row, _, code in codes(answer)] == [(2, "value-error"), (3, "unknown-place")]
    stored = {row["code"]: row for row in env.sql("SELECT code, area, lon FROM stations WHERE code LIKE 'P%'")}
    assert stored["P1"]["area"] == stored["P2"]["area"] == "430304"
    assert stored["P1"]["lon"] == 112.9
    assert 0.002 < 112.9 - stored["P2"]["lon"] < 0.008


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"area": "999999"}, "unknown-area"),
        ({"area": "430302; DROP TABLE"}, "string-pattern-mismatch"),
        ({"kind": "palace"}, "enum"),
        ({"timezone": "Mars/Olympus"}, "unknown-zone"),
        ({"timezone": "../../etc/passwd"}, "unknown-zone"),
        ({"name_zh": None, "name_en": None}, "value-error"),
        ({"lon": 200.0, "lat": 10.0, "crs": "wgs84"}, "less-than-equal"),
        ({"lon": 112.9, "crs": "wgs84"}, "value-error"),
        ({"code": "a b"}, "string-pattern-mismatch"),
    ],
)
async def test_a_wrong_station_is_rejected_alone(env: Env, fault: dict[str, Any], code: str) -> None:
    answer = await env.put("/stations", [station("C"), station("D") | fault])
    assert (answer["taken"], answer["rejected"]) == (1, 1)
    assert [(row, found) for row, _, found in codes(answer)] == [(1, code)]


async def test_a_token_writes_only_in_its_areas(env: Env) -> None:
    narrow = env.city.headers("env", scope="env:write", areas=["430302"], subject="client:narrow")
    sent = [station("E"), station("F", "430304")]
    answer = (await env.client.put("/stations", json=sent, headers=narrow)).json()
    assert codes(answer) == [(1, "/1/area", "outside-areas")]
    stolen = (await env.client.put("/stations?correct=true", json=[station("B", "430302", name_zh="改")], headers=narrow)).json()
    assert stolen["corrected"] == 0
    declared = (await env.client.put("/series", json=[hourly("B", "so2"), hourly("A", "so2")], headers=narrow)).json()
    assert codes(declared) == [(0, "/0/station", "unknown-station")]
    loaded = (await env.client.post("/observations", json=values("B", "pm25", [1]) + values("A", "pm25", [1]), headers=narrow)).json()
    assert codes(loaded) == [(0, "/0/station", "unknown-station")]


async def test_what_a_series_means_cannot_change(env: Env) -> None:
    assert (await env.put("/series", [hourly("A", "pm25")]))["duplicates"] == 1
    answer = await env.put(
        "/series", [hourly("A", "pm25", timing="end"), hourly("X", "pm25"), hourly("A", "noise"), {"station": "A", "property": "co", "timing": "end"}]
    )
    assert [(row, code) for row, _, code in codes(answer)] == [(0, "conflict"), (1, "unknown-station"), (2, "unknown-property"), (3, "value-error")]


# loads


async def test_the_same_rows_in_every_format_are_the_same_rows(env: Env) -> None:
    rows = values("A", "pm25", [10.5, 11, 12.25])
    table = pa.table(
        {
            "station": pa.array([row["station"] for row in rows]).dictionary_encode(),
            "property": [row["property"] for row in rows],
            "time": pa.array([datetime.fromisoformat(row["time"]) for row in rows], pa.timestamp("ms", "Asia/Shanghai")),
            "value": [row["value"] for row in rows],
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    lines = ["station,property,time,value"] + [f"{row['station']},{row['property']},{row['time']},{row['value']}" for row in rows]
    bodies = {
        "application/json": json.dumps(rows).encode(),
        "application/x-ndjson": "\n".join(json.dumps(row) for row in rows).encode(),
        "text/csv; charset=utf-8": "\r\n".join(lines).encode(),
        "application/vnd.apache.arrow.stream": sink.getvalue(),
    }
    taken = []
    for media_type, content in bodies.items():
        for compressed in (False, True):
            headers = env.headers | {"Content-Type": media_type} | ({"Content-Encoding": "gzip"} if compressed else {})
            answer = await env.client.post("/observations", content=gzip.compress(content) if compressed else content, headers=headers)
            assert answer.status_code == 200, answer.text
            taken.append((answer.json()["taken"], answer.json()["duplicates"]))
    assert taken == [(3, 0)] + [(0, 3)] * 7


async def test_what_is_recorded_bears_the_caller(env: Env) -> None:
    await env.load(values("A", "pm25", [1]))
    assert {row[0] for row in env.sql("SELECT recorded_by FROM observations UNION SELECT recorded_by FROM series UNION SELECT recorded_by FROM stations")} == {
        "client:env-system"
    }


async def test_values_bear_the_moment_at_which_their_transaction_is_noted(env: Env) -> None:
    """Otherwise a question as of a moment would see them before they were committed."""
    await env.load(values("A", "pm25", [1]))
    await env.load(values("A", "pm25", [1, 2]))  # met one by one
    noted = "SELECT count(*) FROM observations o WHERE EXISTS (SELECT FROM changes c WHERE c.table_name = 'observations' AND c.recorded_at = o.recorded_at)"
    assert env.sql(noted)[0][0] == 2


async def test_carbon_monoxide_in_micrograms_is_kept_in_milligrams(env: Env) -> None:
    await env.put("/series", [hourly("A", "co")])
    await env.load([row | {"unit": "ug/m3"} for row in values("A", "co", [700, 10_000])])
    assert [row[0] for row in env.sql("SELECT value FROM observations ORDER BY time")] == [0.7, 10.0]


async def test_a_repeated_load_with_its_key_gets_the_first_answer(env: Env) -> None:
    rows, headers = values("A", "pm25", [1, 2]), env.headers | {"Idempotency-Key": "batch-1"}
    first = await env.client.post("/observations", json=rows, headers=headers)
    again = await env.client.post("/observations", json=rows, headers=headers)
    other = await env.client.post("/observations", json=values("A", "pm25", [9]), headers=headers)
    assert (first.json()["taken"], again.content, again.headers["Idempotency-Replayed"]) == (2, first.content, "true")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")


async def test_the_same_key_at_the_same_time_loads_once(env: Env) -> None:
    rows, headers = values("A", "pm25", [1, 2]), env.headers | {"Idempotency-Key": "batch-1"}
    answers = await asyncio.gather(*(env.client.post("/observations", json=rows, headers=headers) for _ in range(4)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["taken"] == 2


# bad input


@pytest.mark.parametrize(
    ("media_type", "content", "status", "slug"),
    [
        ("application/json", b'[{"station": \xff}]', 422, "invalid-body"),
        ("application/json", b'{"station": "A"}', 422, "invalid-body"),
        ("application/json", b"[" * 50_000, 422, "invalid-body"),
        ("application/json", b'[{"station": "A", "stattion": "A"}]', 422, "invalid-body"),
        ("application/json", b"", 422, "invalid-body"),
        ("application/xml", b"<a/>", 415, "unsupported-media-type"),
        ("", b"[]", 415, "unsupported-media-type"),
        ("text/csv", b"\xff\xfe", 422, "invalid-body"),
        ("text/csv", b"station;property\nA;pm25", 422, "invalid-body"),
        ("application/vnd.apache.arrow.stream", b"ARROW1", 422, "invalid-body"),
        ("application/vnd.apache.arrow.stream", b"", 422, "invalid-body"),
    ],
)
async def test_a_body_that_cannot_be_read_takes_nothing(env: Env, media_type: str, content: bytes, status: int, slug: str) -> None:
    answer = await env.client.post("/observations", content=content, headers=env.headers | {"Content-Type": media_type})
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


async def test_an_empty_batch_is_nothing_to_do(env: Env) -> None:
    assert (await env.load([]))["taken"] == 0


async def test_nan_and_infinity_reject_their_rows(env: Env) -> None:
    rows = values("A", "pm25", [1.0, float("nan"), float("inf"), 2.0])
    answer = await env.client.post("/observations", content=json.dumps(rows).encode(), headers=env.headers | {"Content-Type": "application/json"})
    assert answer.json()["taken"] == 2
    assert codes(answer.json()) == [(1, "/1/value", "not-finite"), (2, "/2/value", "not-finite")]


async def test_an_unknown_encoding_is_told_what_is_taken(env: Env) -> None:
    answer = await env.client.post("/observations", content=b"x", headers=env.headers | {"Content-Type": "text/csv", "Content-Encoding": "br"})
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "gzip")


async def test_a_gzip_bomb_is_refused(env: Env) -> None:
    bomb = gzip.compress(b'{"value": 1}\n' * 20_000_000, 1)
    assert len(bomb) < 4_000_000
    answer = await env.client.post("/observations", content=bomb, headers=env.headers | {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


async def test_truncated_gzip_is_refused(env: Env) -> None:
    cut = gzip.compress(json.dumps(values("A", "pm25", [1.0])).encode())[:-6]
    answer = await env.client.post("/observations", content=cut, headers=env.headers | {"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-body")
    assert env.sql("SELECT 1 FROM observations") == []


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_100_mb_is_refused_over_a_real_connection(env: Env, *, declared: bool) -> None:
    piece = b'{"value": 1}\n' * 80_000

    async def pieces() -> Any:
        for _ in range(100):
            yield piece

    headers = env.headers | {"Content-Type": "application/x-ndjson"} | ({"Content-Length": str(100 * len(piece))} if declared else {})
    async with serving(create_app(service, env.settings)) as client:
        answer = await client.post("/observations", content=pieces(), headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
        assert (await client.get("/healthz")).status_code == 200


async def test_loads_beyond_the_slots_wait_and_none_is_lost(env: Env) -> None:
    batches = [values("A", "pm25", [float(place)], place) for place in range(4 * SLOTS)]
    answers = await asyncio.gather(*(env.load(batch) for batch in batches))
    assert sum(answer["taken"] for answer in answers) == 4 * SLOTS


@pytest.mark.parametrize("scope", ["env:read", "food:write", ""])
async def test_only_writers_load(env: Env, scope: str) -> None:
    headers = env.city.headers("env", scope=scope, areas=["*"])
    for method, path in (("POST", "/observations"), ("PUT", "/stations"), ("PUT", "/series")):
        assert (await env.client.request(method, path, json=[], headers=headers)).status_code == 403
        assert (await env.client.request(method, path, json=[])).status_code == 401


# events


async def test_a_run_above_a_limit_is_one_event_in_the_transaction_of_the_load(env: Env) -> None:
    start = (datetime.now(UTC) - timedelta(hours=12)).replace(minute=0, second=0, microsecond=0)
    rows = [
        {"station": "A", "property": "no2", "time": (start + timedelta(hours=place)).isoformat(), "value": value}
        for place, value in enumerate([150, 250, 260, 270, 100])
    ]
    await env.load(rows)
    await env.load(rows)
    [envelope] = [json.loads(row[0]) for row in env.sql("SELECT envelope::text FROM outbox")]
    assert (envelope["type"], envelope["subject"], envelope["area"]) == ("env.observation.exceeded.v1", "stations/A", "430302")
    assert envelope["data"]["mean"] == 250
    assert envelope["data"]["limit"] == 200
    assert datetime.fromisoformat(envelope["data"]["hour"]) == start + timedelta(hours=1)


# the index of the air


async def aqi(env: Env, path: str, **params: Any) -> httpx.Response:
    return await env.client.get(f"/aqi/{path}", params=params, headers=env.headers)


async def test_the_daily_index_is_that_of_the_local_day(env: Env) -> None:
    await env.load(values("A", "pm25", [100.0] * 24) + values("A", "pm10", [110.0] * 24) + values("B", "pm25", [20.0] * 19))
    answer = (await aqi(env, "daily", **{"from": "2026-10-31", "until": "2026-11-03"})).json()
    [day] = answer["days"]
    assert day == {
        "station": "A",
        "date": "2026-11-01",
        "aqi": 137,
        "level": {"number": 3, "zh": "轻度污染", "en": "Lightly polluted"},
        "primary": ["pm25"],
        "iaqi": {"pm25": 137, "pm10": 93},
        "missing": ["so2", "no2", "co", "o3"],
        "edition": "HJ 633-2026",
    }
    assert list(answer["sources"]) == ["HJ 633-2026"]


async def test_the_hourly_index_is_that_of_the_hour(env: Env) -> None:
    await env.load(values("A", "pm25", [60.0, 100.0, 20.0]) + values("A", "o3", [10.0, 250.0]))
    answer = (await aqi(env, "hourly", station="A", **{"from": HOURS[1], "until": HOURS[3]})).json()
    assert [(hour["time"], hour["aqi"], hour["primary"]) for hour in answer["hours"]] == [(HOURS[1], 137, ["pm25"]), (HOURS[2], 29, [])]


async def test_both_editions_answer_side_by_side_across_the_change(env: Env) -> None:
    days = ("2026-02-28", "2026-03-01")
    rows = [{"station": "A", "property": "pm25", "time": f"{day}T{hour:02d}:00:00+08:00", "value": 70.0} for day in days for hour in range(24)]
    await env.load(rows)
    daily = (await aqi(env, "daily", station="A", **{"from": days[0], "until": "2026-03-02"})).json()
    assert [(day["date"], day["aqi"], day["edition"]) for day in daily["days"]] == [(days[0], 94, "HJ 633-2012"), (days[1], 110, "HJ 633-2026")]
    hours = (await aqi(env, "hourly", station="A", **{"from": "2026-02-28T22:00:00+08:00", "until": "2026-03-01T02:00:00+08:00"})).json()["hours"]
    assert [hour["edition"][-4:] for hour in hours] == ["2012", "2012", "2026", "2026"]


async def test_the_index_shows_only_stations_within_the_callers_areas(env: Env) -> None:
    await env.load(values("A", "pm25", [100.0] * 24) + values("B", "pm25", [100.0] * 24))
    narrow = env.city.headers("env", scope="env:read", areas=["430302"])
    days = {"from": "2026-11-01", "until": "2026-11-02"}
    answer = await env.client.get("/aqi/daily", params=days, headers=narrow)
    assert [day["station"] for day in answer.json()["days"]] == ["A"]
    hidden = await env.client.get("/aqi/daily", params={**days, "station": "B"}, headers=narrow)
    unknown = await env.client.get("/aqi/daily", params={**days, "station": "Z"}, headers=narrow)
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.json()["detail"].replace("'B'", "'Z'") == unknown.json()["detail"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("hourly", {"from": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}),
        ("hourly", {"from": "2026-11-02T00:00:00"}),
        ("hourly", {"from": "0001-01-01T00:00:00+14:00"}),
        ("hourly", {"until": "9999-12-31T23:59:59-14:00"}),
        ("hourly", {"from": "1960-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        ("daily", {"from": "2026-11-02", "until": "2026-11-02"}),
        ("daily", {"from": "1949-01-01", "until": "1949-02-01"}),
        ("daily", {"from": "0001-01-01"}),
        ("daily", {"until": "0001-01-01"}),
        ("daily", {"until": "9999-12-31"}),
        ("daily", {"from": "2000-01-01", "until": "2026-01-01"}),
    ],
)
async def test_an_impossible_span_is_refused(env: Env, path: str, params: dict[str, str]) -> None:
    assert (await aqi(env, path, **params)).status_code == 400
