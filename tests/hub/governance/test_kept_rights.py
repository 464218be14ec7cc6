"""What the hub keeps is for those who may still have it: not for a token that was revoked, nor for a client that was given less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.source_failures import SourceFailure
from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation
from tests.hub.hub_under_test import HubUnderTest, clients_file

QUESTION = {"measures": {"n": {"fn": "count"}}, "by": {"area": "area"}, "max_age": 3600, "deadline_ms": 20_000}
AGGREGATE = "/collections/fire.calls/aggregate"
RIGHTS: dict[str, Any] = {
    "scopes": ["hub:query"],
    "areas": ["*"],
    "clearance": {"grade": "general", "personal": "none"},
    "purposes": ["operations", "statistics"],
    "audiences": ["430300/hub"],
}
Kept = tuple[Federation, HubUnderTest]


@pytest.fixture
async def kept(city: City, tmp_path: Path) -> AsyncIterator[Kept]:
    """A hub that keeps an answer of a sector that is away."""
    path, secrets = clients_file(tmp_path)
    async with federation(city, {"brigade": calls("a", 60)}, clients_file=path) as made:
        hub = HubUnderTest(made.app, made.client, secrets, city)
        answer = await made.client.post("/clients", json={"id": "panel", **RIGHTS}, headers=await hub.headers("admin"))
        assert answer.status_code == 201, answer.text
        hub.secrets["panel"] = answer.json()["client_secret"]
        yield made, hub


async def panels(made: Federation, headers: dict[str, str]) -> httpx.Response:
    return await made.client.post(AGGREGATE, json=QUESTION, headers=headers)


async def away(made: Federation, headers: dict[str, str]) -> None:
    """An answer is kept, and its source goes away: whoever is given it from now on is given what was kept."""
    assert (await panels(made, headers)).status_code == 200
    hub = made.app.state.runtime.own
    for answered in hub.kept.kept.all():
        answered.true_at -= 60

    async def broken(*_: Any, **__: Any) -> None:
        raise SourceFailure("The line is dead.")

    hub.client.ask = broken
    stale = await panels(made, headers)
    assert (stale.status_code, stale.json()["coverage"]["sources"][0]["status"]) == (200, "stale"), stale.text


async def change(hub: HubUnderTest, what: dict[str, Any]) -> None:
    answer = await hub.client.patch("/clients/panel", json=what, headers=await hub.headers("admin"))
    assert answer.status_code == 200, answer.text


async def test_a_revoked_token_is_given_nothing_that_was_kept(kept: Kept) -> None:
    made, hub = kept
    headers = await hub.headers("panel")
    await away(made, headers)
    await hub.client.post("/oauth/revoke", data={"token": headers["Authorization"][7:]}, headers=await hub.headers("admin"))
    assert (await panels(made, headers)).status_code == 401


@pytest.mark.parametrize("narrower", [{"areas": ["430302"]}, {"purposes": ["statistics"]}, {"clearance": {"grade": "general", "personal": "personal"}}])
async def test_a_client_whose_rights_change_is_given_nothing_that_was_kept_under_others(kept: Kept, narrower: dict[str, Any]) -> None:
    made, hub = kept
    headers = await hub.headers("panel")
    await away(made, headers)
    await change(hub, {"rights": RIGHTS | narrower})
    assert (await panels(made, headers)).status_code == 401, "the old token, at once"
    renewed = await hub.headers("panel", **({"purpose": "statistics"} if "purposes" in narrower else {}))
    answer = await panels(made, renewed)
    assert answer.status_code == 502, answer.text
    assert "rows" not in answer.json()


async def test_a_client_that_is_disabled_or_has_a_new_secret_is_refused_at_once(kept: Kept) -> None:
    made, hub = kept
    basic = httpx.BasicAuth("panel", hub.secrets["panel"])
    headers = await hub.headers("panel")
    await away(made, headers)
    assert (await made.client.get(f"{AGGREGATE}?measure=n:count", auth=basic)).status_code in (200, 502)
    answer = await hub.client.post("/clients/panel/secret", headers=await hub.headers("admin"))
    assert answer.status_code == 200
    assert (await panels(made, headers)).status_code == 401
    assert (await made.client.get(f"{AGGREGATE}?measure=n:count", auth=basic)).status_code == 401
    hub.secrets["panel"] = answer.json()["client_secret"]
    await change(hub, {"disabled": True})
    assert (await hub.ask("panel")).status_code == 401
