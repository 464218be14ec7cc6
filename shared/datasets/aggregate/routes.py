"""The routes of aggregates: `POST /collections/{collection}/aggregate`, and the short form by `GET`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import AnyCaller
from shared.caller import Caller
from shared.config import Settings
from shared.database import Reader
from shared.datasets.aggregate import states as wire
from shared.datasets.aggregate.answer import begin, finished_answer, states_of
from shared.datasets.aggregate.by_values import Memory
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.render import respond
from shared.datasets.aggregate.short import ShortForm, parse_short
from shared.datasets.answers import matches
from shared.datasets.declaration import Dataset
from shared.datasets.labels import visible_fields
from shared.datasets.negotiation import choose_form
from shared.datasets.versions import AS_OF_HEADER, VERSION_HEADER, answer_versions, as_of_text, tag_of
from shared.datasets.view import unknown_dataset, view
from shared.errors import Forbidden
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
AskedForm = Annotated[str | None, Query(description="json, csv or arrow; otherwise the Accept header decides")]


def aggregate_router(datasets: Sequence[Dataset]) -> APIRouter:
    """The aggregates of a service's datasets."""
    router = APIRouter(tags=["aggregates"])
    declared = {dataset.id: dataset for dataset in datasets}

    @router.get("/versions", summary="By what answers change, for the hub", responses=_VERSIONS, response_class=Response)
    async def versions(request: Request, caller: AnyCaller, reader: Reader) -> Response:
        """A text for each dataset that stays the same as long as every answer about it does (`Liandong-Version`), and the moment of which this is true."""
        settings: Settings = request.app.state.runtime.settings
        if not by_hub(caller, settings):
            raise Forbidden("Versions tell of changes that may not exist for you: they go to this city's hub only.")
        now = datetime.now(UTC)
        found = await answer_versions(reader, datasets, settings)
        return Response(orjson.dumps({"as_of": as_of_text(now), "versions": found}), media_type="application/json", headers=CACHE)

    @router.post("/collections/{collection}/aggregate", summary="Measures per group", responses=_ANSWERS)
    async def aggregate(collection: str, question: Question, request: Request, caller: AnyCaller, reader: Reader, f: AskedForm = None) -> Response:
        return await _answered(declared.get(collection), question, request, caller, reader, asked_form(f, request.headers.get("accept", "")))

    @router.get("/collections/{collection}/aggregate", summary="Measures per group, short form", responses=_ANSWERS)
    async def aggregate_short(collection: str, request: Request, caller: AnyCaller, reader: Reader, short: Annotated[ShortForm, Query()]) -> Response:
        question = parse_short(request.query_params.multi_items())
        return await _answered(declared.get(collection), question, request, caller, reader, asked_form(short.f, request.headers.get("accept", "")))

    return router


async def _answered(dataset: Dataset | None, question: Question, request: Request, caller: Caller, reader: AsyncConnection, form: Form) -> Response:
    if dataset is None:
        raise unknown_dataset(request.path_params["collection"])
    runtime = request.app.state.runtime
    settings: Settings = runtime.settings
    if form == "states" and not by_hub(caller, settings):
        raise Forbidden("States go to this city's hub only, on someone's behalf. Ask for application/json, text/csv or Arrow.")
    now = datetime.now(UTC)
    version, headers = await _tagged(reader, dataset, question, caller, settings, form)
    if "ETag" in headers and matches(request, headers["ETag"]):
        return Response(status_code=304, headers={**headers, AS_OF_HEADER: as_of_text(now)})
    asked = question.for_states() if form == "states" else question
    states = await states_of(reader, dataset, asked, caller, settings, now, Memory(runtime.columns, version))
    if form == "states":
        written = await worked(states.table.nbytes < _WRITTEN_AT_ONCE, wire.write_states, states)
        return Response(written, media_type=wire.MEDIA_TYPE, headers=headers)
    little = states.table.num_rows <= LITTLE_ROWS and states.table.nbytes <= LITTLE_BYTES
    answer = await worked(little, lambda: respond(*finished_answer(states, question, dataset, caller), form))
    answer.headers.update(headers)
    return answer


def by_hub(caller: Caller, settings: Settings) -> bool:
    """Whether this city's hub asks, on someone's behalf."""
    return caller.actor == f"{settings.city}/hub"


async def _tagged(
    reader: AsyncConnection, dataset: Dataset, question: Question, caller: Caller, settings: Settings, form: Form
) -> tuple[str | None, dict[str, str]]:
    """The version of the dataset, and headers with the answer's tag, known before anything is computed; its transaction is begun.

    Only for those who see everything, and for the hub, which shows neither to anybody: to others they would tell of changes that do not exist for them.
    """
    version = await begin(reader, dataset, question, settings)
    if not visible_fields(dataset, caller) or not (form == "states" or view(dataset, caller, city_areas=settings.areas).whole) or version is None:
        return None, CACHE
    rights = (caller.areas, caller.clearance, sorted(caller.scopes), caller.purpose, caller.actor)
    tag = tag_of(version, question.model_dump_json(by_alias=True, exclude={"deadline_ms", "max_age"}), rights, form)
    return version, {**CACHE, "ETag": tag} | ({VERSION_HEADER: version} if form == "states" else {})


def asked_form(f: str | None, accept: str) -> Form:
    """The form of an aggregate that a request asks for."""
    return choose_form(f, accept, _FORMS)
