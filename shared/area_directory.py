"""What a service knows of areas: its own database's copy, kept in step with the hub's master."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import orjson
import structlog
from sqlalchemy import Text, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.area_codes import LEVELS
from shared.areas import areas, version_query
from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.shapes import ShapeIndex

_log = structlog.get_logger("areas")
MERGE = text(
    """
    INSERT INTO areas AS kept
        (code, level, parent, name_zh, name_en, kind, valid_from, valid_to, geometry, extent, nation, province, city, district, town, community, recorded_by)
    SELECT code, level, parent, name_zh, name_en, kind, valid_from, valid_to, geometry, box(point(bbox[1], bbox[2]), point(bbox[3], bbox[4])),
        nation, province, city, district, town, community, :recorded_by
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given
        (code text, level text, parent text, name_zh text, name_en text, kind text, valid_from date, valid_to date, geometry jsonb, bbox double precision[],
         nation text, province text, city text, district text, town text, community text)
    ON CONFLICT (code) DO UPDATE SET
        (level, parent, name_zh, name_en, kind, valid_from, valid_to, geometry, extent, nation, province, city, district, town, community, recorded_by) = ROW
        (excluded.level, excluded.parent, excluded.name_zh, excluded.name_en, excluded.kind, excluded.valid_from, excluded.valid_to, excluded.geometry,
         excluded.extent, excluded.nation, excluded.province, excluded.city, excluded.district, excluded.town, excluded.community, excluded.recorded_by)
    WHERE (kept.level, kept.parent, kept.name_zh, kept.name_en, kept.kind, kept.valid_from, kept.valid_to, kept.geometry,
           kept.nation, kept.province, kept.city, kept.district, kept.town, kept.community) IS DISTINCT FROM
          (excluded.level, excluded.parent, excluded.name_zh, excluded.name_en, excluded.kind, excluded.valid_from, excluded.valid_to, excluded.geometry,
           excluded.nation, excluded.province, excluded.city, excluded.district, excluded.town, excluded.community)
    """
)
"""Writes areas given as JSON, `bbox` as west, south, east, north; what is the same already stays untouched."""
FORGET = text("DELETE FROM areas WHERE NOT EXISTS (SELECT 1 FROM unnest(CAST(:codes AS text[])) AS kept (code) WHERE kept.code = areas.code)")
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('liandong:areas', 0))")
PAGE = 5000
COPIED = "hub"
"""`recorded_by` of a copied area."""


class AreaDirectory:
    """Area codes and shapes from the service's own database, so that a lost hub changes nothing.

    Without `hub_url` this is the master itself. Otherwise the copy is refreshed every `interval_s` seconds and, at most every
    `patience_s` seconds, at once when a code or a place is unknown.
    """

    interval_s: ClassVar[float] = 15.0
    patience_s: ClassVar[float] = 3.0

    def __init__(self, engine: AsyncEngine, reader: AsyncEngine, http: httpx.AsyncClient, hub_url: str | None, cache_dir: Path) -> None:
        self._engine, self._reader, self._http, self._hub_url = engine, reader, http, hub_url
        self._remembered = cache_dir / "areas.json"
        self._version: str | None = None
        self._generation = 0
        """Grows whenever the areas have changed."""
        self._index: ShapeIndex | None = None
        self._indexed = -1
        self._indexing, self._refreshing = asyncio.Lock(), asyncio.Lock()
        self._begun, self._changed = 0.0, False
        self._hurry_after = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._arriving = False
        """Whether the hub has begun to send a newer table that is not stored yet."""

    async def known(self, codes: Iterable[str]) -> set[str]:
        """Those of the codes that the area table has, of whatever validity."""
        wanted, seen = set(codes), self._generation
        found = await self._stored(wanted)
        return found if found == wanted or not await self._renewed(seen) else await self._stored(wanted)

    async def locate(
        self, points: Sequence[tuple[float, float]], within: Sequence[str | None] | None = None, at: Sequence[date] | None = None
    ) -> list[str | None]:
        """The finest area with a shape around each point (WGS 84 longitude, latitude); None where there is none.

        `within` names, per point, a coarser area in which it must lie; `at` the day by whose areas it is located (today).
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
        """Keep the copy in step; a hub that does not answer is asked again later."""
        try:
            while True:
                await self._try_refresh()
                await asyncio.sleep(self.interval_s)
        finally:
            if self._asking is not None:
                self._asking.cancel()

    async def refresh(self) -> bool:
        """Ask for the newest areas now; whether anything changed. Callers who wait for each other share one request."""
        asked = time.monotonic()
        async with self._refreshing:
            if self._begun <= asked:
                self._begun = time.monotonic()
                try:
                    self._changed = await self._refresh()
                finally:
                    self._arriving = False
            return self._changed

    async def _refresh(self) -> bool:
        known = self._version or await self._recall()
        if self._hub_url is None:
            self._version = await self._own_version()
        elif (answer := await self._fetch(known)) is not None:
            await self._store(*answer)
            self._version = answer[0]
            _log.info("areas refreshed", version=answer[0], areas=len(answer[1]))
        else:
            self._version = known
        if self._version == known:
            return False
        self._generation += 1
        return True

    async def _renewed(self, seen: int) -> bool:
        """Ask the hub at once, unless it has just been asked; whether the areas are others than those of the generation `seen`.

        A hub that does not answer changes nothing. Raises `Unavailable` while a newer table is still arriving: what is called unknown now may be in it.
        """
        if self._asking is None or self._asking.done():
            if time.monotonic() < self._hurry_after and not self._refreshing.locked():
                return self._generation != seen
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait({self._asking}, timeout=self.patience_s)
        if self._arriving:
            raise Unavailable("A newer table of areas is just being copied from the hub; nothing of this load was taken.")
        return self._generation != seen

    async def _ask(self) -> None:
        """Refresh to the end, however long those who asked will wait."""
        await self._try_refresh()
        self._hurry_after = time.monotonic() + self.patience_s

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except (httpx.HTTPError, SQLAlchemyError, OSError, TimeoutError, ValueError) as error:
            _log.warning("areas not refreshed", error=repr(error))

    async def _fetch(self, known: str | None) -> tuple[str, list[dict[str, Any]]] | None:
        """All areas of one version, or None if the hub has no other than `known`."""
        rows: list[dict[str, Any]] = []
        version, after = "", ""
        while True:
            answer = await self._http.get(
                f"{self._hub_url}/areas",
                params={"limit": PAGE, "geometry": "true", **({"after": after} if after else {})},
                headers={"If-None-Match": f'"{known}"'} if known and not after else {},
                timeout=20,
            )
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return None
            page = orjson.loads(answer.raise_for_status().content)
            if rows and page["version"] != version:
                raise ValueError("the areas changed while they were read")
            self._arriving = True
            version, after = page["version"], page["next"]
            rows += page["areas"]
            if not after:
                return version, rows

    async def _store(self, version: str, rows: list[dict[str, Any]]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(ONE_AT_A_TIME)
            await connection.execute(FORGET, {"codes": [row["code"] for row in rows]})
            for start in range(0, len(rows), PAGE):
                await connection.execute(MERGE, {"rows": orjson.dumps(rows[start : start + PAGE]).decode(), "recorded_by": COPIED})
        self._remembered.parent.mkdir(parents=True, exist_ok=True)
        self._remembered.write_text(json.dumps({"version": version, "areas": len(rows)}), encoding="utf-8")

    async def _recall(self) -> str | None:
        """The version of the copy that an earlier run left in the database, if it is still whole."""
        try:
            left = json.loads(self._remembered.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        async with self._reader.connect() as connection:
            held = await connection.scalar(select(func.count()).select_from(areas))
        return str(left["version"]) if held == left["areas"] else None

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
