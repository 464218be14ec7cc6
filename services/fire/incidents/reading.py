"""An incident as a caller may see it."""

from __future__ import annotations

from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.incidents.schemas import IncidentOut
from services.fire.models import assignments, crew_messages, incident_calls, incident_work, incidents
from shared.caller import Caller
from shared.errors import NotFound
from shared.places import covers


async def found_incident(session: AsyncSession, incident: str, caller: Caller, *, lock: bool = False) -> RowMapping:
    """The incident's row, or `NotFound`; `lock` keeps others from changing it."""
    query = select(incidents).where(incidents.c.id == incident, covers(caller, incidents.c.area))
    found = (await session.execute(query.with_for_update(key_share=True) if lock else query)).mappings().one_or_none()
    if found is None:
        raise NotFound(f"There is no incident {incident[:100]!r}.")
    return found


async def shown_incident(session: AsyncSession, row: RowMapping) -> IncidentOut:
    """The incident with its calls, units and newest message."""
    mine = row["id"]
    sent = await session.execute(select(assignments).where(assignments.c.incident == mine).order_by(assignments.c.assigned_at, assignments.c.unit))
    said = await session.scalars(select(incident_calls.c.call).where(incident_calls.c.incident == mine).order_by(incident_calls.c.call))
    message = await session.scalar(select(func.max(crew_messages.c.revision)).where(crew_messages.c.incident == mine))
    short = await session.scalar(select(incident_work.c.dispatch).where(incident_work.c.incident == mine))
    units = [dict(one) for one in sent.mappings()]
    return IncidentOut.model_validate(
        {**row, "calls": list(said), "units": units, "message": message, "short": bool(short and message and row["closed_at"] is None)}
    )
