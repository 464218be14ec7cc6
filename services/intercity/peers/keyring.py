"""The gateway's own signing keys: files with mode 0600, made at the first start; a next key may wait until peers have confirmed it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from services.intercity.peers.domain import SUITE, fingerprint
from shared.private_files import write_private


class UnsafeKeys(Exception):
    """A key file can be read by others than its owner, or holds no Ed25519 key."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A private key and its name."""

    jwk: OKPKey
    fingerprint: str

    @property
    def public(self) -> dict[str, Any]:
        return {name: value for name, value in self.jwk.as_dict(private=False).items() if name in ("kty", "crv", "x")}


class Keyring:
    """The key that signs (`current`), and the one that peers are to confirm before it does (`following`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.current = self._read("current") or self._make("current")
        self.following = self._read("next")

    def prepare(self) -> OwnKey:
        """The next key, made if there is none."""
        self.following = self.following or self._make("next")
        return self.following

    def rotate(self) -> OwnKey:
        """Let the next key sign from now on; the old one is kept beside it. `LookupError` if none was prepared."""
        if self.following is None:
            raise LookupError("no next key")
        (self._folder / "current.jwk").replace(self._folder / f"retired-{int(time.time())}.jwk")
        (self._folder / "next.jwk").replace(self._folder / "current.jwk")
        self.current, self.following = self.following, None
        return self.current

    def _read(self, name: str) -> OwnKey | None:
        path = self._folder / f"{name}.jwk"
        if not path.exists():
            return None
        if path.stat().st_mode & 0o077:
            raise UnsafeKeys(f"{path} can be read by others; run: chmod 600 {path}")
        try:
            key = OKPKey.import_key(orjson.loads(path.read_bytes()))
        except (ValueError, KeyError, TypeError, JoseError) as error:
            raise UnsafeKeys(f"{path} holds no key: {error!r}") from error
        if key.curve_name != SUITE or not key.is_private:
            raise UnsafeKeys(f"{path} holds no private Ed25519 key")
        return OwnKey(key, fingerprint(key.as_dict(private=False)))

    def _make(self, name: str) -> OwnKey:
        key = OKPKey.generate_key("Ed25519")
        write_private(self._folder / f"{name}.jwk", orjson.dumps(key.as_dict(private=True)))
        return OwnKey(key, fingerprint(key.as_dict(private=False)))
