"""The road network: imported whole, served whole, and what changes on it."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from services.traffic.network.actions import replace_network
from services.traffic.network.client import MEDIA_TYPES, parse, upload
from services.traffic.network.schemas import ClosureNow, ImportOut, StateOut
from shared.auth import Caller, may
from shared.body import LoadSlot
from shared.database import Session
from shared.errors import Forbidden, InvalidRequest, Unavailable
from shared.outbox.record import when_committed
from shared.row_models import AreaCode, PlainText
from shared.runtime import Runtime

router = APIRouter(tags=["network"])
MayRead = Annotated[Caller, may("traffic:read", "hub:query")]
ARROW = "application/vnd.apache.arrow.stream"
NOT_MODELLED = ("turn restrictions", "barriers", "restrictions by time, weight or height", "lanes reserved for buses")
_FILE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {"type": "object", "required": ["nodes", "arcs"], "properties": {part: {"type": "string", "format": "binary"} for part in ("nodes", "arcs")}}
}
_BODY = {"requestBody": {"required": True, "content": {kind: _FORM if kind.startswith("multipart") else _FILE for kind in MEDIA_TYPES}}}


@router.put("/network", summary="Import a road network", openapi_extra=_BODY)
async def import_network(
    request: Request,
    session: Session,
    caller: Annotated[Caller, may("traffic:write")],
    slot: LoadSlot,
    source: Annotated[PlainText, Query(description="Where the file is from, with its licence")],
    area: Annotated[AreaCode | None, Query(description="Area that the network belongs to; the city's own if not given")] = None,
    notes: Annotated[PlainText | None, Query()] = None,
) -> ImportOut:
    """An OpenStreetMap file (PBF, XML, gzipped XML), a CSV of edges, or a form with the two CSV files `nodes` and `arcs`.

    The file is read aside, by another process with bounds on memory and time; then the new network comes in force in one step. Whatever goes wrong
    before leaves the old one in force. The same file again changes nothing.
    """
    runtime: Runtime = request.app.state.runtime
    belongs = await _area(runtime, caller, area)
    importing = _importing(request)
    if importing.locked():
        raise Unavailable("Another network is just being imported.", headers={"Retry-After": "30"})
    async with importing, upload(request) as (form, folder):
        parsed = await parse(form, folder)
    replaced = await replace_network(session, parsed, source=source, area=belongs, notes=notes, by=caller.subject)
    when_committed(session, runtime.own.roads.changed)
    names = ("version", "nodes", "arcs", "reachable", "length_km", "rows", "left_out")
    return ImportOut(**{name: parsed.report[name] for name in names}, replaced=replaced, not_modelled=list(NOT_MODELLED))


@router.get("/network", summary="The road network", response_class=Response, responses={200: {"content": {ARROW: _FILE}}, 304: {"description": "Unchanged"}})
async def whole_network(request: Request, caller: MayRead, if_none_match: Annotated[str | None, Header(max_length=200)] = None) -> Response:
    """The whole network in force, as an Arrow stream; its version is the ETag. Keep a copy: it serves while this service does not answer."""
    version, content = await request.app.state.runtime.own.roads.content()
    headers = {"ETag": f'"{version}"', "Cache-Control": "private, no-cache"}
    if if_none_match is not None and f'"{version}"' in if_none_match.replace("W/", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=ARROW)


@router.get("/network/state", summary="What changes on the network")
async def network_state(request: Request, caller: MayRead) -> StateOut:
    """Version of the network in force, and the closures that are not over, planned ones as well, in the caller's areas."""
    version, closed, speeds, as_of = await request.app.state.runtime.own.roads.state()
    shown = [
        ClosureNow(closure=each.id, revision=each.revision, reason=each.reason, begins_at=each.begins_at, ends_at=each.ends_at, geometry=each.geometry)
        for each in closed
        if caller.sees_area(each.area)
    ]
    return StateOut(version=version, closures=shown, speeds=speeds, as_of=as_of)


def _importing(request: Request) -> asyncio.Lock:
    state = request.app.state
    if not hasattr(state, "importing"):
        state.importing = asyncio.Lock()
    lock: asyncio.Lock = state.importing
    return lock


async def _area(runtime: Runtime, caller: Caller, stated: str | None) -> str:
    """The area that a network belongs to: a known one, the city's and the caller's."""
    city = runtime.settings.areas
    area = stated or (city[0] if city and city[0] != "*" else runtime.settings.city[:4])
    if stated and not await runtime.areas.known([stated]):
        raise InvalidRequest(f"The area table has no {stated}. The hub's GET /areas lists what it has.", pointer="/area")
    if not (caller.sees_area(area) and ("*" in city or area.startswith(tuple(city)))):
        raise Forbidden(f"The area {area} is not among those of this city that the token covers.")
    return area
