"""Which series a sender's row belongs to: looked up in bulk, remembered for half a minute."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

Key = tuple[str, str]
"""Code of the feature, code of the property."""
_FIND = text("""
    SELECT feature, property, id, timing, interval_s, hour_needs, area FROM series
    WHERE (feature, property) IN (SELECT * FROM unnest(:features, :properties))
""").bindparams(bindparam("features", type_=ARRAY(Text)), bindparam("properties", type_=ARRAY(Text)))
_FEATURES = text("SELECT DISTINCT feature, area FROM series WHERE feature = ANY(:features)").bindparams(bindparam("features", type_=ARRAY(Text)))
LONGEST = 200
"""Most characters of a code; nothing longer is looked up."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a load must know of a series."""

    id: int
    feature: str
    property: str
    shift_us: int
    """From the sender's time back to the beginning of the interval, in microseconds."""
    hour_needs: int
    area: str


class SeriesDirectory:
    """The series of one service process.

    What is remembered of a series never changes except its area; a station that changes its area is written under the rights of the
    old one for at most `remembers_s`. Reading always goes by the table.
    """

    remembers_s = 30.0

    def __init__(self) -> None:
        self._known: dict[Key, Known] = {}
        self._until = 0.0

    def forget(self) -> None:
        """Look everything up again, after stations or series were changed."""
        self._known.clear()

    async def find(self, session: AsyncSession, keys: Sequence[Key]) -> list[Known | None]:
        """The series of each key, None where there is none."""
        if time.monotonic() > self._until:
            self.forget()
            self._until = time.monotonic() + self.remembers_s
        known = list(map(self._known.get, keys))
        if None not in known:
            return known
        missing = [key for key in keys if key not in self._known and all(_possible(part) for part in key)]
        if missing:
            found = await session.execute(_FIND, {"features": [key[0] for key in missing], "properties": [key[1] for key in missing]})
            for row in found:
                shift = row.interval_s * 1_000_000 if row.timing == "end" else 0
                self._known[row.feature, row.property] = Known(row.id, row.feature, row.property, shift, row.hour_needs, row.area)
        return list(map(self._known.get, keys))

    async def areas(self, session: AsyncSession, features: Sequence[str]) -> dict[str, str]:
        """The area of each of the features that has any series."""
        found = await session.execute(_FEATURES, {"features": [code for code in features if _possible(code)]})
        return {row.feature: row.area for row in found}


@asynccontextmanager
async def hold_directory(_: object) -> AsyncIterator[SeriesDirectory]:
    """For `Service.holds` of a service that keeps nothing else."""
    yield SeriesDirectory()


def _possible(code: str) -> bool:
    return 0 < len(code) <= LONGEST and code.isprintable()
