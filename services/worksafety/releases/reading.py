"""What is known of a release, and of what escapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, union_all
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.worksafety.inventories.tables import BY_CAS, BY_UN
from services.worksafety.models import metadata, outlines, releases, substances
from services.worksafety.releases.schemas import ReleaseOut
from shared.caller import Caller
from shared.errors import NotFound
from shared.places import covers

_SINCE = ("revision", "recorded_at", "recorded_by", "rate_kg_s", "amount_kg", "ended_at", "note")
_history = metadata.tables["releases_history"]


@dataclass(frozen=True, slots=True)
class Substance:
    """What escapes."""

    cas: str
    un: str | None
    name_zh: str
    name_en: str


async def substance_of(session: AsyncSession, cas: str | None, un: str | None) -> Substance | None:
    """The substance of a CAS or UN number, from the city's table or the built-in one; None if neither has it under a CAS number.

    A CAS number that is in no table is taken as it is: what escapes need not be in a table of stored goods.
    """
    stated = [column == value for column, value in ((substances.c.cas, cas), (substances.c.un, un)) if value]
    query = select(substances.c.cas, substances.c.un, substances.c.name_zh, substances.c.name_en).where(or_(*stated), substances.c.cas.is_not(None))
    found = (await session.execute(query.order_by(substances.c.cas != cas, substances.c.code).limit(1))).one_or_none()
    known = found or (BY_CAS.get(cas) if cas else None) or (BY_UN.get(un) if un else None)
    if known is not None and known.cas is not None and (cas is None or known.cas == cas):
        return Substance(known.cas, un or known.un, known.name_zh, known.name_en or known.name_zh)
    return Substance(cas, un, f"CAS {cas}", f"CAS {cas}") if cas else None


async def other_of(session: AsyncSession, cas: str | None, un: str | None) -> Substance | None:
    """The substance that has this UN number, if it is another one than that of the CAS number; None if the two agree or nothing is known of the UN number."""
    if cas is None or un is None:
        return None
    columns = (substances.c.cas, substances.c.un, substances.c.name_zh, substances.c.name_en)
    query = select(*columns).where(substances.c.un == un, substances.c.cas.is_not(None)).order_by(substances.c.code)
    recorded = (await session.execute(query)).all()
    built_in = BY_UN.get(un)
    known: list[Any] = [*recorded, *([built_in] if built_in and built_in.cas else [])]
    if not known or cas in {each.cas for each in known}:
        return None
    return Substance(known[0].cas, un, known[0].name_zh, known[0].name_en or known[0].name_zh)


async def release_of(connection: AsyncSession | AsyncConnection, release_id: str, caller: Caller, *, lock: bool = False) -> RowMapping:
    """A release that exists for the caller, or `NotFound`."""
    query = select(releases).where(releases.c.id == release_id.replace("\0", ""), covers(caller, releases.c.area))
    found = (await connection.execute(query.with_for_update(key_share=True) if lock else query)).mappings().one_or_none()
    if found is None:
        raise NotFound(f"There is no release {release_id[:100]!r}.")
    return found


async def shown(connection: AsyncSession | AsyncConnection, release: RowMapping) -> ReleaseOut:
    """A release with its newest outline and the timeline of its revisions."""
    outline = (await connection.execute(select(outlines).where(outlines.c.release == release["id"]))).mappings().one_or_none()
    versions = union_all(*(select(*(table.c[name] for name in _SINCE)).where(table.c.id == release["id"]) for table in (releases, _history)))
    timeline = [dict(row) for row in (await connection.execute(versions)).mappings()]
    ordered: list[dict[str, Any]] = sorted(timeline, key=lambda row: row["recorded_at"])
    return ReleaseOut.model_validate({**release, "regarding": f"releases/{release['id']}", "outline": dict(outline) if outline else None, "timeline": ordered})
