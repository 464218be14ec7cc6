"""Traffic's events about closed roads and networks: kept, and a reason to look at routes again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.dispatch.actions import want
from services.fire.models import assignments, closures, crew_messages, incidents
from shared.events.model import CloudEvent, Event
from shared.events.traffic import ClosureEnded, ClosureOpened
from shared.outbox.record import when_committed


async def keep_closure(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Keep the newest revision of a closure; incidents whose units would drive through it get other routes."""
    assert isinstance(event, ClosureOpened)
    values = {"revision": event.revision, "geometry": event.geometry, "begins_at": event.begins_at, "ends_at": event.ends_at}
    kept = insert(closures).values(id=event.closure, **values)
    newer = kept.on_conflict_do_update(index_elements=["id"], set_=values, where=closures.c.revision < event.revision)
    if (await session.execute(newer.returning(closures.c.id))).one_or_none() is None:
        return
    runtime = session.info["runtime"]
    for incident in await _crossed(session, event.geometry, besides=envelope.regarding):
        await want(session, runtime, incident, reroute=True)


async def end_closure(_: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Forget a closure's geometry; that it ended is kept, should its beginning come later."""
    assert isinstance(event, ClosureEnded)
    ended = insert(closures).values(id=event.closure, revision=0, ended_at=event.ended_at)
    await session.execute(ended.on_conflict_do_update(index_elements=["id"], set_={"ended_at": event.ended_at, "geometry": None}))


async def network_replaced(_: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Fetch the new network."""
    runtime = session.info["runtime"]
    when_committed(session, runtime.own.roads.wanted.set)


async def _crossed(session: AsyncSession, geometry: dict[str, Any], *, besides: str | None) -> list[str]:
    """Open incidents to which units are on the way through a geometry; a release's own closure is in its outline, which routes avoid anyway."""
    moving = select(assignments.c.incident).where(assignments.c.released_at.is_(None), assignments.c.on_scene_at.is_(None))
    newest = select(crew_messages.c.incident, func.max(crew_messages.c.revision).label("revision")).where(crew_messages.c.incident.in_(moving))
    latest = newest.group_by(crew_messages.c.incident).subquery()
    query = (
        select(crew_messages.c.incident, crew_messages.c.content["units"].label("units"))
        .join(latest, (latest.c.incident == crew_messages.c.incident) & (latest.c.revision == crew_messages.c.revision))
        .join(incidents, incidents.c.id == crew_messages.c.incident)
        .where(
            incidents.c.closed_at.is_(None),
            incidents.c.regarding.is_distinct_from(besides) if besides else incidents.c.id.is_not(None),
        )
    )
    found = (await session.execute(query)).all()
    if not found:
        return []
    import orjson
    import shapely

    closed = shapely.from_geojson(orjson.dumps(geometry), on_invalid="ignore")
    if closed is None:
        return []
    crossed = []
    for incident, units in found:
        lines = [shapely.from_geojson(orjson.dumps(unit["route"]["geometry"])) for unit in units or () if unit.get("route")]
        if any(shapely.dwithin(line, closed, 1e-4) for line in lines):
            crossed.append(incident)
    return crossed
