"""What opens the hub: its own tokens for itself, in time, and nothing else; and what the log says of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from shared.caller import Caller
from tests.hub.hub_under_test import HubUnderTest


def encoded(part: dict[str, Any] | bytes) -> str:
    return base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=").decode()


def without_signature(hub: HubUnderTest, claims: dict[str, Any]) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims)}."


def hmac_with_the_public_key(hub: HubUnderTest, claims: dict[str, Any]) -> str:
    key = hub.app.state.runtime.own.issuer.ring.current.public
    body = f"{encoded({'alg': 'HS256', 'kid': key['kid']})}.{encoded(claims)}"
    secret = base64.urlsafe_b64decode(key["x"] + "=")
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def by_another_key(hub: HubUnderTest, claims: dict[str, Any]) -> str:
    kid = hub.app.state.runtime.own.issuer.ring.current.kid
    return jwt.encode({"alg": "Ed25519", "kid": kid}, claims, OKPKey.generate_key("Ed25519"), algorithms=["Ed25519"])


def with_more_scope(hub: HubUnderTest, claims: dict[str, Any]) -> str:
    head, _, signature = hub.app.state.runtime.own.issuer.mint(claims).split(".")
    return f"{head}.{encoded({**claims, 'scope': 'hub:admin'})}.{signature}"


def signed(**changed: Any) -> Callable[[HubUnderTest, dict[str, Any]], str]:
    return lambda hub, claims: hub.app.state.runtime.own.issuer.mint({**claims, **changed})


FORGERIES = {
    "alg none": without_signature,
    "HS256 with the public key": hmac_with_the_public_key,
    "another key under our key id": by_another_key,
    "tampered": with_more_scope,
    "another audience": signed(aud="430300/food"),
    "another city's hub": signed(aud="430100/hub"),
    "another issuer": signed(iss="http://elsewhere.example"),
    "expired": signed(exp=int(time.time()) - 61),
    "not yet issued": signed(iat=int(time.time()) + 3600),
    "no areas that are a list": signed(areas=7),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_token_opens_nothing(hub: HubUnderTest, forgery: str) -> None:
    now = int(time.time())
    claims = {
        "iss": hub.app.state.runtime.settings.issuer,
        "sub": "client:admin",
        "aud": "430300/hub",
        "scope": "hub:query",
        "areas": ["*"],
        "iat": now,
        "exp": now + 60,
        "jti": "x",
    }
    assert (await hub.client.get("/me", headers={"Authorization": f"Bearer {signed()(hub, claims)}"})).status_code == 200
    answer = await hub.client.get("/me", headers={"Authorization": f"Bearer {FORGERIES[forgery](hub, claims)}"})
    assert answer.status_code == 401, forgery
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_hop_token_opens_only_the_service_it_was_minted_for(hub: HubUnderTest) -> None:
    issuer = hub.app.state.runtime.own.issuer
    asker = Caller("user:li.na", "430300/hub", frozenset({"hub:query"}), ("*",))
    claims = issuer.read(issuer.hop(asker, "430300/food"))
    assert 59 < claims["exp"] - claims["iat"] <= 60
    assert claims["act"] == {"sub": "430300/hub"}
    stolen = {"Authorization": f"Bearer {issuer.hop(asker, '430300/food')}"}
    assert (await hub.client.get("/me", headers=stolen)).status_code == 401


async def test_a_hop_token_is_used_for_one_token_of_the_asker_and_for_seconds(hub: HubUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = hub.app.state.runtime.own.issuer
    asker = Caller("user:li.na", "430300/hub", frozenset({"hub:query"}), ("*",), token_id="one")
    token = issuer.hop(asker, "430300/food")
    assert issuer.hop(asker, "430300/food") == token
    others = [
        issuer.hop(asker, "430300/fire"),
        issuer.hop(replace(asker, token_id="two"), "430300/food"),
        issuer.hop(replace(asker, areas=("43",)), "430300/food"),
    ]
    started = time.time()
    for clock in (started + 21, started - 21):  # later, and after the clock was set back
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        others.append(issuer.hop(asker, "430300/food"))
    assert len({token, *others}) == 6


async def test_decisions_are_logged_and_secrets_are_not(hub: HubUnderTest, capfd: pytest.CaptureFixture[str]) -> None:
    token = (await hub.ask("duty", resource="430300/env")).json()["access_token"]
    await hub.client.post("/oauth/token", data={"grant_type": "client_credentials", "client_id": "duty", "client_secret": "a-wrong-secret"})
    await hub.client.post("/sign-in", json={"name": "li.na", "password": "a-wrong-password"})
    written = "".join(capfd.readouterr())
    assert "token issued" in written and "client:duty" in written and "client refused" in written and "sign-in refused" in written
    for secret in (hub.secrets["duty"], token, "a-wrong-secret", "a-wrong-password"):
        assert secret not in written
