"""A sign-in goes on without the password being kept, and ends when it must."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from services.hub.access.domain import SESSION_LIFE_S
from tests.hub.hub_under_test import HubUnderTest

PASSWORD = "correct horse battery"
LI_NA = {"name": "li.na", "password": PASSWORD, "scopes": ["hub:query", "hub:events"], "areas": ["4303"], "purposes": ["operations"]}


async def signed_in(hub: HubUnderTest, **wish: str) -> dict[str, str]:
    made = await hub.client.post("/users", json=LI_NA, headers=await hub.headers("admin"))
    assert made.status_code == 201
    answer = await hub.client.post("/sign-in", json={"name": "li.na", "password": PASSWORD, **wish})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def renewed(hub: HubUnderTest, headers: dict[str, str]) -> httpx.Response:
    return await hub.client.post("/me/token", headers=headers)


async def me(hub: HubUnderTest, token: str) -> Any:
    return (await hub.client.get("/me", headers={"Authorization": f"Bearer {token}"})).json()


async def test_a_person_and_a_client_go_on_with_the_scopes_they_had(hub: HubUnderTest) -> None:
    answer = await renewed(hub, await signed_in(hub, scope="hub:query"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "hub:query"
    again = await renewed(hub, {"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert (await me(hub, again.json()["access_token"]))["subject"] == "user:li.na"
    assert (await renewed(hub, await hub.headers("duty"))).status_code == 200


async def test_a_renewed_token_has_the_rights_of_today_and_none_once_the_account_is_disabled(hub: HubUnderTest) -> None:
    headers, admin = await signed_in(hub), await hub.headers("admin")
    less = {"rights": {"scopes": ["hub:query"], "areas": ["430302"], "purposes": ["operations"]}}
    assert (await hub.client.patch("/users/li.na", json=less, headers=admin)).status_code == 200
    assert (await renewed(hub, headers)).status_code == 401, "the change revoked what was issued before it"
    answer = await hub.client.post("/sign-in", json={"name": "li.na", "password": PASSWORD})
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await me(hub, (await renewed(hub, headers)).json()["access_token"]))["areas"] == ["430302"]
    await hub.client.patch("/users/li.na", json={"disabled": True}, headers=admin)
    assert (await renewed(hub, headers)).status_code == 401


async def test_a_token_revoked_a_moment_ago_is_not_renewed_although_this_process_has_not_heard_of_it(hub: HubUnderTest) -> None:
    headers = await signed_in(hub)
    tokens = hub.app.state.runtime.tokens
    before = tokens._revoked_subjects
    await hub.client.post("/oauth/revoke", data={"subject": "user:li.na"}, headers=await hub.headers("admin"))
    tokens._revoked_subjects = before
    tokens._verified.clear()
    assert (await hub.client.get("/me", headers=headers)).status_code == 200, "it would still pass here"
    assert (await renewed(hub, headers)).status_code == 401


@pytest.mark.parametrize(("ago_s", "status"), [(60, 200), (SESSION_LIFE_S - 100, 200), (SESSION_LIFE_S + 1, 401)])
async def test_a_sign_in_ends_after_a_shift_however_often_it_was_renewed(hub: HubUnderTest, ago_s: int, status: int) -> None:
    await signed_in(hub)
    token = hub.city.token("hub", scope="hub:query", subject="user:li.na", areas=["4303"], auth_time=int(time.time()) - ago_s)
    answer = await renewed(hub, {"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["expires_in"] <= SESSION_LIFE_S - ago_s + 1


async def test_nobody_renews_what_was_minted_on_anothers_behalf_or_for_nobody_known(hub: HubUnderTest) -> None:
    hop = hub.city.token("hub", scope="hub:query", subject="client:duty", actor="430100/hub")
    assert (await renewed(hub, {"Authorization": f"Bearer {hop}"})).status_code == 403
    unknown = hub.city.token("hub", scope="hub:query", subject="user:nobody")
    assert (await renewed(hub, {"Authorization": f"Bearer {unknown}"})).status_code == 401
    assert (await renewed(hub, {})).status_code == 401
