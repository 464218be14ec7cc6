"""A service's copy of the hub's area table: what has changed since is fetched and merged, in one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.areas import areas

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
ATTEMPTS = 5
"""How often reading begins anew because the table changed meanwhile."""
COPIED = "hub"
"""`recorded_by` of a copied area."""


class StillChanging(Exception):
    """The hub's table changed again whenever it was read: it is there, and newer than the copy."""


@dataclass(frozen=True, slots=True)
class News:
    """Areas of one version of the master: all of them, or those that changed since an earlier version."""

    version: str
    rows: list[dict[str, Any]]
    whole: bool


class AreaCopy:
    """Keeps the area table of a service's own database like the hub's."""

    def __init__(self, engine: AsyncEngine, http: httpx.AsyncClient, hub_url: str, cache_dir: Path) -> None:
        self._engine, self._http, self._hub_url = engine, http, hub_url
        self._remembered = cache_dir / "areas.json"
        self.arriving = False
        """Whether the hub has a newer table, of which it has begun to tell, that is not stored yet."""

    async def held(self) -> str | None:
        """The version that an earlier run left in the database, if it is still whole."""
        try:
            left = json.loads(self._remembered.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        async with self._engine.connect() as connection:
            count = await connection.scalar(select(func.count()).select_from(areas))
        return str(left["version"]) if count == left["areas"] else None

    async def renew(self, known: str | None) -> str:
        """Bring the copy to the hub's version, which is returned; `known` is the version that it has. Raises `StillChanging`."""
        try:
            news = await self._news(known)
            if news.version != known:
                await self._store(news)
        except StillChanging:
            raise  # there is a newer table, it only cannot be had yet
        except BaseException:
            self.arriving = False
            raise
        self.arriving = False
        return news.version

    async def _news(self, known: str | None) -> News:
        for _ in range(ATTEMPTS):
            news = await self._read(known)
            if news is not None:
                return news
        raise StillChanging("the areas change faster than they can be read")

    async def _read(self, known: str | None) -> News | None:
        """Page by page; None if the table changed between two pages."""
        rows: list[dict[str, Any]] = []
        version = after = ""
        while True:
            asked = {"limit": str(PAGE), "geometry": "true", "since": known or "", "after": after}
            headers = {"If-None-Match": f'"{known}"'} if known and not after else {}
            answer = await self._http.get(f"{self._hub_url}/areas", params={name: value for name, value in asked.items() if value}, headers=headers, timeout=10)
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return News(str(known), [], whole=False)
            page = orjson.loads(answer.raise_for_status().content)
            self.arriving = page["version"] != known
            if version not in ("", page["version"]):
                return None
            rows += page["areas"]
            version, after = page["version"], page["next"]
            if not after:
                return News(version, rows, whole=page["since"] is None)

    async def _store(self, news: News) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(ONE_AT_A_TIME)
            if news.whole:
                await connection.execute(FORGET, {"codes": [row["code"] for row in news.rows]})
            for start in range(0, len(news.rows), PAGE):
                await connection.execute(MERGE, {"rows": orjson.dumps(news.rows[start : start + PAGE]).decode(), "recorded_by": COPIED})
            count = await connection.scalar(select(func.count()).select_from(areas))
        self._remembered.parent.mkdir(parents=True, exist_ok=True)
        self._remembered.write_text(json.dumps({"version": news.version, "areas": count}), encoding="utf-8")
