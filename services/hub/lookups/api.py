"""Lookups over HTTP: the services' own questions, asked through the hub with one token and one deadline."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from services.hub.lookups.actions import DEADLINE_S, LONGEST_S, ask, known_lookups
from services.hub.lookups.schemas import LookupAnswer, LookupOut
from services.hub.state import HubState
from shared.auth import AnyCaller
from shared.passage import arriving
from shared.service import Runtime

router = APIRouter(tags=["federation"])
LookupId = Annotated[str, Path(max_length=96, examples=["worksafety.on-site-card"])]


@router.get("/lookups", summary="Questions that services answer beyond their datasets")
async def list_lookups(hub: HubState, caller: AnyCaller) -> list[LookupOut]:
    """Those that the caller may ask, by id."""
    return [LookupOut(id=lookup.id, source=source.name, path=lookup.path, title=dict(lookup.title)) for source, lookup in known_lookups(hub, caller)]


@router.get(
    "/lookups/{lookup}",
    summary="Ask a service one of its own questions",
    responses={502: {"description": "The service failed; `coverage` says how"}, 504: {"description": "It did not answer in time"}},
)
async def one_lookup(
    lookup: LookupId,
    request: Request,
    caller: AnyCaller,
    deadline_ms: Annotated[int | None, Query(ge=1, le=600_000, description="Milliseconds the answer may take")] = None,
) -> LookupAnswer:
    """All other parameters go to the service as they are; it answers within the rights of the asker, and its refusals are passed on."""
    runtime: Runtime = request.app.state.runtime
    passage = arriving(request, runtime.settings.audience, wanted_s=deadline_ms / 1000 if deadline_ms else DEADLINE_S, most_s=LONGEST_S)
    params = [(name, value) for name, value in request.query_params.multi_items() if name != "deadline_ms"]
    return await ask(runtime, caller, lookup, params, passage)
