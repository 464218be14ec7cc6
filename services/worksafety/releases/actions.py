"""Reports, revises and concludes releases, and says so."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from services.worksafety.models import releases, sites, units
from services.worksafety.releases.reading import other_of, substance_of
from services.worksafety.releases.schemas import ReleaseReport, ReleaseRevision
from shared.caller import Caller
from shared.errors import Conflict, InvalidBody
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.outbox.record import record
from shared.places import Place, PlacedRow, covers, place_rows
from shared.row_models import Checked, misdated
from shared.service import Runtime

NO_SITE = "-"
"""In events, of a release that is at no site."""


async def report(session: AsyncSession, stated: ReleaseReport, caller: Caller, runtime: Runtime, now: datetime) -> RowMapping:
    """Record a release and tell of it. Raises `InvalidBody` for a place or substance that is not there."""
    began_at = stated.began_at or now
    if fault := misdated(began_at, now):
        raise InvalidBody(fault, pointer="/began_at")
    place = await _at_site(session, stated.site, caller) if stated.site else await _at_point(stated, caller, runtime)
    if stated.unit and await session.scalar(select(units.c.id).where(units.c.id == f"{stated.site}:{stated.unit}")) is None:
        raise InvalidBody(f"The site has no unit {stated.unit!r}.", pointer="/unit")
    if other := await other_of(session, stated.cas, stated.un):
        raise InvalidBody(f"UN {other.un} is {other.name_en} (CAS {other.cas}), not CAS {stated.cas}. Give the one that is right.", pointer="/un")
    substance = await substance_of(session, stated.cas, stated.un)
    if substance is None:
        raise InvalidBody(f"No substance with the UN number {stated.un} is known here. Name it by its CAS number.", pointer="/un")
    row = {
        "id": str(ULID()),
        "revision": 1,
        "site": stated.site,
        "unit": f"{stated.site}:{stated.unit}" if stated.unit else None,
        "substance": substance.cas,
        "un": substance.un,
        "name_zh": substance.name_zh,
        "name_en": substance.name_en,
        **stated.model_dump(include={"rate_kg_s", "amount_kg", "note"}),
        "began_at": began_at,
        "area": place.area,
        "lon": place.lon,
        "lat": place.lat,
    }
    made: RowMapping = (await session.execute(insert(releases).values(**row, recorded_by=caller.subject).returning(releases))).mappings().one()
    record(session, _reported(made))
    return made


async def revise(session: AsyncSession, release: RowMapping, stated: ReleaseRevision, caller: Caller) -> RowMapping:
    """Put other figures in the place of a release's, as its next revision; the same figures again change nothing."""
    _refuse_ended(release)
    figures = {name: getattr(stated, name) for name in stated.model_fields_set}
    if all(release[name] == value for name, value in figures.items()):
        return release
    made = await _change(session, release, caller, revision=release["revision"] + 1, **figures)
    record(session, _reported(made))
    return made


async def conclude(session: AsyncSession, release: RowMapping, ended_at: datetime | None, caller: Caller, now: datetime) -> RowMapping:
    """End a release; one that has ended stays as it is."""
    if release["ended_at"] is not None:
        if ended_at not in (None, release["ended_at"]):
            raise Conflict(f"The release ended at {release['ended_at'].isoformat()}.", pointer="/ended_at")
        return release
    end = ended_at or now
    if fault := misdated(end, now):
        raise InvalidBody(fault, pointer="/ended_at")
    if end < release["began_at"]:
        raise InvalidBody("It would have ended before it began.", pointer="/ended_at")
    made = await _change(session, release, caller, revision=release["revision"] + 1, ended_at=end)
    concluded = ReleaseConcluded(area=made["area"], regarding=f"releases/{made['id']}", release=made["id"], site=made["site"] or NO_SITE, ended_at=end)
    record(session, concluded)
    return made


async def _change(session: AsyncSession, release: RowMapping, caller: Caller, **values: Any) -> RowMapping:
    change = update(releases).where(releases.c.id == release["id"]).values(**values, recorded_by=caller.subject).returning(releases)
    made: RowMapping = (await session.execute(change)).mappings().one()
    return made


def _refuse_ended(release: RowMapping) -> None:
    if release["ended_at"] is not None:
        raise Conflict(f"The release ended at {release['ended_at'].isoformat()}. Report a new one.")


async def _at_site(session: AsyncSession, site_id: str | None, caller: Caller) -> Place:
    found = (await session.execute(select(sites.c.area, sites.c.lon, sites.c.lat).where(sites.c.id == site_id, covers(caller, sites.c.area)))).one_or_none()
    if found is None:
        raise InvalidBody(f"No site {site_id!r} is recorded. Load it first, or report the point.", pointer="/site")
    return Place(found.area, found.lon, found.lat)


async def _at_point(stated: ReleaseReport, caller: Caller, runtime: Runtime) -> Place:
    batch = Checked({0: PlacedRow(**stated.model_dump(include={"lon", "lat", "crs", "area"}))})
    places = await place_rows(batch, runtime.areas, caller, runtime.settings.areas)
    if not places:
        first = batch.errors[0]
        raise InvalidBody(first.detail, pointer=first.pointer.removeprefix("/0"))
    return places[0]


def _reported(release: RowMapping) -> ReleaseReported:
    return ReleaseReported(
        area=release["area"],
        regarding=f"releases/{release['id']}",
        release=release["id"],
        revision=release["revision"],
        site=release["site"] or NO_SITE,
        **{name: release[name] for name in ("substance", "name_zh", "name_en", "un", "rate_kg_s", "amount_kg", "began_at", "lon", "lat")},
    )
