"""Releases become incidents by themselves; what a release's end means for its incident is an officer's decision."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.incidents.actions import ITSELF, incident_of, join, note, open_incident
from services.hub.incidents.models import incidents
from shared.errors import Conflict
from shared.events.model import CloudEvent, Event
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.service import Runtime


async def open_for_release(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """One incident for each release; repeated and revised reports find it there. One that was reported about an incident belongs to that."""
    assert isinstance(event, ReleaseReported)
    regarding = f"releases/{event.release}"
    if event.revision > 1 and await incident_of(session, regarding) is not None:
        return
    if event.regarding and event.regarding.startswith("incidents/"):
        known = await session.scalar(select(incidents.c.id).where(incidents.c.id == event.regarding.partition("/")[2]))
        if known is not None:
            await join(session, known, regarding, ITSELF)
            return
    stated = {
        "kind": "release",
        "title_zh": f"{event.name_zh}泄漏",
        "title_en": f"Release of {event.name_en}",
        "area": event.area or _city(session),
        "lon": event.lon,
        "lat": event.lat,
        "un": event.un,
        "opened_at": envelope.time,
    }
    with suppress(Conflict):  # it is known, or an officer was quicker
        await open_incident(session, stated, regarding, ITSELF, datetime.now(UTC))


async def propose_closing(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """The release is over: say so at the incident, and leave the rest to officers."""
    assert isinstance(event, ReleaseConcluded)
    incident = await incident_of(session, f"releases/{event.release}")
    if incident is None:
        return
    wanted = (incidents.c.id == incident, incidents.c.state == "open", incidents.c.closing_proposed_at.is_(None))
    values = {"closing_proposed_at": envelope.time, "revision": incidents.c.revision + 1, "recorded_by": ITSELF}
    if await session.scalar(update(incidents).where(*wanted).values(values).returning(incidents.c.id)) is not None:
        text = "泄漏已终止，可考虑结束处置 / The release is over; the incident may be closed"
        await note(session, incident, "closing_proposed", text, ITSELF, event.ended_at)


def _city(session: AsyncSession) -> str:
    """The area of the whole city, for a release whose place has none."""
    runtime: Runtime = session.info["runtime"]
    areas = runtime.settings.areas
    return areas[0] if areas and areas[0] != "*" else runtime.settings.city.removesuffix("00").removesuffix("00")
