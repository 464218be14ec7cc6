"""Outlines in the running service: from the event of a release to the on-site card, through wind, revisions and events out of order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.env.outlines.handlers import lift_outline, outline_release
from shared.events.model import CloudEvent, Event
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from tests.env.conftest import Env, station

RELEASE = "01JD0000000000000000000001"
LON, LAT = 112.94, 27.83


def reported(revision: int = 1, **others: Any) -> ReleaseReported:
    values: dict[str, Any] = {
        "release": RELEASE,
        "revision": revision,
        "site": "430300:S1",
        "substance": "7782-50-5",
        "name_zh": "氯",
        "name_en": "Chlorine",
        "un": "1017",
        "rate_kg_s": 0.8,
        "amount_kg": None,
        "began_at": datetime.now(UTC),
        "lon": LON,
        "lat": LAT,
        "area": "430302",
        "regarding": f"releases/{RELEASE}",
    }
    return ReleaseReported(**(values | others))


def concluded() -> ReleaseConcluded:
    return ReleaseConcluded(release=RELEASE, site="430300:S1", ended_at=datetime.now(UTC), area="430302", regarding=f"releases/{RELEASE}")


async def tell(env: Env, event: Event) -> None:
    """Hand an event to its handler, in a transaction of its own."""
    handler = outline_release if isinstance(event, ReleaseReported) else lift_outline
    envelope = CloudEvent(id="1", source="/430300/worksafety", type=event.type, subject=event.subject, time=datetime.now(UTC), sequence="1", data={})
    runtime = env.app.state.runtime
    async with runtime.sessions() as session, session.begin():
        await handler(envelope, event, session)


async def blow(env: Env, code: str, speed: float, direction: float, at: datetime, lon: float = LON + 0.05, lat: float = LAT) -> None:
    """A station near the release measures wind."""
    await env.put("/stations", [station(code, lon=lon, lat=lat, crs="wgs84")])
    await env.put("/series", [{"station": code, "property": name, "timing": "instant"} for name in ("wind_speed", "wind_direction")])
    time = at.isoformat()
    rows = (("wind_speed", speed), ("wind_direction", direction))
    await env.load([{"station": code, "property": name, "time": time, "value": value} for name, value in rows])


async def outline(env: Env, release: str = RELEASE) -> dict[str, Any]:
    answer = await env.client.get("/outlines", params={"release": release}, headers=env.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["outlines"][0]
    return found


def told(env: Env) -> list[tuple[str, int | None]]:
    rows = env.sql(
        "SELECT envelope->>'type' AS type, (envelope->'data'->>'revision')::int AS revision FROM outbox WHERE subject LIKE 'releases/%' ORDER BY position"
    )
    return [(row["type"].split(".")[2], row["revision"]) for row in rows]


async def test_repeated_and_late_reports_change_nothing(env: Env) -> None:
    await tell(env, reported(1))
    await tell(env, reported(1))
    await tell(env, reported(3, amount_kg=50_000))
    await tell(env, reported(2, amount_kg=100))
    newest = await outline(env)
    assert (newest["revision"], newest["isolation_m"], newest["method"]) == (2, 1000, "erg-isolation")
    await tell(env, concluded())
    await tell(env, concluded())
    await tell(env, reported(4))
    assert told(env) == [("computed", 1), ("computed", 2), ("lifted", None)]
    assert (await outline(env))["lifted_at"] is not None


async def test_a_conclusion_that_overtakes_the_report_stands(env: Env) -> None:
    await tell(env, concluded())
    await tell(env, reported())
    assert told(env) == [("lifted", None)]
    assert (await outline(env))["geometry"] is None


async def test_the_wind_comes_from_the_nearest_fresh_station_and_turns_the_outline(env: Env) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    await blow(env, "FAR", 5, 180, now - timedelta(minutes=5), lon=LON + 0.25)
    await blow(env, "OLD", 5, 90, now - timedelta(hours=3), lon=LON + 0.01)
    await blow(env, "OUT", 5, 45, now - timedelta(minutes=1), lat=LAT + 0.3)
    await tell(env, reported())
    first = await outline(env)
    assert (first["wind_station"], first["wind_from_deg"], first["wind_speed_m_s"]) == ("FAR", 180, 5)
    await blow(env, "NEAR", 5, 182, now - timedelta(minutes=2))
    assert (await outline(env))["revision"] == 1  # two degrees move nothing
    await blow(env, "NEAR", 5, 270, now - timedelta(minutes=1))
    turned = await outline(env)
    assert (turned["revision"], turned["wind_station"], turned["wind_from_deg"]) == (2, "NEAR", 270)
    assert told(env) == [("computed", 1), ("computed", 2)]
    await tell(env, concluded())
    await blow(env, "NEAR", 5, 90, now)
    assert (await outline(env))["revision"] == 2


async def test_a_plume_follows_the_guidebook_as_the_next_revision(env: Env) -> None:
    await blow(env, "W", 4, 270, datetime.now(UTC) - timedelta(minutes=1))
    await tell(env, reported(substance="630-08-0", un="1016", rate_kg_s=2.0))
    newest = await outline(env)
    assert (newest["revision"], newest["method"], newest["valid"]) == (2, "gaussian-plume", True)
    assert told(env) == [("computed", 1), ("computed", 2)]


async def test_outlines_are_features_and_only_those_of_the_callers_areas(env: Env) -> None:
    await tell(env, reported())
    here = await env.client.get("/collections/env.outlines/items", params={"bbox": "112.9,27.8,113,27.9"}, headers=env.headers)
    assert [(item["id"], item["geometry"]["type"]) for item in here.json()["features"]] == [(RELEASE, "Polygon")]
    elsewhere = env.city.headers("env", scope="env:read", areas=["1101"])
    assert (await env.client.get("/outlines", headers=elsewhere)).json() == {"outlines": []}
    assert (await env.client.get("/collections/env.outlines/items", headers=elsewhere)).json()["numberReturned"] == 0


async def test_wind_whose_speed_comes_before_its_direction_turns_nothing_back(env: Env) -> None:
    now = datetime.now(UTC)
    await blow(env, "NEAR", 4, 270, now - timedelta(minutes=10))
    await blow(env, "FAR", 5, 180, now - timedelta(minutes=9), lon=LON + 0.2)
    await tell(env, reported())
    ahead = {"station": "NEAR", "time": (now - timedelta(minutes=1)).isoformat()}
    await env.load([ahead | {"property": "wind_speed", "value": 4.5}])
    await tell(env, reported(2, rate_kg_s=0.9))
    kept = await outline(env)
    assert (kept["wind_station"], kept["wind_from_deg"], kept["wind_speed_m_s"]) == ("NEAR", 270, 4)
    await env.load([ahead | {"property": "wind_direction", "value": 0}])
    turned = await outline(env)
    assert (turned["wind_from_deg"], turned["wind_speed_m_s"]) == (0, 4.5)


async def test_loads_of_wind_ask_once_for_active_releases(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an active release: one query after the load, none for other properties."""
    asked: list[str] = []

    async def counted(*_: Any) -> None:
        asked.append("wind")

    monkeypatch.setattr("services.env.observations.api.follow_wind", counted)
    now = datetime.now(UTC)
    await blow(env, "W", 4, 270, now)
    await env.load([{"station": "A", "property": "pm25", "time": (now - timedelta(hours=2)).isoformat(), "value": 10}])
    assert asked == ["wind"]
