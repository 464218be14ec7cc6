"""Opens a stream of rows at each source, and at the hub's own database."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.hub.catalog.domain import Source
from services.hub.federation.arrivals import Arrival
from services.hub.federation.ask import Outcomes, ask_all
from services.hub.federation.domain import SourceUnsound, speaks_for
from services.hub.federation.opened import Opened, Wanted
from services.hub.federation.peer_rows import open_peer
from services.hub.state import Hub
from shared.database import reading
from shared.datasets.bulk_answer import SHAPE_HEADER, shaped
from shared.datasets.bulk_rows import Layout
from shared.datasets.bulk_sql import as_text, rows_statement
from shared.datasets.declaration import Dataset
from shared.datasets.extent import moment_in, parse_moment
from shared.datasets.history import settled
from shared.datasets.view import view
from shared.source_failures import SourceTimeout

BEGINS_S = 15.0
"""How long a source has to begin its rows; then those of the others go out without it."""


async def open_all(wanted: Wanted, stack: AsyncExitStack) -> Outcomes[Opened]:
    """Ask all sources at once; what they hold open is closed with the stack."""
    return await ask_all(wanted.aim, lambda source: _open(wanted, source, stack))


async def _open(wanted: Wanted, source: Source, stack: AsyncExitStack) -> Opened:
    if own := wanted.aim.own_at(source):
        return await _open_own(wanted, source, own, stack)
    begins_s = min(BEGINS_S, wanted.passage.remaining_s / 2)
    if source.kind == "city":
        return await open_peer(wanted, source, begins_s)
    hub: Hub = wanted.runtime.own
    pieces = await stack.enter_async_context(
        hub.client.stream(
            source.name,
            f"{source.url}/collections/{wanted.aim.dataset}/items",
            wanted.passage.onward(),
            begins_s=begins_s,
            idle_s=wanted.runtime.settings.stream_idle_s,
            token=hub.issuer.hop(wanted.caller, source.audience(hub.city)),
            params=wanted.parameters(),
            headers={SHAPE_HEADER: wanted.shape} if wanted.shape != "table" else {},
        )
    )
    arrival = Arrival(source.name, pieces, wanted.expected, wanted.runtime.settings.stream_idle_s)
    try:
        async with asyncio.timeout(begins_s):
            await arrival.begin()
    except TimeoutError as error:
        raise SourceTimeout(f"{source.name} did not begin its rows within {begins_s:.3g} s.") from error
    opened = Opened(
        source, wanted.aim.dataset, arrival.batches(), moment_in(arrival.about.get("timeStamp")), _text(arrival.about.get("known_at")), arrival=arrival
    )
    if not speaks_for(source, opened.leaves):
        raise SourceUnsound(f"{source.name} answers in another's name.")
    return opened


async def _open_own(wanted: Wanted, source: Source, own: Dataset, stack: AsyncExitStack) -> Opened:
    """The hub's own rows, straight from its database."""
    runtime = wanted.runtime
    known_at = wanted.query.given.get("known_at")
    moment: datetime | None = None
    if known_at:
        async with reading(runtime.reader) as connection:
            moment = await settled(connection, parse_moment(known_at, pointer="/known_at"))
    seen = view(own, wanted.caller, moment, city_areas=runtime.settings.areas)
    seen = replace(seen, geometry=None) if wanted.query.skips_geometry else seen
    layout = Layout.of(seen, wanted.fields, wanted.shape)
    began = datetime.now().astimezone()
    rows = await stack.enter_async_context(runtime.bulk.reading(as_text(rows_statement(seen, wanted.query, layout.read))))
    return Opened(source, wanted.aim.dataset, shaped(layout, rows), began, moment.isoformat() if moment else None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= 40 else None
