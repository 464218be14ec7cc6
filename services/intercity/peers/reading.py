"""The peers and agreements as they stand, kept in memory for a moment: every message needs them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.jwk import OKPKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from services.intercity.models import peer_keys, peers

FRESH_S = 2.0
"""How long what was read holds in other processes than the one that changed it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A city whose gateway we know, with the keys that were confirmed."""

    city: str
    url: str
    state: str
    reason: str | None
    keys: Mapping[str, OKPKey]
    """Confirmed and not withdrawn, by fingerprint."""


class Peers:
    """All peers, read again when they may have changed."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._known: Mapping[str, Peer] = {}
        self._until = 0.0
        self._parsed: dict[str, OKPKey] = {}

    def forget(self) -> None:
        """Read them again at the next question."""
        self._until = 0.0

    async def known(self) -> Mapping[str, Peer]:
        if time.monotonic() >= self._until:
            async with self._sessions() as session:
                self._known = await self._read(session)
            self._until = time.monotonic() + FRESH_S
        return self._known

    @property
    def last(self) -> Mapping[str, Peer]:
        """As they were read last."""
        return self._known

    async def get(self, city: str) -> Peer | None:
        return (await self.known()).get(city)

    async def _read(self, session: AsyncSession) -> Mapping[str, Peer]:
        keys: dict[str, dict[str, OKPKey]] = {}
        for row in await session.execute(select(peer_keys).where(peer_keys.c.withdrawn.is_(None))):
            if row.fingerprint not in self._parsed:
                self._parsed[row.fingerprint] = OKPKey.import_key(row.key)
            keys.setdefault(row.city, {})[row.fingerprint] = self._parsed[row.fingerprint]
        return {row.city: Peer(row.city, row.url, row.state, row.reason, keys.get(row.city, {})) for row in await session.execute(select(peers))}
