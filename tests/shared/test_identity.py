"""A proof proves one key for one service and one challenge; whatever else is answered proves nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from shared.identity import ALGORITHM, TYPE, Identity, NoProof, proven_key

NAME, CHALLENGE = "430300/fire", "c" * 43


def answer(identity: Identity, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> bytes:
    made = {"sub": NAME, "nonce": CHALLENGE, "iat": int(time.time()), **claims}
    head = {"alg": ALGORITHM, "typ": TYPE, "jwk": identity.public, **(header or {})}
    return orjson.dumps({"service": NAME, "proof": jwt.encode(head, made, key or identity.key, algorithms=[ALGORITHM, "HS256"])})


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity.open(tmp_path / "own" / "service-key.jwk", NAME)


def test_the_key_is_made_once_private_and_proven(identity: Identity, tmp_path: Path) -> None:
    path = tmp_path / "own" / "service-key.jwk"
    assert path.stat().st_mode & 0o777 == 0o600 and [file.name for file in path.parent.iterdir()] == [path.name]
    again = Identity.open(path, NAME)
    assert proven_key(again.prove(CHALLENGE).model_dump_json().encode(), NAME, CHALLENGE) == identity.public
    assert identity.public.keys() == {"kty", "crv", "x"}
    path.chmod(0o644)
    with pytest.raises(PermissionError):
        Identity.open(path, NAME)
    path.write_text("{}")
    path.chmod(0o600)
    with pytest.raises(ValueError, match="holds no key"):
        Identity.open(path, NAME)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "d" * 43},
        {"sub": "430300/env"},
        {"iat": int(time.time()) - 3600},
        {"iat": 10**400},
        {"iat": "now"},
        {"header": {"typ": "at+jwt"}},
        {"header": {"jwk": OKPKey.generate_key("Ed25519").as_dict(private=False)}},
        {"header": {"jwk": OKPKey.generate_key("X25519").as_dict(private=False)}},
        {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
        {"header": {"alg": "HS256"}, "key": OctKey.import_key("x" * 32)},
    ],
)
def test_a_proof_of_something_else_proves_nothing(identity: Identity, change: dict[str, Any]) -> None:
    assert proven_key(answer(identity), NAME, CHALLENGE) == identity.public
    with pytest.raises(NoProof):
        proven_key(answer(identity, **change), NAME, CHALLENGE)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"service": "x", "proof": ""}', b'{"service": "x", "proof": "a.b.c"}', b"\xff", b"[" * 100_000])
def test_nonsense_proves_nothing(content: bytes) -> None:
    with pytest.raises(NoProof):
        proven_key(content, NAME, CHALLENGE)
