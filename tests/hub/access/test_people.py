"""People: accounts, sign-in, lockout."""

from __future__ import annotations

import asyncio
import json

import pytest

from services.hub.access.domain import FREE_FAILURES
from tests.hub.hub_under_test import HubUnderTest

PASSWORD = "correct horse battery"
LI_NA = {"name": "li.na", "password": PASSWORD, "scopes": ["hub:query"], "areas": ["4303"], "purposes": ["operations"], "clearance": {"grade": "important"}}


async def made(hub: HubUnderTest) -> None:
    answer = await hub.client.post("/users", json=LI_NA, headers=await hub.headers("admin"))
    assert answer.status_code == 201, answer.text
    assert PASSWORD not in answer.text


async def sign_in(hub: HubUnderTest, password: str = PASSWORD, **wish: str) -> tuple[int, dict[str, str]]:
    answer = await hub.client.post("/sign-in", json={"name": "li.na", "password": password, **wish})
    return answer.status_code, {"Authorization": f"Bearer {answer.json().get('access_token')}"}


async def test_a_person_signs_in_and_sees_who_they_are(hub: HubUnderTest) -> None:
    await made(hub)
    status, headers = await sign_in(hub)
    assert status == 200
    me = (await hub.client.get("/me", headers=headers)).json()
    assert (me["subject"], me["areas"], me["scopes"], me["clearance"]["grade"]) == ("user:li.na", ["4303"], ["hub:query"], "important")


async def test_only_administrators_make_accounts_and_names_are_unique(hub: HubUnderTest) -> None:
    assert (await hub.client.post("/users", json=LI_NA, headers=await hub.headers("duty"))).status_code == 403
    await made(hub)
    assert (await hub.client.post("/users", json=LI_NA, headers=await hub.headers("admin"))).status_code == 409
    assert [user["subject"] for user in (await hub.client.get("/users", headers=await hub.headers("admin"))).json()] == ["user:li.na"]


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "li.na li.na li.na!"])
async def test_poor_passwords_are_refused(hub: HubUnderTest, password: str) -> None:
    answer = await hub.client.post("/users", json={**LI_NA, "password": password}, headers=await hub.headers("admin"))
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/password")


async def test_half_a_character_is_no_part_of_a_password(hub: HubUnderTest) -> None:
    headers = {**await hub.headers("admin"), "Content-Type": "application/json"}
    for path, body in (("/users", {**LI_NA, "password": "\ud800 long enough"}), ("/sign-in", {"name": "li.na", "password": "\ud800"})):
        answer = await hub.client.post(path, content=json.dumps(body), headers=headers)
        assert (answer.status_code, answer.json()["pointer"]) == (422, "/password"), answer.text


async def test_wrong_password_unknown_name_and_disabled_account_answer_alike(hub: HubUnderTest) -> None:
    await made(hub)
    wrong = await hub.client.post("/sign-in", json={"name": "li.na", "password": "wrong"})
    unknown = await hub.client.post("/sign-in", json={"name": "nobody\0", "password": "wrong"})
    await hub.client.patch("/users/li.na", json={"disabled": True}, headers=await hub.headers("admin"))
    disabled = await hub.client.post("/sign-in", json={"name": "li.na", "password": PASSWORD})
    answers = [{name: value for name, value in answer.json().items() if name != "request_id"} for answer in (wrong, unknown, disabled)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["status"] == 401


async def test_the_account_shuts_after_wrong_passwords_even_when_tried_at_once_and_opens_again(hub: HubUnderTest) -> None:
    await made(hub)
    assert {status for status, _ in await asyncio.gather(*(sign_in(hub, f"wrong {number}") for number in range(6)))} == {401}
    kept = hub.city.sql(hub.app.state.runtime.settings, "SELECT failures, locked_until FROM users")
    assert kept[0]["failures"] >= FREE_FAILURES and kept[0]["locked_until"] is not None
    hub.city.sql(hub.app.state.runtime.settings, "UPDATE users SET locked_until = now() + interval '1 hour'")
    assert (await sign_in(hub))[0] == 401
    hub.city.sql(hub.app.state.runtime.settings, "UPDATE users SET locked_until = now()")
    assert (await sign_in(hub))[0] == 200
    kept = hub.city.sql(hub.app.state.runtime.settings, "SELECT failures, locked_until FROM users")
    assert [tuple(row) for row in kept] == [(0, None)]


async def test_a_person_asks_for_no_more_than_was_granted(hub: HubUnderTest) -> None:
    await made(hub)
    assert (await sign_in(hub, scope="hub:admin"))[0] == 400
    assert (await sign_in(hub, resource="430100/hub"))[0] == 400
    assert (await sign_in(hub, resource="430300/food"))[0] == 200


async def test_a_new_password_ends_the_old_ones_tokens(hub: HubUnderTest) -> None:
    await made(hub)
    _, headers = await sign_in(hub)
    change = {"old": "wrong", "new": "another fine password"}
    assert (await hub.client.post("/me/password", json=change, headers=headers)).status_code == 401
    assert (await hub.client.post("/me/password", json={**change, "old": PASSWORD}, headers=headers)).status_code == 204
    await hub.app.state.runtime.tokens.refresh()
    assert (await hub.client.get("/me", headers=headers)).status_code == 401
    assert (await sign_in(hub))[0] == 401
    assert (await sign_in(hub, "another fine password"))[0] == 200


async def test_an_administrator_sets_a_password_and_a_machine_has_none(hub: HubUnderTest) -> None:
    await made(hub)
    admin = await hub.headers("admin")
    assert (await hub.client.patch("/users/li.na", json={"password": "set by the administrator"}, headers=admin)).status_code == 200
    assert (await sign_in(hub, "set by the administrator"))[0] == 200
    assert (await hub.client.post("/me/password", json={"old": "x", "new": "y"}, headers=admin)).status_code == 403
    kept = hub.city.sql(hub.app.state.runtime.settings, "SELECT password_hash FROM users")
    assert kept[0]["password_hash"].startswith("$argon2id$")
