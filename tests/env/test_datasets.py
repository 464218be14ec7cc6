"""What the environment service shares, through the contract: records, aggregates, days above a limit, as of a past moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.env.conftest import Env, hourly, station


async def items(env: Env, dataset: str, headers: dict[str, str] | None = None, **params: Any) -> list[dict[str, Any]]:
    answer = await env.client.get(f"/collections/{dataset}/items", params=params, headers=headers or env.headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["features"]
    return found


async def aggregate(env: Env, dataset: str, headers: dict[str, str] | None = None, **question: Any) -> list[list[Any]]:
    answer = await env.client.post(f"/collections/{dataset}/aggregate", json=question, headers=headers or env.headers)
    assert answer.status_code == 200, answer.text
    found: list[list[Any]] = answer.json()["rows"]
    return found


def month(code: str, day: int, values: Sequence[float], measured: str = "pm25") -> list[dict[str, Any]]:
    return [{"station": code, "property": measured, "time": f"2026-11-{day:02d}T{hour:02d}:00:00+08:00", "value": value} for hour, value in enumerate(values)]


async def test_an_observation_is_a_feature_with_its_station(env: Env) -> None:
    await env.put("/stations", [station("A", lon=112.9, lat=27.8, crs="wgs84")], correct=True)
    await env.load(month("A", 1, [12.5]))
    [feature] = await items(env, "env.observations")
    assert feature["geometry"]["coordinates"] == [112.9, 27.8]
    shown = feature["properties"]
    assert {name: shown[name] for name in ("station", "station_name", "property", "unit", "value", "quality", "interval_s", "area", "recorded_by")} == {
        "station": "A",
        "station_name": "测站A",
        "property": "pm25",
        "unit": "ug/m3",
        "value": 12.5,
        "quality": 1,
        "interval_s": 3600,
        "area": "430302",
        "recorded_by": "client:env-system",
    }
    again = await env.client.get(f"/collections/env.observations/items/{feature['id']}", headers=env.headers)
    assert again.json()["properties"] == shown


async def test_pages_of_observations_repeat_and_lose_nothing(env: Env) -> None:
    await env.load([row for code in ("A", "B") for row in month(code, 1, list(range(24)))])
    seen: list[str] = []
    link: str | None = "/collections/env.observations/items?limit=7"
    while link:
        page = (await env.client.get(link, headers=env.headers)).json()
        seen += [feature["id"] for feature in page["features"]]
        link = next((one["href"] for one in page["links"] if one["rel"] == "next"), None)
    assert len(seen) == len(set(seen)) == 48


async def test_rows_outside_the_callers_areas_do_not_exist(env: Env) -> None:
    await env.load([row for code in ("A", "B") for row in month(code, 1, [80.0] * 24)])
    narrow = env.city.headers("env", scope="env:read", areas=["430302"])
    assert {feature["properties"]["station"] for feature in await items(env, "env.observations", narrow)} == {"A"}
    for dataset in ("env.observations", "env.daily", "env.stations"):
        assert await aggregate(env, dataset, narrow, measures={"n": {"fn": "count"}}, by={"district": "area:district"}) == [
            ["430302", {"env.observations": 24}.get(dataset, 1)]
        ]


async def test_station_days_above_the_limit_come_in_one_aggregate(env: Env) -> None:
    high, low = [80.0] * 24, [70.0] * 24
    await env.load(month("A", 1, high) + month("A", 2, low) + month("A", 3, high) + month("B", 1, high) + month("B", 2, high[:10]))
    rows = await aggregate(
        env,
        "env.daily",
        measures={"days": {"fn": "count"}},
        by={"district": "area:district", "month": "time:month"},
        filter="property = 'pm25' AND mean > 75 AND hours >= 20",
        tz="Asia/Shanghai",
    )
    assert rows == [["430302", "2026-11-01T00:00:00+08:00", 2], ["430304", "2026-11-01T00:00:00+08:00", 1]]


async def test_a_correction_made_today_does_not_change_yesterdays_answer(env: Env) -> None:
    await env.load(month("A", 1, [80.0] * 24))
    before = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.01)
    await env.load(month("A", 1, [10.0] * 24), correct=True)
    mean: dict[str, Any] = {"mean": {"fn": "avg", "field": "value"}}
    days: dict[str, Any] = {"measures": {"n": {"fn": "count"}}, "filter": "mean > 75"}
    assert await aggregate(env, "env.observations", measures=mean) == [[10.0]]
    assert await aggregate(env, "env.observations", measures=mean, known_at=before) == [[80.0]]
    assert await aggregate(env, "env.daily", **days) == [[0]]
    assert await aggregate(env, "env.daily", **days, known_at=before) == [[1]]
    assert {feature["properties"]["value"] for feature in await items(env, "env.observations", known_at=before)} == {80.0}
    assert [feature["properties"]["mean"] for feature in await items(env, "env.daily", known_at=before)] == [80.0]


async def test_a_station_that_moved_stands_where_it_was_known_to_stand(env: Env) -> None:
    await env.load(month("A", 1, [80.0]))
    before = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.01)
    await env.put("/stations", [station("A", "110101")], correct=True)
    by: dict[str, Any] = {"measures": {"n": {"fn": "count"}}, "by": {"district": "area:district"}}
    assert await aggregate(env, "env.observations", **by) == [["110101", 1]]
    assert await aggregate(env, "env.observations", **by, known_at=before) == [["430302", 1]]


async def test_every_dataset_is_labelled_in_both_languages(env: Env) -> None:
    for dataset in env.app.state.runtime.service.datasets:
        assert dataset.title.zh and dataset.title.en and dataset.description.zh and dataset.description.en and dataset.legal_basis and dataset.freshness
        schema = (await env.client.get(f"/collections/{dataset.id}/schema", headers=env.headers)).json()
        assert {name for name in schema["properties"] if name != "geometry"} >= {field.name for field in dataset.fields}


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> pd.DataFrame:
    """Two years of PM2.5 of three stations of Beijing."""
    files = [next((shared_data / "env" / "beijing_dev").glob(f"PRSA_{name}_*.csv.gz")) for name in ("Dongsi", "Shunyi", "Wanliu")]
    rows = pd.concat([pd.read_csv(file) for file in files])
    rows = rows[(rows["year"] < 2015) & rows["PM2.5"].notna()]
    rows["time"] = pd.to_datetime(rows[["year", "month", "day", "hour"]]).dt.tz_localize("Asia/Shanghai")
    return rows


async def test_beijings_days_above_75_are_those_that_pandas_finds(env: Env, measured: pd.DataFrame) -> None:
    districts = {"Dongsi": "110101", "Shunyi": "110113", "Wanliu": "110108"}
    env.declare_areas([(code, "district") for code in districts.values() if code != "110101"])
    await env.put("/stations", [station(name, area) for name, area in districts.items()])
    await env.put("/series", [hourly(name, "pm25") for name in districts])
    lines = measured.assign(property="pm25", time=measured["time"].map(datetime.isoformat))[["station", "property", "time", "PM2.5"]]
    lines = lines.rename(columns={"PM2.5": "value"})
    taken = 0
    for start in range(0, len(lines), 20_000):
        content = lines[start : start + 20_000].to_csv(index=False).encode()
        answer = await env.client.post("/observations", content=content, headers=env.headers | {"Content-Type": "text/csv"})
        taken += answer.json()["taken"]
    assert taken == len(lines)

    days = measured.groupby(["station", measured["time"].dt.date])["PM2.5"].agg(["mean", "size"]).reset_index(names=["station", "date"])
    above = days[days["mean"] > 75]
    for valid, chosen in (("", above), (" AND hours >= 20", above[above["size"] >= 20])):
        expected = chosen.groupby([chosen["station"].map(districts), pd.to_datetime(chosen["date"]).dt.strftime("%Y-%m")]).size()
        rows = await aggregate(
            env,
            "env.daily",
            measures={"days": {"fn": "count"}},
            by={"district": "area:district", "month": "time:month"},
            filter=f"property = 'pm25' AND mean > 75{valid}",
            tz="Asia/Shanghai",
            limit=1000,
        )
        assert {(district, moment[:7]): count for district, moment, count in rows} == expected.to_dict()
