"""Revocation by RFC 7009, seen at the hub and at a service that polls it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from services.hub.access.issuer import forget_expired
from services.hub.access.keys import rotate
from services.hub.app import service as hub_service
from services.hub.models import Base
from shared.auth import AnyCaller
from shared.service import Service, create_app
from shared.testing import running, serving
from shared.tokens import hash_token_id
from shared.vocabulary import Text
from tests.city import City
from tests.hub.hub_under_test import HubUnderTest, clients_file


async def test_a_client_revokes_its_own_token_at_once(hub: HubUnderTest) -> None:
    token = (await hub.ask("analyst")).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await hub.client.get("/me", headers=headers)).status_code == 200
    answer = await hub.client.post("/oauth/revoke", data={"token": token}, auth=("analyst", hub.secrets["analyst"]))
    assert answer.status_code == 200
    refused = await hub.client.get("/me", headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (401, "The token has been revoked.")
    assert (await hub.client.get("/me", headers=await hub.headers("analyst"))).status_code == 200


async def test_nobody_revokes_anothers_token_but_an_administrator(hub: HubUnderTest) -> None:
    token = (await hub.ask("analyst")).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await hub.client.post("/oauth/revoke", data={"token": token}, headers=await hub.headers("duty"))).status_code == 200
    assert (await hub.client.get("/me", headers=headers)).status_code == 200
    assert (await hub.client.post("/oauth/revoke", data={"token": token}, headers=await hub.headers("admin"))).status_code == 200
    assert (await hub.client.get("/me", headers=headers)).status_code == 401


async def test_a_token_that_is_not_ours_answers_200_and_changes_nothing(hub: HubUnderTest) -> None:
    for nonsense in ("nonsense", "a.b.c", "x" * 9000):
        answer = await hub.client.post("/oauth/revoke", data={"token": nonsense}, headers=await hub.headers("admin"))
        assert answer.status_code == 200
    assert (await hub.client.get("/oauth/revocations")).json() == {"tokens": [], "subjects": {}}


async def test_revocation_needs_credentials_and_a_subject_needs_an_administrator(hub: HubUnderTest) -> None:
    assert (await hub.client.post("/oauth/revoke", data={"token": "x"})).status_code == 401
    assert (await hub.client.post("/oauth/revoke", data={"token": "x"}, headers={"Authorization": "Bearer x"})).status_code == 401
    assert (await hub.client.post("/oauth/revoke", data={"subject": "client:duty"}, headers=await hub.headers("duty"))).status_code == 403
    for subject in ("duty", "client:\x07", "client:" + "x" * 200):
        assert (await hub.client.post("/oauth/revoke", data={"subject": subject}, headers=await hub.headers("admin"))).status_code == 400
    assert (await hub.client.post("/oauth/revoke", data={"a": "b"}, headers=await hub.headers("admin"))).status_code == 400


async def test_all_tokens_of_a_subject_so_far_are_revoked(hub: HubUnderTest) -> None:
    old = [await hub.headers("duty"), await hub.headers("duty")]
    await hub.client.post("/oauth/revoke", data={"subject": "client:duty"}, headers=await hub.headers("admin"))
    assert {(await hub.client.get("/me", headers=headers)).status_code for headers in old} == {401}
    await asyncio.sleep(1.0)  # moments are compared in whole seconds
    assert (await hub.client.get("/me", headers=await hub.headers("duty"))).status_code == 200


async def test_the_list_is_public_holds_hashes_only_and_answers_304(hub: HubUnderTest) -> None:
    token = (await hub.ask("analyst")).json()["access_token"]
    token_id = hub.app.state.runtime.own.issuer.read(token)["jti"]
    await hub.client.post("/oauth/revoke", data={"token": token}, headers=await hub.headers("admin"))
    listed = await hub.client.get("/oauth/revocations")
    assert listed.json() == {"tokens": [hash_token_id(token_id)], "subjects": {}}
    assert token_id not in listed.text
    again = await hub.client.get("/oauth/revocations", headers={"If-None-Match": listed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_revocations_are_forgotten_when_no_token_can_meet_them(hub: HubUnderTest) -> None:
    settings = hub.app.state.runtime.settings
    hub.city.sql(settings, "INSERT INTO revoked_tokens VALUES ('old', now() - interval '1 hour', 'x'), ('new', now() + interval '1 minute', 'x')")
    hub.city.sql(settings, "INSERT INTO revoked_subjects VALUES ('client:old', now() - interval '1 hour', 'x'), ('client:new', now(), 'x')")
    listed = (await hub.client.get("/oauth/revocations")).json()
    assert (listed["tokens"], list(listed["subjects"])) == (["new"], ["client:new"])
    async with hub.app.state.runtime.sessions.begin() as session:
        await forget_expired(session)
    kept = hub.city.sql(settings, "SELECT hash AS name FROM revoked_tokens UNION ALL SELECT subject FROM revoked_subjects")
    assert {row["name"] for row in kept} == {"new", "client:new"}


async def test_a_service_takes_the_hubs_tokens_across_a_rotation_and_refuses_revoked_ones(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service knows the hub only over HTTP, as in a city."""
    monkeypatch.setattr("shared.tokens.REFRESH_S", 0.2)
    path, secrets = clients_file(tmp_path)
    hub_app = create_app(hub_service, city.settings("hub", clients_file=path))
    lab = Service(name="lab", title=Text("实验室", "Laboratory"), routers=[], metadata=Base.metadata)

    async with serving(hub_app) as hub_client:
        url = str(hub_client.base_url).rstrip("/")
        settings = city.settings("hub").model_copy(update={"service": "lab", "hub_url": url, "cache_dir": tmp_path / "cache"})
        lab_app = create_app(lab, settings)

        @lab_app.get("/who")
        async def who(caller: AnyCaller) -> str:
            return caller.subject

        async with running(lab_app) as lab_client:
            hub = HubUnderTest(hub_app, hub_client, secrets, city)
            before = await hub.headers("analyst", resource="430300/lab")
            assert (await lab_client.get("/who", headers=before)).json() == "client:analyst"

            issuer = hub_app.state.runtime.own.issuer
            issuer.ring = rotate(issuer._folder, int(time.time()), force=True)
            after = await hub.headers("analyst", resource="430300/lab")
            assert (await lab_client.get("/who", headers=after)).status_code == 200
            assert (await lab_client.get("/who", headers=before)).status_code == 200

            await hub_client.post("/oauth/revoke", data={"token": before["Authorization"][7:]}, headers=await hub.headers("admin"))
            for _ in range(40):
                if (refused := await lab_client.get("/who", headers=before)).status_code == 401:
                    break
                await asyncio.sleep(0.1)
            assert refused.status_code == 401
            assert (await lab_client.get("/who", headers=after)).status_code == 200
            assert (await lab_client.get("/who", headers=await hub.headers("analyst"))).status_code == 401


async def test_a_token_asked_for_right_after_a_revocation_lives(hub: HubUnderTest) -> None:
    for _ in range(3):
        old = await hub.headers("duty")
        await hub.client.post("/oauth/revoke", data={"subject": "client:duty"}, headers=await hub.headers("admin"))
        new = await hub.headers("duty")
        assert [(await hub.client.get("/me", headers=headers)).status_code for headers in (old, new)] == [401, 200]
