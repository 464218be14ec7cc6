"""Secrets of machines as SHA-256 of 256 random bits; passwords of people as Argon2id."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from shared.errors import Unavailable

Answer = TypeVar("Answer")
_HASHER = PasswordHasher()
"""The library's defaults, RFC 9106's second recommended option: 64 MiB, 3 passes."""
_AT_ONCE = 2
_MOST_WAITING = 32


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def is_secret(secret: str, kept: bytes | None) -> bool:
    """Whether a machine's secret is the kept one, in the same time whether or not the machine is known."""
    return hmac.compare_digest(hash_secret(secret), kept if kept is not None else bytes(32))


class Passwords:
    """Argon2id off the event loop, two at a time; a queue that grows too long is turned away."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._run(_HASHER.hash, password)

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether a person's password is the kept one, in the same time whether or not the person is known."""
        return await self._run(_matches, password, kept)

    async def _run(self, work: Callable[..., Answer], *args: Any) -> Answer:
        if self._waiting >= _MOST_WAITING:
            raise Unavailable("Too many sign-ins at once.")
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work, *args)
        finally:
            self._waiting -= 1


@cache
def _nobody() -> str:
    """A hash to compare with when there is none, so that the time tells nothing."""
    return _HASHER.hash("nobody has this password")


def _matches(password: str, kept: str | None) -> bool:
    try:
        return _HASHER.verify(kept or _nobody(), password) and kept is not None
    except (Argon2Error, InvalidHashError):
        return False
