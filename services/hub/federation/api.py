"""One question to all sources: records, aggregates of one dataset or across several."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from services.hub.federation.aggregates import aggregate, aggregate_across, states_upward
from services.hub.federation.crowd import admitted
from services.hub.federation.naming import Parameter, named_in, without_names
from services.hub.federation.records import item, items
from services.hub.federation.schemas import Asked, NamedQuestion
from services.hub.federation.streams import stream_items
from shared.auth import AnyCaller
from shared.caller import Caller
from shared.datasets import routes
from shared.datasets.aggregate.finish import Finished
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.render import respond
from shared.datasets.aggregate.routes import AskedForm, asked_form
from shared.datasets.aggregate.short import ShortForm, parse_short
from shared.datasets.aggregate.states import MEDIA_TYPE, write_states
from shared.errors import Forbidden
from shared.passage import Passage, arriving
from shared.service import Runtime
from shared.threads import LITTLE_BYTES, LITTLE_ROWS, worked

router = APIRouter(tags=["federation"], dependencies=[Depends(admitted)])
DEADLINE_S = 2.0
"""How long an aggregate may take unless the question says otherwise."""
RECORDS_DEADLINE_S = 10.0
"""The same for a page of records: map clients ask for thousands of rows and cannot name a deadline."""
LONGEST_S = 60.0
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Columns, rows, and which sources the answer rests on", "content": {"text/csv": {}, "application/vnd.apache.arrow.stream": {}}},
    502: {"description": "No source answered, or under `strict` not every one; `coverage` says which"},
    504: {"description": "No source answered in time"},
}


class ItemsParameters(routes.ItemsParameters):
    """The parameters of records at the hub."""

    sources: Parameter = None
    strict: Annotated[bool, Field(description="An error unless every source answered")] = False
    deadline_ms: Annotated[int | None, Field(ge=1, le=600_000, description="Milliseconds the answer may take")] = None


class ItemParameters(routes.ItemParameters):
    """The parameters of a single row at the hub."""

    sources: Parameter = None


class NamedShortForm(ShortForm):
    """The short form at the hub."""

    sources: Parameter = None


@router.get("/collections/{collection}/items", responses=_ANSWERS, summary="Rows of all sources: filtered, sorted, page by page")
async def list_items(collection: str, request: Request, caller: AnyCaller, parameters: Annotated[ItemsParameters, Query()]) -> Response:
    """In one order over all sources, with a link to the next page. A source that fails stays out for the rest of the paging and is named.

    With `stream=true` every row in one answer, which ends with its coverage: in Arrow in the metadata of a last, empty batch, in GeoJSON behind the
    features. CSV, and any form under `strict`, breaks off if a source fails on the way.
    """
    runtime: Runtime = request.app.state.runtime
    if parameters.stream == "true":
        longest_s = runtime.settings.stream_timeout_s
        passage = _passage(request, parameters.deadline_ms, default_s=longest_s, most_s=longest_s)
        return await stream_items(runtime, request, caller, collection, passage, strict=parameters.strict)
    passage = _passage(request, parameters.deadline_ms, default_s=RECORDS_DEADLINE_S)
    return await items(request.app.state.runtime, request, caller, collection, passage, strict=parameters.strict)


@router.get("/collections/{collection}/items/{feature_id:path}", responses=_ANSWERS, summary="A row")
async def one_item(collection: str, feature_id: str, request: Request, caller: AnyCaller, parameters: Annotated[ItemParameters, Query()]) -> Response:
    return await item(request.app.state.runtime, request, caller, collection, feature_id, _passage(request, None))


@router.post("/aggregate", responses=_ANSWERS, summary="Measures per group, of one dataset or across several")
async def ask(asked: Asked, request: Request, caller: AnyCaller, f: AskedForm = None) -> Response:
    """With `dataset`, as `POST /collections/{id}/aggregate`. With `across`, several datasets side by side on the dimensions they share:
    one row per cell that any of them has, columns `part.measure`, null where a dataset has no rows in the cell."""
    form = _form(f, request)
    runtime, passage = request.app.state.runtime, _passage(request, asked.deadline_ms)
    named = frozenset(asked.sources) if asked.sources else None
    if asked.across is None:
        found = await aggregate(runtime, caller, asked.named, asked.question(), passage, named)
    else:
        found = await aggregate_across(runtime, caller, asked.as_across(), passage, named)
    return await worked(_little(found[0]), respond, *found, form)  # type: ignore[arg-type]  # states were refused above


@router.post("/collections/{collection}/aggregate", responses=_ANSWERS, summary="Measures per group, from all sources of a dataset")
async def ask_one(collection: str, question: NamedQuestion, request: Request, caller: AnyCaller, f: AskedForm = None) -> Response:
    return await _one(collection, question, request, caller, f, frozenset(question.sources) if question.sources else None)


@router.get("/collections/{collection}/aggregate", responses=_ANSWERS, summary="Measures per group, short form")
async def ask_short(collection: str, request: Request, caller: AnyCaller, short: Annotated[NamedShortForm, Query()]) -> Response:
    return await _one(collection, parse_short(without_names(request.query_params.multi_items())), request, caller, short.f, named_in(request))


async def _one(collection: str, question: Question, request: Request, caller: Caller, f: str | None, named: frozenset[str] | None) -> Response:
    runtime: Runtime = request.app.state.runtime
    if caller.superior and asked_form(f, request.headers.get("accept", "")) == "states":
        states = await states_upward(runtime, caller, collection, question, _passage(request, question.deadline_ms), named)
        return Response(await asyncio.to_thread(write_states, states), media_type=MEDIA_TYPE)
    form = _form(f, request)
    found = await aggregate(runtime, caller, collection, question, _passage(request, question.deadline_ms), named)
    return await worked(_little(found[0]), respond, *found, form)  # type: ignore[arg-type]  # states were refused above


def _little(found: Finished) -> bool:
    return int(found.table.num_rows) <= LITTLE_ROWS and int(found.table.nbytes) <= LITTLE_BYTES


def _form(f: str | None, request: Request) -> str:
    form = asked_form(f, request.headers.get("accept", ""))
    if form == "states":
        raise Forbidden("The hub gives finished answers, and states of one dataset to superior hubs alone: ask for application/json, text/csv or Arrow.")
    return form


def _passage(request: Request, deadline_ms: int | None, *, default_s: float = DEADLINE_S, most_s: float = LONGEST_S) -> Passage:
    runtime: Runtime = request.app.state.runtime
    return arriving(request, runtime.settings.audience, wanted_s=deadline_ms / 1000 if deadline_ms else default_s, most_s=most_s)
