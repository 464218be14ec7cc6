"""Messages to the crews: read, acknowledged."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.fire.crews.reading import check_unit, found_message, shown_message
from services.fire.crews.schemas import AcknowledgementIn, AcknowledgementOut, MessageOut
from services.fire.models import crew_acknowledgements
from shared.auth import Caller, may
from shared.database import Session
from shared.errors import Conflict, InvalidBody
from shared.row_models import Reference, misdated
from shared.service import Now

router = APIRouter(tags=["crews"])
MOST_REVISION = 2**31 - 1


@router.get("/incidents/{incident}/crews-message", summary="The message to the crews")
async def show_message(
    incident: Reference,
    session: Session,
    caller: Annotated[Caller, may("fire:read", "hub:query")],
    revision: Annotated[int | None, Query(ge=1, le=MOST_REVISION, description="The newest if not given")] = None,
) -> MessageOut:
    """All that a crew needs to know, as it was said in one revision; the on-site card only with clearance for important data."""
    found = await found_message(session, incident, revision, caller)
    acknowledged = select(crew_acknowledgements.c.unit).where(crew_acknowledgements.c.incident == incident, crew_acknowledgements.c.revision == found.revision)
    units = list(await session.scalars(acknowledged.order_by(crew_acknowledgements.c.unit)))
    return MessageOut.model_validate({**shown_message(found, caller), "acknowledged": units})


@router.post("/incidents/{incident}/crews-message/{revision}/acknowledgement", summary="Acknowledge a message")
async def acknowledge(
    incident: Reference,
    revision: Annotated[int, Path(ge=1, le=MOST_REVISION)],
    said: AcknowledgementIn,
    session: Session,
    caller: Annotated[Caller, may("fire:write")],
    now: Now,
) -> AcknowledgementOut:
    """A unit that the message went to has taken note of it; the first acknowledgement stays, however often it is sent."""
    if fault := misdated(said.at, now):
        raise InvalidBody(fault, pointer="/at")
    found = await found_message(session, incident, revision, caller)
    await check_unit(session, said.unit, caller)
    if said.unit not in found.units:
        raise Conflict(f"Revision {revision} did not go to {said.unit}.", pointer="/unit")
    key = {"incident": incident, "revision": revision, "unit": said.unit}
    await session.execute(insert(crew_acknowledgements).values(**key, at=said.at, recorded_by=caller.subject).on_conflict_do_nothing())
    kept = select(crew_acknowledgements.c.at).filter_by(**key)
    return AcknowledgementOut(**key, at=(await session.execute(kept)).scalar_one())
