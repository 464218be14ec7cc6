"""Tokens are verified offline, and every forgery fails for the reason that fits."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from pydantic import SecretStr

from shared.config import Settings
from shared.errors import Unauthenticated, Unavailable
from shared.tokens import ALGORITHM, Tokens, hash_token_id

ISSUER = "http://127.0.0.1:8000"


class Issuer:
    """A hub at the network's edge: keys and revocations in memory, and a switch that takes it down."""

    def __init__(self) -> None:
        self.signing = [OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})]
        self.revoked: dict[str, Any] = {"tokens": [], "subjects": {}}
        self.down = False
        self.fetched = 0

    async def keys(self) -> dict[str, Any]:
        self.fetched += 1
        if self.down:
            raise httpx.ConnectError("down")
        return {"keys": [key.as_dict(private=False) for key in self.signing]}

    async def revocations(self) -> dict[str, Any]:
        return self.revoked

    async def token(self, client: str, secret: str, audience: str) -> str:
        if secret != "right":
            raise Unauthenticated("The hub refuses these client credentials.")
        return self.sign(sub=f"client:{client}", aud=audience)

    def sign(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        body = {"iss": ISSUER, "sub": "client:x", "aud": "430300/food", "scope": "food:read", "areas": ["*"], "iat": now, "exp": now + 600, "jti": "j1"}
        key = key or self.signing[-1]
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, **(header or {})}, body | claims, key, algorithms=[ALGORITHM, "HS256"])


def settings(folder: Path) -> Settings:
    url = SecretStr("postgresql://nobody@127.0.0.1/none")
    return Settings(service="food", database_url=url, reader_url=url, issuer=ISSUER, cache_dir=folder)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def tokens(issuer: Issuer, tmp_path: Path) -> Tokens:
    made = Tokens(settings(tmp_path), issuer)
    await made.refresh()
    return made


async def test_a_good_token_names_its_caller(issuer: Issuer, tokens: Tokens) -> None:
    found = await tokens.verify(issuer.sign(clearance={"grade": "important", "personal": "none"}, act={"sub": "430300/hub"}))
    assert (found.subject, sorted(found.scopes), found.actor, found.clearance.grade.value) == ("client:x", ["food:read"], "430300/hub", "important")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "430300/fire"}, "another audience"),
        ({"aud": ["430300/food", "430300/fire"]}, "another audience"),
        ({"iss": "http://elsewhere"}, "issuer"),
        ({"exp": int(time.time()) - 61}, "expired"),
        ({"iat": int(time.time()) + 3600}, "future"),
        ({"sub": None}, None),
        ({"exp": "soon"}, None),
        ({"clearance": {"grade": "everything"}}, "incomplete"),
        ({"areas": 7}, "incomplete"),
    ],
)
async def test_a_token_that_does_not_fit_is_refused(issuer: Issuer, tokens: Tokens, claims: dict[str, Any], reason: str | None) -> None:
    with pytest.raises(Unauthenticated, match=reason):
        await tokens.verify(issuer.sign(**claims))


async def test_clocks_may_differ_by_a_minute(issuer: Issuer, tokens: Tokens) -> None:
    assert await tokens.verify(issuer.sign(exp=int(time.time()) - 30))
    assert await tokens.verify(issuer.sign(iat=int(time.time()) + 30, jti="j2"))


async def test_another_key_with_the_same_id_does_not_verify(issuer: Issuer, tokens: Tokens) -> None:
    forged = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
    with pytest.raises(Unauthenticated):
        await tokens.verify(issuer.sign(key=forged))


async def test_a_token_without_signature_is_refused(tokens: Tokens) -> None:
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "none", "kid": "k1"}, {"sub": "root"}))
    with pytest.raises(Unauthenticated):
        await tokens.verify(f"{head}.{body}.")


async def test_the_public_key_is_no_hmac_secret(issuer: Issuer, tokens: Tokens) -> None:
    secret = OctKey.import_key(json.dumps(issuer.signing[0].as_dict(private=False)), {"kid": "k1"})
    with pytest.raises(Unauthenticated):
        await tokens.verify(issuer.sign(key=secret, header={"alg": "HS256"}))


@pytest.mark.parametrize(
    "garbage", ["", "a", "a.b.c", "é.é.é", "." * 50, "x" * 10_000, "bnVsbA.e30.e30", "W10.e30.e30", "eyJhbGciOiJFZDI1NTE5Iiwia2lkIjpbXX0.e30.e30"]
)
async def test_garbage_is_refused_not_an_error(tokens: Tokens, garbage: str) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(garbage)


async def test_a_changed_claim_breaks_the_signature(issuer: Issuer, tokens: Tokens) -> None:
    head, body, signature = issuer.sign().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"scope": "food:write"}
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated):
        await tokens.verify(f"{head}.{other}.{signature}")


async def test_a_new_key_is_fetched_when_first_seen(issuer: Issuer, tokens: Tokens) -> None:
    tokens._refreshed = 0
    issuer.signing.append(OKPKey.generate_key("Ed25519", parameters={"kid": "k2"}))
    assert await tokens.verify(issuer.sign())


async def test_unknown_keys_do_not_make_the_service_hammer_the_hub(issuer: Issuer, tokens: Tokens) -> None:
    before = issuer.fetched
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await tokens.verify(issuer.sign(key=OKPKey.generate_key("Ed25519", parameters={"kid": f"unknown-{number}"})))
    assert issuer.fetched - before <= 1


async def test_a_revoked_token_is_refused_though_it_was_verified_before(issuer: Issuer, tokens: Tokens) -> None:
    token = issuer.sign(jti="stolen")
    caller = await tokens.verify(token)
    issuer.revoked = {"tokens": [hash_token_id("stolen")], "subjects": {}}
    await tokens.refresh()
    with pytest.raises(Unauthenticated, match="revoked"):
        await tokens.verify(token)
    assert not tokens.still_valid(caller)


async def test_a_revoked_subject_gets_in_again_only_with_a_newer_token(issuer: Issuer, tokens: Tokens) -> None:
    now = int(time.time())
    issuer.revoked = {"tokens": [], "subjects": {"client:x": now}}
    await tokens.refresh()
    with pytest.raises(Unauthenticated, match="revoked"):
        await tokens.verify(issuer.sign(iat=now - 5))
    assert await tokens.verify(issuer.sign(iat=now + 5, jti="j2"))


async def test_a_service_starts_without_the_hub_by_what_it_knew(issuer: Issuer, tokens: Tokens, tmp_path: Path) -> None:
    issuer.down = True
    restarted = Tokens(settings(tmp_path), issuer)
    restarted.load()
    await restarted.refresh()
    assert await restarted.verify(issuer.sign())
    assert (tmp_path / "trust.json").stat().st_mode & 0o777 == 0o600


async def test_without_any_key_the_answer_is_to_come_back_later(issuer: Issuer, tmp_path: Path) -> None:
    issuer.down = True
    fresh = Tokens(settings(tmp_path), issuer)
    with pytest.raises(Unavailable):
        await fresh.verify(issuer.sign())


async def test_a_damaged_cache_is_ignored(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_text('{"keys": 7}')
    fresh = Tokens(settings(tmp_path), issuer)
    fresh.load()
    assert not fresh.ready


async def test_basic_credentials_are_exchanged_and_remembered(issuer: Issuer, tokens: Tokens) -> None:
    assert (await tokens.exchange("qgis", "right")).subject == "client:qgis"
    issuer.down = True
    assert (await tokens.exchange("qgis", "right")).subject == "client:qgis"
    with pytest.raises(Unauthenticated):
        await tokens.exchange("qgis", "wrong")
