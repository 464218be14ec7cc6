"""POST /oauth/token by RFC 6749 and RFC 8707, on a real database."""

from __future__ import annotations

import asyncio
import stat
import time
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from services.hub.access.clients_file import UnsafeClientsFile, read_clients
from services.hub.app import service
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.hub.hub_under_test import HubUnderTest, clients_file

GRANT = {"grant_type": "client_credentials"}


async def claims(hub: HubUnderTest, token: str) -> dict[str, object]:
    keys = (await hub.client.get("/.well-known/jwks.json")).json()
    return jwt.decode(token, KeySet.import_key_set(keys), algorithms=["Ed25519"]).claims


async def test_a_client_gets_a_token_for_one_service_with_the_claims_of_the_contract(hub: HubUnderTest) -> None:
    answer = await hub.ask("env-system", resource="430300/env")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "env:audit env:read env:write")
    found = await claims(hub, body["access_token"])
    assert found["sub"] == "client:env-system"
    assert found["aud"] == "430300/env"
    assert found["areas"] == ["*"]
    assert found["clearance"] == {"grade": "important", "personal": "none"}
    assert found["purpose"] == "operations"
    assert found["iss"] == hub.app.state.runtime.settings.issuer
    assert 0 < int(str(found["exp"])) - time.time() <= 900


async def test_without_resource_the_token_opens_the_hub(hub: HubUnderTest) -> None:
    me = await hub.client.get("/me", headers=await hub.headers("analyst"))
    assert me.status_code == 200
    assert (me.json()["subject"], me.json()["audience"]) == ("client:analyst", "430300/hub")


async def test_basic_credentials_are_taken_form_decoded(hub: HubUnderTest) -> None:
    answer = await hub.client.post("/oauth/token", data=GRANT, auth=("env-system", hub.secrets["env-system"]))
    assert answer.status_code == 200


async def test_basic_credentials_open_the_hubs_own_routes(hub: HubUnderTest) -> None:
    right = await hub.client.get("/me", auth=("analyst", hub.secrets["analyst"]))
    wrong = await hub.client.get("/me", auth=("analyst", hub.secrets["duty"]))
    assert (right.status_code, right.json()["subject"]) == (200, "client:analyst")
    assert wrong.status_code == 401


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({}, 400, "invalid_request"),
        ({**GRANT}, 401, "invalid_client"),
        ({**GRANT, "client_id": "env-system", "client_secret": "wrong"}, 401, "invalid_client"),
        ({**GRANT, "client_id": "nobody", "client_secret": "wrong"}, 401, "invalid_client"),
        ({**GRANT, "client_id": "nul\0", "client_secret": "wrong"}, 401, "invalid_client"),
        ({**GRANT, "client_id": "x" * 10_000, "client_secret": "wrong"}, 401, "invalid_client"),
    ],
)
async def test_what_is_wrong_with_the_client_is_said_by_the_standards_codes(hub: HubUnderTest, form: dict[str, str], status: int, error: str) -> None:
    answer = await hub.client.post("/oauth/token", data=form)
    if form == {}:
        answer = await hub.client.post("/oauth/token", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"scope": "food:write"}, "invalid_scope"),
        ({"scope": "hub:admin"}, "invalid_scope"),
        ({"resource": "430300/food"}, "invalid_target"),
        ({"resource": "430100/env"}, "invalid_target"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"purpose": "curiosity"}, "invalid_request"),
    ],
)
async def test_a_client_gets_no_more_than_was_granted(hub: HubUnderTest, wish: dict[str, str], error: str) -> None:
    answer = await hub.ask("env-system", **wish)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_scope_narrows_the_token(hub: HubUnderTest) -> None:
    answer = await hub.ask("env-system", resource="430300/env", scope="env:read")
    assert answer.json()["scope"] == "env:read"


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=client_credentials&resource=a&resource=b", "application/x-www-form-urlencoded", "invalid_target"),
        (b'{"grant_type": "client_credentials"}', "application/json", "invalid_request"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded", "invalid_request"),
        (b"a=%ff%fe", "application/x-www-form-urlencoded", "invalid_request"),
        (b"a&b&c", "application/x-www-form-urlencoded", "invalid_request"),
        (b"&".join(b"p%d=1" % number for number in range(100)), "application/x-www-form-urlencoded", "invalid_request"),
        (b"grant_type=" + b"x" * 20_000, "application/x-www-form-urlencoded", "invalid_request"),
    ],
)
async def test_malformed_forms_are_refused(hub: HubUnderTest, body: bytes, kind: str, error: str) -> None:
    answer = await hub.client.post("/oauth/token", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_credentials_in_two_places_are_refused(hub: HubUnderTest) -> None:
    answer = await hub.client.post("/oauth/token", data={**GRANT, "client_id": "duty"}, auth=("analyst", hub.secrets["analyst"]))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("credential", ["", "!!!", "bm9jb2xvbg==", "//8="])
async def test_broken_basic_credentials_are_an_invalid_client(hub: HubUnderTest, credential: str) -> None:
    answer = await hub.client.post("/oauth/token", data=GRANT, headers={"Authorization": f"Basic {credential}"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_many_failures_are_turned_away_and_the_right_secret_still_passes(hub: HubUnderTest) -> None:
    wrong = {**GRANT, "client_id": "duty", "client_secret": "wrong"}
    answers = [await hub.client.post("/oauth/token", data=wrong) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await hub.ask("duty")).status_code == 200


async def test_a_disabled_client_gets_no_token_and_its_old_one_is_refused(hub: HubUnderTest) -> None:
    old = await hub.headers("analyst")
    change = await hub.client.patch("/clients/analyst", json={"disabled": True}, headers=await hub.headers("admin"))
    assert change.status_code == 200
    assert change.json()["disabled"] is True
    assert (await hub.ask("analyst")).status_code == 401
    await hub.app.state.runtime.tokens.refresh()
    assert (await hub.client.get("/me", headers=old)).status_code == 401


async def test_an_administrator_makes_clients_and_renews_secrets_and_others_do_not(hub: HubUnderTest) -> None:
    wish = {"id": "lab-7", "scopes": ["food:read"], "areas": ["430302"], "purposes": ["analysis"], "audiences": ["430300/hub", "430300/food"]}
    assert (await hub.client.post("/clients", json=wish, headers=await hub.headers("analyst"))).status_code == 403
    admin = await hub.headers("admin")
    made = await hub.client.post("/clients", json=wish, headers=admin)
    assert made.status_code == 201
    hub.secrets["lab-7"] = made.json()["client_secret"]
    assert (await hub.client.get("/me", headers=await hub.headers("lab-7"))).json()["areas"] == ["430302"]
    assert (await hub.client.post("/clients", json=wish, headers=admin)).status_code == 409
    renewed = await hub.client.post("/clients/lab-7/secret", headers=admin)
    assert (await hub.ask("lab-7")).status_code == 401
    hub.secrets["lab-7"] = renewed.json()["client_secret"]
    assert (await hub.ask("lab-7")).status_code == 200
    listed = await hub.client.get("/clients", headers=admin)
    assert "lab-7" in listed.text and hub.secrets["lab-7"] not in listed.text
    assert (await hub.client.patch("/clients/nobody", json={}, headers=admin)).status_code == 404


@pytest.mark.parametrize("change", [{"scopes": ["everything"]}, {"areas": ["43; DROP"]}, {"purposes": []}, {"clearance": {"grade": "core"}}, {"id": "A B"}])
async def test_nonsense_rights_are_refused_with_the_place(hub: HubUnderTest, change: dict[str, object]) -> None:
    wish = {"id": "lab-8", "scopes": ["food:read"], "areas": [], "purposes": ["analysis"], **change}
    answer = await hub.client.post("/clients", json=wish, headers=await hub.headers("admin"))
    assert answer.status_code == 422
    assert answer.json()["pointer"].startswith(f"/{next(iter(change))}")


async def test_secrets_are_kept_only_as_hashes(hub: HubUnderTest) -> None:
    kept = hub.city.sql(hub.app.state.runtime.settings, "SELECT c::text AS row FROM clients c")
    assert len(kept) == len(hub.secrets)
    assert not any(secret in row["row"] for row in kept for secret in hub.secrets.values())


async def test_a_new_clients_file_brings_new_secrets_unless_an_administrator_changed_them(city: City, tmp_path: Path) -> None:
    path, first = clients_file(tmp_path)
    settings = city.settings("hub", clients_file=path)
    async with running(create_app(service, settings)) as client:
        hub = HubUnderTest(create_app(service, settings), client, first, city)
        renewed = await client.post("/clients/duty/secret", headers=await hub.headers("admin"))
    _, second = clients_file(tmp_path)
    async with running(create_app(service, settings)) as client:
        hub = HubUnderTest(create_app(service, settings), client, second, city)
        assert (await hub.ask("admin")).status_code == 200
        assert (await hub.ask("duty")).status_code == 401
        hub.secrets = {**second, "duty": renewed.json()["client_secret"]}
        assert (await hub.ask("duty")).status_code == 200


def test_a_clients_file_that_others_can_read_or_that_is_wrong_is_refused_without_showing_secrets(tmp_path: Path) -> None:
    path, secrets = clients_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {entry.id for entry in read_clients(path)} == set(secrets)
    path.chmod(0o640)
    with pytest.raises(UnsafeClientsFile, match="chmod 600"):
        read_clients(path)
    path.write_text('[{"id": "x", "secret": "hush-hush"}]')
    path.chmod(0o600)
    with pytest.raises(UnsafeClientsFile, match="/0/secret") as refused:
        read_clients(path)
    assert "hush-hush" not in str(refused.value)


async def test_a_hub_whose_database_is_away_starts_and_takes_its_clients_later(city: City, tmp_path: Path) -> None:
    path, secrets = clients_file(tmp_path)
    settings = city.settings("hub", clients_file=path)
    city.postgres.stop()
    try:
        async with running(create_app(service, settings)) as client:
            hub = HubUnderTest(create_app(service, settings), client, secrets, city)
            assert (await client.get("/.well-known/jwks.json")).status_code == 200
            assert (await hub.ask("admin")).status_code == 503
            city.postgres.start()
            for _ in range(50):
                if (answer := await hub.ask("admin")).status_code == 200:
                    break
                await asyncio.sleep(0.1)
            assert answer.status_code == 200
    finally:
        if city.postgres.process is None:
            city.postgres.start()
