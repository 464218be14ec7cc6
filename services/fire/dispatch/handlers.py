"""Reactions to releases and outlines of other sectors: rows in the handler's transaction, the work in `tasks.py`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import partial

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.crews.client import ask_card
from services.fire.dispatch.actions import want, want_first
from services.fire.dispatch.reading import RELEASE, Known, read_known
from services.fire.incidents.actions import OPENING, Opening, conclude, open_or_join
from services.fire.models import incidents, releases
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.model import CloudEvent, Event
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.runtime import Runtime

PATIENCE_S = 0.3
"""How long the first message waits for the outline."""


def _merge(columns: tuple[str, ...], revision: str, other: str) -> Insert:
    """Keeps columns of a release beside what other events said of it, unless they are known as new or newer."""
    kept = insert(releases).values({name: bindparam(name) for name in ("id", *columns, revision)} | {other: 0})
    values = {name: kept.excluded[name] for name in (*columns, revision)}
    return kept.on_conflict_do_update(index_elements=["id"], set_=values, where=releases.c[revision] < kept.excluded[revision])


_INCIDENT = select(incidents.c.id).where(incidents.c.release == bindparam("id")).scalar_subquery().label("incident")
_REPORTED = _merge(("report",), "revision", "outline_revision").returning(*releases.c, _INCIDENT, OPENING)
_OUTLINED = _merge(("outline",), "outline_revision", "revision").returning(_INCIDENT)


async def release_reported(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Open an incident for the first report of a release and ask for units; later revisions are news for the crews."""
    assert isinstance(event, ReleaseReported)
    runtime: Runtime = session.info["runtime"]
    card, known = partial(ask_card, runtime, event.lon, event.lat, patient=False), partial(_known, runtime, event.lon, event.lat)
    runtime.own.dispatcher.ask_ahead(event.release, card, known if event.revision == 1 else None)  # nobody waits for them here
    found = (await session.execute(_REPORTED, {"id": event.release, "report": event.data(), "revision": event.revision})).mappings().one_or_none()
    if found is None:
        return
    incident, opened = found["incident"], None
    if incident is None:
        opening = Opening(
            kind=RELEASE,
            priority="emergency",
            at=envelope.time,
            area=event.area or await _area(runtime, event.lon, event.lat),
            lon=event.lon,
            lat=event.lat,
            release=event.release,
            regarding=event.regarding or f"releases/{event.release}",
        )
        incident, opened = await open_or_join(session, opening, runtime.settings.audience, locked=True)
    if opened is not None:
        await want_first(session, runtime, opened, {column.name: found[column.name] for column in releases.c}, PATIENCE_S)
    else:
        await want(session, runtime, incident, dispatch=True, patience_s=PATIENCE_S)


async def _known(runtime: Runtime, lon: float, lat: float) -> Known | None:
    """What is known around a release, for an incident that it opens."""
    with suppress(SQLAlchemyError, OSError, TimeoutError):
        async with runtime.sessions() as session:
            await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            return await read_known(session, RELEASE, (lon, lat), None, dispatch=True)
    return None


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
    found = (await session.execute(_OUTLINED, {"id": event.release, **values})).one_or_none()
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
