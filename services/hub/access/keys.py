"""Signing keys: JWK files in one private folder, rotated without a moment in which a valid token is refused.

Each file `<kid>.jwk` (mode 0600) is an Ed25519 private key (RFC 8037) with three members of ours, in epoch seconds:
`created`, `used_from` (absent: the *next* key, already published) and `retired_at` (present: kept only until its tokens have expired).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from joserfc.jwk import OKPKey

from shared.private_files import write_private
from shared.tokens import ALGORITHM

PUBLISHED_BEFORE_USE_S = 120
"""How long a key is in the published set before it signs: several refreshes of every service."""
USE_S = 30 * 24 * 3600
"""How long a key signs before the next one takes over by itself."""
KEPT_AFTER_USE_S = 20 * 60
"""How long a retired key stays published: a token's life, the leeway for clocks and a margin."""


class UnsafeKeys(Exception):
    """The folder or a file in it can be read by others, or is not what it should be."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key and where it stands in its life."""

    jwk: OKPKey
    created: int
    used_from: int | None = None
    retired_at: int | None = None

    @property
    def kid(self) -> str:
        return str(self.jwk.kid)

    @property
    def public(self) -> dict[str, Any]:
        """The public half as published (RFC 7517)."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self.jwk.as_dict(private=False)["x"], "kid": self.kid, "use": "sig", "alg": ALGORITHM}


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys at one moment: `current` signs, `following` is published and signs next, `retired` only verify."""

    current: SigningKey
    following: SigningKey
    retired: tuple[SigningKey, ...] = ()

    @property
    def published(self) -> dict[str, Any]:
        """The JWK set of all three kinds."""
        return {"keys": [key.public for key in (self.current, self.following, *self.retired)]}


def open_keys(folder: Path, now: int) -> Keyring:
    """Read the keys; at the first start make them. Heals a rotation that was cut short.

    Raises `UnsafeKeys` if a file is readable by others than its owner or is no Ed25519 key.
    """
    with _locked(folder):
        return _complete(folder, _read(folder), now)


def rotate(folder: Path, now: int, *, force: bool = False) -> Keyring:
    """Let the next key sign, keep the last one for its tokens, publish a new next one, forget expired ones.

    Nothing moves while the next key has been published for less than `PUBLISHED_BEFORE_USE_S`, unless `force`
    (a stolen key: services then fetch the set once more when they meet the new key).
    """
    with _locked(folder):
        ring = _complete(folder, _read(folder), now)
        if force or now - ring.following.created >= PUBLISHED_BEFORE_USE_S:
            _write(folder, replace(ring.following, used_from=now))
            ring = _complete(folder, _read(folder), now)
        return _forget(folder, ring, now)


def rotate_when_due(folder: Path, now: int) -> Keyring:
    """Rotate if the current key has signed for `USE_S`; otherwise only forget expired keys."""
    ring = open_keys(folder, now)
    if now - (ring.current.used_from or ring.current.created) >= USE_S:
        return rotate(folder, now)
    with _locked(folder):
        return _forget(folder, ring, now)


def _complete(folder: Path, found: Sequence[SigningKey], now: int) -> Keyring:
    """Exactly one current and one next key: the one used latest is current, any other used one is retired."""
    used = sorted((key for key in found if key.used_from is not None and key.retired_at is None), key=lambda key: key.used_from or 0)
    waiting = sorted((key for key in found if key.used_from is None), key=lambda key: key.created)
    current = used.pop() if used else _write(folder, SigningKey(_new_key(), created=now, used_from=now))
    following = waiting[0] if waiting else _write(folder, SigningKey(_new_key(), created=now))
    retired = [key for key in found if key.retired_at is not None]
    retired += [_write(folder, replace(key, retired_at=now)) for key in used]
    return Keyring(current, following, tuple(retired))


def _forget(folder: Path, ring: Keyring, now: int) -> Keyring:
    expired = [key for key in ring.retired if now - (key.retired_at or now) > KEPT_AFTER_USE_S]
    for key in expired:
        (folder / f"{key.kid}.jwk").unlink(missing_ok=True)
    return replace(ring, retired=tuple(key for key in ring.retired if key not in expired))


def _new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", auto_kid=True)


def _read(folder: Path) -> list[SigningKey]:
    return [_read_one(path) for path in sorted(folder.glob("*.jwk"))]


def _read_one(path: Path) -> SigningKey:
    if path.stat().st_mode & 0o077:
        raise UnsafeKeys(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        content = orjson.loads(path.read_bytes())
        jwk = OKPKey.import_key({name: content[name] for name in ("kty", "crv", "x", "d", "kid")})
        return SigningKey(jwk, int(content["created"]), content.get("used_from"), content.get("retired_at"))
    except (ValueError, KeyError, TypeError) as error:
        raise UnsafeKeys(f"{path} is not a signing key; move it away to let a new one be made") from error


def _write(folder: Path, key: SigningKey) -> SigningKey:
    """Put the key's file in place whole or not at all."""
    content = {**key.jwk.as_dict(private=True), "created": key.created, "used_from": key.used_from, "retired_at": key.retired_at}
    write_private(folder / f"{key.kid}.jwk", orjson.dumps({name: value for name, value in content.items() if value is not None}))
    return key


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time changes the folder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
