"""The city's event log over HTTP, page by page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.hub.events.log import read_page
from services.hub.events.schemas import EventPage, EventQuery
from shared.auth import may
from shared.caller import Caller
from shared.database import Session

router = APIRouter(tags=["events"])


@router.get("/events", response_model=EventPage, summary="The city's event log, page by page")
async def list_events(query: Annotated[EventQuery, Query()], session: Session, caller: Annotated[Caller, may("hub:events", "hub:query")]) -> Response:
    """Events in the areas of the token; those that concern no area are for tokens with all areas."""
    page = await read_page(session, query.wanted(), caller, query.after, query.limit)
    events = ",".join(f'{{"position":{logged.position},"event":{logged.envelope}}}' for logged in page.entries)
    content = f'{{"events":[{events}],"after":{page.after},"more":{str(page.more).lower()}}}'
    return Response(content, media_type="application/json")
