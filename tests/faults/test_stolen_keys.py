"""Somebody holds all that the fire service holds: its settings with every secret in them, and each token that it is sent."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
import redis

from tests.faults.faulted_city import AREA, FaultedCity, within

OTHERS = ("hub", "food", "traffic", "env", "worksafety", "intercity")


@pytest.fixture(scope="module")
def stolen(faulted: FaultedCity) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(faulted.settings_file("fire").read_text(encoding="utf-8"))
    return found


def forged(kind: str, source: str) -> dict[str, str]:
    """An entry of a stream that says that chlorine escapes."""
    release = uuid.uuid4().hex[:26].upper()
    envelope = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": source,
        "type": kind,
        "subject": "sites/forged",
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "sequence": "1",
        "area": AREA,
        "regarding": f"releases/{release}",
        "data": {
            "release": release,
            "revision": 1,
            "site": "forged",
            "substance": "7782-50-5",
            "name_zh": "氯",
            "name_en": "chlorine",
            "un": "1017",
            "rate_kg_s": 1.0,
            "amount_kg": None,
            "began_at": datetime.now(UTC).isoformat(),
            "lon": 112.9,
            "lat": 27.8,
        },
    }
    return {"event": json.dumps(envelope)}


def test_it_can_append_to_no_other_stream(faulted: FaultedCity, stolen: dict[str, Any]) -> None:
    for key in ("redis_publish_url", "redis_consume_url"):
        with redis.Redis.from_url(stolen[key]) as client:
            for other in OTHERS:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.xadd(f"events:430300/{other}", forged("worksafety.release.reported.v1", "/430300/worksafety"))
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.xtrim(f"events:430300/{other}", maxlen=0)
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.delete(f"events:430300/{other}")


def test_an_event_in_anothers_name_on_its_own_stream_takes_no_effect(faulted: FaultedCity, stolen: dict[str, Any]) -> None:
    effects = {
        "SELECT 1 FROM event_log WHERE type LIKE 'worksafety.%'": "hub",
        "SELECT 1 FROM incident_subjects": "hub",
        "SELECT 1 FROM outlines": "env",
        "SELECT 1 FROM closures": "traffic",
    }
    before = {statement: len(faulted.rows(service, statement)) for statement, service in effects.items()}
    with redis.Redis.from_url(stolen["redis_publish_url"]) as client:
        client.xadd("events:430300/fire", forged("worksafety.release.reported.v1", "/430300/worksafety"))
        client.xadd("events:430300/fire", forged("worksafety.release.reported.v1", "/430300/fire"))
    number = f"after-{uuid.uuid4().hex[:8]}"
    call = {"number": number, "kind": "alarm", "priority": "emergency", "received_at": datetime.now(UTC).isoformat(), "area": AREA}
    assert faulted.call("fire", "POST", "/calls", json=call).status_code == 201
    assert within(90, lambda: bool(faulted.rows("hub", f"SELECT 1 FROM event_log WHERE envelope->'data'->>'call' LIKE '%{number}'"))), "what follows arrives"
    time.sleep(0.3)
    assert {statement: len(faulted.rows(service, statement)) for statement, service in effects.items()} == before


def test_its_roles_open_no_other_database(faulted: FaultedCity, stolen: dict[str, Any]) -> None:
    async def enter(url: str) -> None:
        await (await asyncpg.connect(url, timeout=5)).close()

    for key in ("database_url", "reader_url"):
        server = stolen[key].rpartition("/")[0]
        for other in (*OTHERS, "postgres", "template1"):
            with ThreadPoolExecutor(1) as own_loop, pytest.raises(asyncpg.InsufficientPrivilegeError):
                own_loop.submit(asyncio.run, enter(f"{server}/{other}")).result()


def test_a_token_that_it_was_sent_opens_nothing_else(faulted: FaultedCity) -> None:
    seen = faulted.token("fire-system", "fire")
    assert httpx.get(f"{faulted.url('fire')}/capabilities", headers=seen, trust_env=False).status_code == 200
    for other in OTHERS:
        answer = httpx.get(f"{faulted.url(other)}/capabilities", headers=seen, trust_env=False)
        assert answer.status_code == 401, f"{other}: {answer.text}"


def test_its_own_client_reads_at_the_hub_and_at_traffic_and_changes_nothing(faulted: FaultedCity, stolen: dict[str, Any]) -> None:
    def token(**form: str) -> httpx.Response:
        own = {"grant_type": "client_credentials", "client_id": "fire-service", "client_secret": stolen["client_secret"]}
        return httpx.post(f"{faulted.url('hub')}/oauth/token", data=own | form, trust_env=False)

    for other in ("food", "env", "worksafety", "intercity"):
        assert token(resource=f"430300/{other}").json()["error"] == "invalid_target"
    for service in ("hub", "traffic"):
        assert token(resource=f"430300/{service}").json()["scope"] == "hub:query"
        assert token(resource=f"430300/{service}", scope=f"{service}:write").json()["error"] == "invalid_scope"
    at_hub = {"Authorization": f"Bearer {token(resource='430300/hub').json()['access_token']}"}
    at_traffic = {"Authorization": f"Bearer {token(resource='430300/traffic').json()['access_token']}"}
    for method, url, headers in (
        ("POST", f"{faulted.url('hub')}/sources", at_hub),
        ("POST", f"{faulted.url('hub')}/incidents", at_hub),
        ("POST", f"{faulted.url('hub')}/warnings", at_hub),
        ("POST", f"{faulted.url('traffic')}/closures", at_traffic),
    ):
        answer = httpx.request(method, url, headers=headers, json={}, trust_env=False)
        assert answer.status_code == 403, f"{url}: {answer.status_code} {answer.text}"
