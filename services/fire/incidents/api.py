"""Incidents: shown with their calls and units, closed by an officer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from services.fire.incidents.actions import close
from services.fire.incidents.reading import found_incident, shown_incident
from services.fire.incidents.schemas import IncidentOut
from shared.auth import Caller, may
from shared.database import Session
from shared.row_models import Reference
from shared.service import Now

router = APIRouter(tags=["incidents"])


@router.get("/incidents/{incident}", summary="An incident with its calls and units")
async def show_incident(incident: Reference, session: Session, caller: Annotated[Caller, may("fire:read", "hub:query")]) -> IncidentOut:
    """What it is, who called, who was sent and when they came."""
    return await shown_incident(session, await found_incident(session, incident, caller))


@router.post("/incidents/{incident}/close", summary="Close an incident")
async def close_incident(incident: Reference, session: Session, caller: Annotated[Caller, may("fire:write")], now: Now) -> IncidentOut:
    """Incidents close by themselves once all units are free and no release goes on; this is for those that nobody drove to. Closed again, nothing changes."""
    await found_incident(session, incident, caller)
    await close(session, incident, now, caller.subject)
    return await shown_incident(session, await found_incident(session, incident, caller))
