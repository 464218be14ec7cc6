"""The routes of aggregates: `POST /collections/{collection}/aggregate`, and the short form by `GET`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from shared.auth import AnyCaller
from shared.caller import Caller
from shared.config import Settings
from shared.database import reading
from shared.datasets.aggregate import states as wire
from shared.datasets.aggregate.answer import all_kept, begin, finished_answer, states_in_memory, states_of
from shared.datasets.aggregate.by_values import Memory
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.render import respond
from shared.datasets.aggregate.short import ShortForm, parse_short
from shared.datasets.aggregate.states import States
from shared.datasets.answers import matches
from shared.datasets.declaration import Dataset
from shared.datasets.labels import visible_fields
from shared.datasets.negotiation import choose_form
from shared.datasets.versions import AS_OF_HEADER, VERSION_HEADER, as_of_text, tag_of, versions_now
from shared.datasets.view import unknown_dataset, view
from shared.errors import Forbidden
from shared.runtime import Runtime
from shared.threads import LITTLE_BYTES, LITTLE_ROWS, worked

_WRITTEN_AT_ONCE = 4_000_000
"""Bytes of states that are copied in less time than a thread takes to begin, or a millisecond more."""
Form = Literal["json", "csv", "arrow", "states"]
_FORMS: dict[str, Form] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    wire.MEDIA_TYPE: "states",
    "*/*": "json",
    "application/*": "json",
    "text/*": "csv",
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Columns, rows and coverage; states go to the hub only",
        "content": {
            "application/json": {
                "example": {
                    "columns": [{"name": "calls", "type": "integer", "role": "measure", "fn": "count"}],
                    "rows": [[17]],
                    "coverage": {"complete": True, "sources": [{"source": "430300/fire", "dataset": "fire.calls", "status": "ok", "rows": 17}]},
                }
            },
            "text/csv": {},
            "application/vnd.apache.arrow.stream": {},
            wire.MEDIA_TYPE: {},
        },
    },
    304: {"description": "Still what `If-None-Match` names"},
}
_VERSIONS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": {"as_of": "2026-11-22T08:00:00+00:00", "versions": {"fire.calls": "418233-5f2d01c9a3b7e-1f0c9d3e5a7b"}}}}}
}
CACHE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept"}
Found = tuple[dict[str, str], States | None]
"""Headers and states, without states if the asker has them already."""
AskedForm = Annotated[str | None, Query(description="json, csv or arrow; otherwise the Accept header decides")]


def aggregate_router(datasets: Sequence[Dataset]) -> APIRouter:
    """The aggregates of a service's datasets."""
    router = APIRouter(tags=["aggregates"])
    declared = {dataset.id: dataset for dataset in datasets}

    @router.get("/versions", summary="By what answers change, for the hub", responses=_VERSIONS, response_class=Response)
    async def versions(request: Request, caller: AnyCaller) -> Response:
        """A text for each dataset that stays the same as long as every answer about it does (`Liandong-Version`), and the moment of which this is true."""
        runtime: Runtime = request.app.state.runtime
        settings = runtime.settings
        if not by_hub(caller, settings):
            raise Forbidden("Versions tell of changes that may not exist for you: they go to this city's hub only.")
        now = datetime.now(UTC)
        found = await versions_now(runtime.reader, datasets, settings)
        return Response(orjson.dumps({"as_of": as_of_text(now), "versions": found}), media_type="application/json", headers=CACHE)

    @router.post("/collections/{collection}/aggregate", summary="Measures per group", responses=_ANSWERS)
    async def aggregate(collection: str, question: Question, request: Request, caller: AnyCaller, f: AskedForm = None) -> Response:
        return await _answered(declared.get(collection), question, request, caller, asked_form(f, request.headers.get("accept", "")))

    @router.get("/collections/{collection}/aggregate", summary="Measures per group, short form", responses=_ANSWERS)
    async def aggregate_short(collection: str, request: Request, caller: AnyCaller, short: Annotated[ShortForm, Query()]) -> Response:
        question = parse_short(request.query_params.multi_items())
        return await _answered(declared.get(collection), question, request, caller, asked_form(short.f, request.headers.get("accept", "")))

    return router


async def _answered(dataset: Dataset | None, question: Question, request: Request, caller: Caller, form: Form) -> Response:
    if dataset is None:
        raise unknown_dataset(request.path_params["collection"])
    runtime: Runtime = request.app.state.runtime
    if form == "states" and not by_hub(caller, runtime.settings):
        raise Forbidden("States go to this city's hub only, on someone's behalf. Ask for application/json, text/csv or Arrow.")
    now = datetime.now(UTC)
    headers, states = await _from_memory(runtime, dataset, question, request, caller, form, now) or await _from_database(
        runtime, dataset, question, request, caller, form, now
    )
    if states is None:
        return Response(status_code=304, headers={**headers, AS_OF_HEADER: as_of_text(now)})
    if form == "states":
        written = await worked(states.table.nbytes < _WRITTEN_AT_ONCE, wire.write_states, states)
        return Response(written, media_type=wire.MEDIA_TYPE, headers=headers)
    little = states.table.num_rows <= LITTLE_ROWS and states.table.nbytes <= LITTLE_BYTES
    answer = await worked(little, lambda: respond(*finished_answer(states, question, dataset, caller), form))
    answer.headers.update(headers)
    return answer


async def _from_memory(runtime: Runtime, dataset: Dataset, question: Question, request: Request, caller: Caller, form: Form, now: datetime) -> Found | None:
    """The answer from columns that are kept: all that the database is asked is whether they are still what it holds. None if they are not enough."""
    seen = all_kept(dataset, question, caller, runtime.settings, runtime.columns)
    if seen is None:
        return None
    found = (await versions_now(runtime.reader, [dataset], runtime.settings)).get(dataset.id)
    version, headers = _tagged(found, dataset, question, caller, runtime.settings, form)
    if "ETag" in headers and matches(request, headers["ETag"]):
        return headers, None
    states = await states_in_memory(_asked(question, form), seen, caller, runtime.settings, now, Memory(runtime.columns, version))
    return None if states is None else (headers, states)


async def _from_database(runtime: Runtime, dataset: Dataset, question: Question, request: Request, caller: Caller, form: Form, now: datetime) -> Found:
    """The answer as of one snapshot, in which its version was looked at."""
    async with reading(runtime.reader) as reader:
        found = await begin(reader, dataset, question, runtime.settings)
        version, headers = _tagged(found, dataset, question, caller, runtime.settings, form)
        if "ETag" in headers and matches(request, headers["ETag"]):
            return headers, None
        return headers, await states_of(reader, dataset, _asked(question, form), caller, runtime.settings, now, Memory(runtime.columns, version))


def _asked(question: Question, form: Form) -> Question:
    return question.for_states() if form == "states" else question


def by_hub(caller: Caller, settings: Settings) -> bool:
    """Whether this city's hub asks, on someone's behalf."""
    return caller.actor == f"{settings.city}/hub"


def _tagged(version: str | None, dataset: Dataset, question: Question, caller: Caller, settings: Settings, form: Form) -> tuple[str | None, dict[str, str]]:
    """The version of the dataset, and headers with the answer's tag, known before anything is computed.

    Only for those who see everything, and for the hub, which shows neither to anybody: to others they would tell of changes that do not exist for them.
    """
    if not visible_fields(dataset, caller) or not (form == "states" or view(dataset, caller, city_areas=settings.areas).whole) or version is None:
        return None, CACHE
    rights = (caller.areas, caller.clearance, sorted(caller.scopes), caller.purpose, caller.actor)
    tag = tag_of(version, question.model_dump_json(by_alias=True, exclude={"deadline_ms", "max_age"}), rights, form)
    return version, {**CACHE, "ETag": tag} | ({VERSION_HEADER: version} if form == "states" else {})


def asked_form(f: str | None, accept: str) -> Form:
    """The form of an aggregate that a request asks for."""
    return choose_form(f, accept, _FORMS)
