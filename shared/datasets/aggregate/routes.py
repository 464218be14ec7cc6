"""The routes of aggregates: `POST /collections/{collection}/aggregate`, and the short form by `GET`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from shared.auth import AnyCaller
from shared.caller import Caller
from shared.config import Settings
from shared.database import Reader
from shared.datasets.aggregate import states as wire
from shared.datasets.aggregate.answer import finished_answer, states_of
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.render import MEDIA_TYPES, respond
from shared.datasets.aggregate.short import ShortForm, parse_short
from shared.datasets.declaration import Dataset
from shared.datasets.view import unknown_dataset
from shared.errors import Forbidden, NotAcceptable

Form = Literal["json", "csv", "arrow", "states"]
_FORMS: dict[str, Form] = {media_type: form for form, media_type in MEDIA_TYPES.items()} | {wire.MEDIA_TYPE: "states"}  # type: ignore[assignment]
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
    }
}
AskedForm = Annotated[str | None, Query(description="json, csv or arrow; otherwise the Accept header decides")]


def aggregate_router(datasets: Sequence[Dataset]) -> APIRouter:
    """The aggregates of a service's datasets."""
    router = APIRouter(tags=["aggregates"])
    declared = {dataset.id: dataset for dataset in datasets}

    async def answered(collection: str, question: Question, request: Request, reader: Reader, caller: Caller, form: Form) -> Response:
        if collection not in declared:
            raise unknown_dataset(collection)
        settings: Settings = request.app.state.runtime.settings
        if form == "states" and caller.actor != f"{settings.city}/hub":
            raise Forbidden("States go to this city's hub only, on someone's behalf. Ask for application/json, text/csv or Arrow.")
        dataset = declared[collection]
        asked = question.for_states() if form == "states" else question
        states = await states_of(reader, dataset, asked, caller, settings, datetime.now(UTC))
        if form == "states":
            return Response(await asyncio.to_thread(wire.write_states, states), media_type=wire.MEDIA_TYPE)
        return await asyncio.to_thread(lambda: respond(*finished_answer(states, question, dataset, caller), form))

    @router.post("/collections/{collection}/aggregate", summary="Measures per group", responses=_ANSWERS)
    async def aggregate(collection: str, question: Question, request: Request, reader: Reader, caller: AnyCaller, f: AskedForm = None) -> Response:
        return await answered(collection, question, request, reader, caller, asked_form(f, request.headers.get("accept", "")))

    @router.get("/collections/{collection}/aggregate", summary="Measures per group, short form", responses=_ANSWERS)
    async def aggregate_short(collection: str, request: Request, reader: Reader, caller: AnyCaller, short: Annotated[ShortForm, Query()]) -> Response:
        question = parse_short(request.query_params.multi_items())
        return await answered(collection, question, request, reader, caller, asked_form(short.f, request.headers.get("accept", "")))

    return router


def asked_form(f: str | None, accept: str) -> Form:
    """The form that `f` names, else the first that the Accept header takes; JSON where both leave it open."""
    if f is not None:
        if f not in _FORMS.values():
            raise NotAcceptable(f"There is no form {f[:30]!r}; there are json, csv and arrow.", pointer="/f")
        return f  # type: ignore[return-value]  # one of the literals
    ranges = sorted((_range(part) for part in accept.split(",") if part.strip()), reverse=True)
    for weight, _, media_type in ranges:
        if weight > 0 and media_type in _FORMS:
            return _FORMS[media_type]
        if weight > 0 and media_type in ("*/*", "application/*"):
            return "json"
    if ranges:
        raise NotAcceptable(f"Aggregates come as {', '.join(MEDIA_TYPES.values())}.")
    return "json"


def _range(part: str) -> tuple[float, int, str]:
    """Weight, place from the end and name of a media range (RFC 9110, 12.5.1); what is named exactly goes before what is not."""
    media_type, *parameters = [piece.strip().lower() for piece in part.split(";")]
    weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return min(float(weight), 1.0), -media_type.count("*"), media_type
    except ValueError:
        return 0.0, 0, media_type
