"""The agreements as they stand, kept in memory for a moment: every message names one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from services.intercity.agreements.domain import in_force
from services.intercity.agreements.schemas import Document, Grant
from services.intercity.models import agreements
from services.intercity.peers.reading import FRESH_S
from shared.datasets.filter_text import read_text


@dataclass(frozen=True, slots=True)
class Agreement:
    """A document that both cities have signed."""

    id: str
    peer: str
    state: str
    document: Document
    filters: Mapping[tuple[str, str], Any]
    """The row filters as CQL2 JSON, by who gives and dataset."""

    def in_force(self, now: datetime) -> bool:
        return in_force(self.state, self.document.begins, self.document.ends, now)

    def grant(self, giver: str) -> Grant | None:
        return self.document.grant(giver)


def agreement_of(row: Any) -> Agreement:
    """An agreement from its row."""
    document = Document.model_validate(orjson.loads(row.document))
    filters = {
        (grant.giver, dataset.id): read_text(dataset.filter, pointer="/filter") for grant in document.grants for dataset in grant.datasets if dataset.filter
    }
    return Agreement(row.id, row.peer, row.state, document, filters)


class Agreements:
    """All agreements that were ever in force, read again when they may have changed."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._known: dict[str, Agreement] = {}
        self._until = 0.0

    def forget(self) -> None:
        """Read them again at the next question."""
        self._until = 0.0

    async def known(self) -> Mapping[str, Agreement]:
        """By their ids."""
        if time.monotonic() >= self._until:
            async with self._sessions() as session:
                rows = list(await session.execute(select(agreements).where(agreements.c.state.in_(("in_force", "ended")))))
            known = self._known
            self._known = {row.id: known[row.id] if row.id in known and known[row.id].state == row.state else agreement_of(row) for row in rows}
            self._until = time.monotonic() + FRESH_S
        return self._known

    async def with_peer(self, peer: str, now: datetime) -> Iterator[Agreement]:
        """Those in force with a peer, the latest to begin first."""
        found = [agreement for agreement in (await self.known()).values() if agreement.peer == peer and agreement.in_force(now)]
        return iter(sorted(found, key=lambda agreement: (agreement.document.begins, agreement.document.number), reverse=True))
