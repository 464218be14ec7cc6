"""The registry of sources: in memory for every question, in the database for every restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from services.hub.catalog.declared import Misdescribed, declaration
from services.hub.catalog.domain import KEPT_HERE, Drift, Kind, Offer, Source
from services.hub.catalog.models import OfferRow, SourceRow
from shared.source_failures import SourceUnproven

BY_SETTINGS = "settings"
_DRIFT = "x-drift"
"""Beside what a source says of a collection, the hub keeps what changed in its schema."""


def kind_of(name: str) -> Kind:
    """What a source of the settings is: a hub below this one, or a sector."""
    return "hub" if name.endswith("/hub") else "sector"


class Registry:
    """Who answers for which dataset."""

    def __init__(self, configured: Mapping[str, str]) -> None:
        self._configured = dict(configured)
        self.sources: dict[str, Source] = {name: Source(name=name, kind=kind_of(name), url=url) for name, url in configured.items()}
        self.changed = asyncio.Event()
        """Set when a source came or went, so that it is asked at once."""

    def offering(self, dataset: str) -> list[Source]:
        """The sources that may hold rows of a dataset, by name: those that offered it, and those never met that may own it, as a hub may own anything."""
        service = dataset.partition(".")[0]

        def may_own(source: Source) -> bool:
            return source.name.rpartition("/")[2] == service or (source.kind == "hub" and dataset not in KEPT_HERE)

        return [source for _, source in sorted(self.sources.items()) if dataset in source.offers or (not source.met and may_own(source))]

    def offers(self, *, cities: bool = False, wanted: Callable[[Source], bool] = lambda _: True) -> dict[str, list[tuple[Source, Offer]]]:
        """Every known dataset with who offers it, in the order of ids and names; peer cities last, and only if they are wanted."""
        found: dict[str, list[tuple[Source, Offer]]] = {}
        for _, source in sorted(self.sources.items(), key=lambda known: (known[1].kind == "city", known[0])):
            if (source.kind == "city" and not cities) or not wanted(source):
                continue
            for dataset, offer in source.offers.items():
                found.setdefault(dataset, []).append((source, offer))
        return dict(sorted(found.items()))

    def check_proven(self, name: str) -> None:
        """Raise unless the source may be sent something: it has proven who it is. A peer city is behind its gateway, which must have."""
        source = self.sources.get(name)
        if source is not None and source.kind == "city":
            behind = (known for known in self.sources.values() if known.kind == "sector" and source.url.startswith(known.url.rstrip("/") + "/"))
            source = next(behind, None)
        if source is not None and not source.proven:
            raise SourceUnproven(f"{source.name} {'has not yet proven' if source.proven is None else 'does not prove'} who it is, and is sent nothing.")

    async def reload(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Take over what the database says: sources added or removed elsewhere, and, once, what they offered before this start."""
        async with sessions.begin() as session:
            await self._configure(session)
            rows = list(await session.scalars(select(SourceRow)))
            unmet = [row.name for row in rows if not (known := self.sources.get(row.name)) or not known.met]
            kept = await session.scalars(select(OfferRow).where(OfferRow.source.in_(unmet)))
            offers = [(row.source, offer) for row in kept if (offer := _offer(row)) is not None]
        for row in rows:
            self._take(row)
        for name in self.sources.keys() - {row.name for row in rows}:
            del self.sources[name]
        for name, offer in offers:
            self.sources[name].offers.setdefault(offer.dataset, offer)

    async def _configure(self, session: AsyncSession) -> None:
        """The sources of the settings exist, at the address that the settings name; those no longer named do not."""
        await session.execute(delete(SourceRow).where(SourceRow.added_by == BY_SETTINGS, SourceRow.name.not_in(self._configured)))
        if self._configured:
            adding = insert(SourceRow).values(
                [{"name": name, "kind": kind_of(name), "url": url, "added_by": BY_SETTINGS} for name, url in sorted(self._configured.items())]
            )
            await session.execute(
                adding.on_conflict_do_update(
                    index_elements=[SourceRow.name],
                    set_={"url": adding.excluded.url, "kind": adding.excluded.kind, "added_by": BY_SETTINGS},
                    where=(SourceRow.url != adding.excluded.url) | (SourceRow.kind != adding.excluded.kind) | (SourceRow.added_by != BY_SETTINGS),
                )
            )

    def _take(self, row: SourceRow) -> None:
        known = self.sources.get(row.name)
        if known is None:
            known = self.sources[row.name] = Source(name=row.name, kind=kind_of(row.name), url=row.url)
        known.proven = known.proven if known.url == row.url else None
        known.kind, known.url, known.key, known.added_by = row.kind, row.url, row.key, row.added_by  # type: ignore[assignment]  # one of Kind, by SourceIn
        known.last_seen = known.last_seen or row.last_seen
        known.version = known.version or row.version


async def keep(session: AsyncSession, source: str, version: str, offers: Collection[Offer], now: datetime) -> None:
    """Write what a source was found to offer, in one go."""
    await session.execute(update(SourceRow).where(SourceRow.name == source).values(last_seen=now, version=version))
    await session.execute(delete(OfferRow).where(OfferRow.source == source, OfferRow.dataset.not_in([offer.dataset for offer in offers])))
    rows = [_row(source, offer) for offer in offers]
    if rows:
        adding = insert(OfferRow).values(rows)
        columns = ("collection", "schema", "schema_digest", "previous_digest", "changed_at")
        await session.execute(
            adding.on_conflict_do_update(index_elements=[OfferRow.source, OfferRow.dataset], set_={name: adding.excluded[name] for name in columns})
        )


def _row(source: str, offer: Offer) -> dict[str, Any]:
    return {
        "source": source,
        "dataset": offer.dataset,
        "collection": {**offer.collection, **({_DRIFT: asdict(offer.drift)} if offer.drift else {})},
        "schema": dict(offer.schema),
        "schema_digest": offer.digest,
        "previous_digest": offer.previous_digest,
        "changed_at": offer.changed_at,
    }


def _offer(row: OfferRow) -> Offer | None:
    """The offer as it was kept; nothing if this version no longer understands it, until the source is heard again."""
    try:
        declared = declaration(row.dataset, row.collection, row.schema)
    except Misdescribed:
        return None
    return Offer(
        dataset=row.dataset,
        collection=row.collection,
        schema=row.schema,
        declared=declared,
        digest=row.schema_digest,
        previous_digest=row.previous_digest,
        changed_at=row.changed_at.astimezone(UTC),
        drift=Drift(**{name: tuple(fields) for name, fields in row.collection[_DRIFT].items()}) if _DRIFT in row.collection else None,
    )
