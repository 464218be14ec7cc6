"""What a service knows of areas: which codes there are, and what lies where."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, ClassVar

import httpx
import structlog
from sqlalchemy import Text, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.area_codes import LEVELS
from shared.area_copy import AreaCopy, StillChanging
from shared.areas import areas, version_query
from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.shapes import ShapeIndex

_log = structlog.get_logger("areas")
_TROUBLE = (StillChanging, httpx.HTTPError, SQLAlchemyError, OSError, TimeoutError, ValueError)


class AreaDirectory:
    """Area codes and shapes from the service's own database, so that a lost hub changes nothing.

    Without `copy` the table is the master itself. A copy is renewed every `interval_s` seconds and at once when a code or a place is
    unknown, then at most every `pause_s` seconds; who asked waits for it up to `patience_s` seconds.
    """

    interval_s: ClassVar[float] = 15.0
    pause_s: ClassVar[float] = 1.0
    patience_s: ClassVar[float] = 5.0

    def __init__(self, reader: AsyncEngine, copy: AreaCopy | None) -> None:
        self._reader, self._copy = reader, copy
        self._version: str | None = None
        self._generation = 0
        """Grows whenever the areas have changed."""
        self._index: ShapeIndex | None = None
        self._indexed = -1
        self._indexing, self._refreshing = asyncio.Lock(), asyncio.Lock()
        self._wanted = asyncio.Event()
        self._rounds, self._round_over = 0, asyncio.Condition()
        self._quiet_until = 0.0

    async def known(self, codes: Iterable[str]) -> set[str]:
        """Those of the codes that the area table has, of whatever validity. Raises `Unavailable` while a newer table is arriving."""
        wanted, seen = set(codes), self._generation
        found = await self._stored(wanted)
        return found if found == wanted or not await self._renewed(seen) else await self._stored(wanted)

    async def locate(
        self, points: Sequence[tuple[float, float]], within: Sequence[str | None] | None = None, at: Sequence[date] | None = None
    ) -> list[str | None]:
        """The finest area with a shape around each point (WGS 84 longitude, latitude); None where there is none.

        `within` names, per point, a coarser area in which it must lie; `at` the day by whose areas it is located (today).
        Raises `Unavailable` while a newer table is arriving.
        """
        coarser = within or [None] * len(points)
        days = at or [datetime.now(UTC).date()] * len(points)
        seen = self._generation
        found = (await self._shapes()).find(points, coarser, days)
        return found if None not in found or not await self._renewed(seen) else (await self._shapes()).find(points, coarser, days)

    def outdated(self) -> None:
        """Forget what was read: this process has just changed the table."""
        self._version = None
        self._generation += 1

    async def run(self) -> None:
        """Keep in step until cancelled; a hub that does not answer is asked again later."""
        while True:
            self._wanted.clear()
            try:
                await self.refresh()
            except _TROUBLE as error:
                _log.warning("areas not refreshed", error=repr(error))
            async with self._round_over:
                self._rounds += 1
                self._round_over.notify_all()
            try:
                async with asyncio.timeout(self.interval_s):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def refresh(self) -> bool:
        """Ask for the newest areas now; whether anything changed."""
        async with self._refreshing:
            known = self._version or (await self._copy.held() if self._copy else None)
            self._version = await self._copy.renew(known) if self._copy else await self._own_version()
            if self._version == known:
                return False
            self._generation += 1
            _log.info("areas refreshed", version=self._version)
            return True

    async def _renewed(self, seen: int) -> bool:
        """Have the hub asked at once, unless it just was; whether the areas are others than those of the generation `seen`.

        A hub that does not answer changes nothing. But what is unknown now may be in a newer table that has begun to arrive: `Unavailable`.
        """
        if self._arriving or time.monotonic() >= self._quiet_until:
            awaited = self._rounds + (2 if self._refreshing.locked() else 1)  # what is under way may have begun too early
            self._wanted.set()
            pause = self.pause_s
            try:
                async with asyncio.timeout(self.patience_s), self._round_over:
                    await self._round_over.wait_for(lambda: self._rounds >= awaited)
            except TimeoutError:
                pause = self.interval_s
            self._quiet_until = time.monotonic() + pause
        if self._arriving:
            raise Unavailable("A newer table of areas is just being copied from the hub; nothing of this load was taken.")
        return self._generation != seen

    @property
    def _arriving(self) -> bool:
        return self._copy is not None and self._copy.arriving

    async def _own_version(self) -> str:
        async with self._reader.connect() as connection:
            return str(await connection.scalar(version_query()))

    async def _stored(self, codes: set[str]) -> set[str]:
        if not codes:
            return set()
        async with self._reader.connect() as connection:
            return set(await connection.scalars(select(areas.c.code).where(areas.c.code == func.any(list(codes)))))

    async def _shapes(self) -> ShapeIndex:
        async with self._indexing:
            if self._index is None or self._indexed != self._generation:
                from shared.shapes import index_of  # shapely costs memory; only services that locate points carry it

                self._indexed = self._generation  # what changes from here on makes it outdated
                columns = (areas.c.code, *(areas.c[level] for level in LEVELS), areas.c.valid_from, areas.c.valid_to, areas.c.geometry.cast(Text))
                async with self._reader.connect() as connection:
                    rows = (await connection.execute(select(*columns).where(areas.c.geometry.is_not(None)))).all()
                self._index = await asyncio.to_thread(index_of, rows)
            return self._index
