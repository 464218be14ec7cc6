"""Reactions to releases and outlines of other sectors: rows in the handler's transaction, the work in `tasks.py`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.crews.client import ask_card
from services.fire.dispatch.actions import want
from services.fire.incidents.actions import Opening, conclude, open_or_join
from services.fire.models import incidents, releases
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.model import CloudEvent, Event
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.runtime import Runtime

PATIENCE_S = 0.3
"""How long the first message waits for the outline."""


async def release_reported(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Open an incident for the first report of a release and ask for units; later revisions are news for the crews."""
    assert isinstance(event, ReleaseReported)
    runtime: Runtime = session.info["runtime"]
    runtime.own.dispatcher.ask_ahead(event.release, lambda: ask_card(runtime, event.lon, event.lat, patient=False))  # nobody waits for it here
    values = {"report": event.data(), "revision": event.revision}
    kept = insert(releases).values(id=event.release, outline_revision=0, **values)
    newer = kept.on_conflict_do_update(index_elements=["id"], set_=values, where=releases.c.revision < event.revision)
    known = select(incidents.c.id).where(incidents.c.release == event.release).scalar_subquery()
    found = (await session.execute(newer.returning(known.label("incident")))).one_or_none()
    if found is None:
        return
    incident: str | None = found.incident
    if incident is None:
        opening = Opening(
            kind="hazmat",
            priority="emergency",
            at=envelope.time,
            area=event.area or await _area(runtime, event.lon, event.lat),
            lon=event.lon,
            lat=event.lat,
            release=event.release,
            regarding=event.regarding or f"releases/{event.release}",
        )
        incident = await open_or_join(session, opening, runtime.settings.audience)
    await want(session, runtime, incident, dispatch=True, patience_s=PATIENCE_S)


async def _area(runtime: Runtime, lon: float, lat: float) -> str:
    """The area of a release that names none: that of its point, else the city."""
    found = (await runtime.areas.locate([(lon, lat)]))[0]
    cities = [prefix for prefix in runtime.settings.areas if prefix != "*"]
    return found or (cities[0] if cities else runtime.settings.city[:4])


async def incident_of(session: AsyncSession, release: str) -> str | None:
    """The incident about a release."""
    found: str | None = await session.scalar(select(incidents.c.id).where(incidents.c.release == release))
    return found


async def release_concluded(_: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Tell the crews; the incident closes once all units are free."""
    assert isinstance(event, ReleaseConcluded)
    await _note(session, event.release, concluded_at=event.ended_at)
    incident = await incident_of(session, event.release)
    if incident is not None:
        runtime: Runtime = session.info["runtime"]
        await want(session, runtime, incident)
        await conclude(session, incident, event.ended_at, runtime.settings.audience)


async def outline_computed(_: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Keep the newest outline, whether the release is known yet or not; wake whoever waits for it."""
    assert isinstance(event, OutlineComputed)
    values = {"outline": event.data(), "outline_revision": event.revision}
    kept = insert(releases).values(id=event.release, revision=0, **values)
    newer = kept.on_conflict_do_update(index_elements=["id"], set_=values, where=releases.c.outline_revision < event.revision)
    incident = select(incidents.c.id).where(incidents.c.release == event.release).scalar_subquery()
    found = (await session.execute(newer.returning(incident.label("incident")))).one_or_none()
    if found is not None and found.incident is not None:
        await want(session, session.info["runtime"], found.incident, release=values)


async def outline_lifted(_: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Tell the crews that nobody is endangered any more."""
    assert isinstance(event, OutlineLifted)
    await _note(session, event.release, lifted_at=event.lifted_at)
    await _look_again(session, event.release)


async def _note(session: AsyncSession, release: str, **values: datetime) -> None:
    kept = insert(releases).values(id=release, revision=0, outline_revision=0, **values)
    await session.execute(kept.on_conflict_do_update(index_elements=["id"], set_=values))


async def _look_again(session: AsyncSession, release: str) -> None:
    incident = await incident_of(session, release)
    if incident is not None:
        await want(session, session.info["runtime"], incident)
