"""The city's event log over HTTP, page by page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from services.hub.events.log import read_page
from services.hub.events.schemas import EventPage, EventQuery
from shared.auth import AnyCaller, may
from shared.caller import Caller
from shared.database import Session
from shared.errors import NotFound
from shared.events.catalogue import EVENTS, data_schema

router = APIRouter(tags=["events"])


@router.get("/events", response_model=EventPage, summary="The city's event log, page by page")
async def list_events(query: Annotated[EventQuery, Query()], session: Session, caller: Annotated[Caller, may("hub:events", "hub:query")]) -> Response:
    """Events in the areas of the token; those that concern no area are for tokens with all areas."""
    page = await read_page(session, query.wanted(), caller, query.after, query.limit)
    events = ",".join(f'{{"position":{logged.position},"event":{logged.envelope}}}' for logged in page.entries)
    content = f'{{"events":[{events}],"after":{page.after},"more":{str(page.more).lower()}}}'
    return Response(content, media_type="application/json")


@router.get("/events/{event_type}", summary="What an event of a type says: the JSON Schema of its data")
async def show_schema(event_type: Annotated[str, Path(max_length=100, examples=["fire.call.received.v1"])], request: Request, _: AnyCaller) -> dict[str, Any]:
    """The address in an event's `dataschema`."""
    if (event := EVENTS.get(event_type)) is None:
        raise NotFound(f"No service of this city publishes {event_type!r}.", pointer="/event_type")
    return data_schema(event, request.app.state.runtime.settings.hub_url)
