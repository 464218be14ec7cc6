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
from shared.datasets.aggregate.render import respond
from shared.datasets.aggregate.short import ShortForm, parse_short
from shared.datasets.declaration import Dataset
from shared.datasets.negotiation import choose_form
from shared.datasets.view import unknown_dataset
from shared.errors import Forbidden

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
    }
}
AskedForm = Annotated[str | None, Query(description="json, csv or arrow; otherwise the Accept header decides")]


def aggregate_router(datasets: Sequence[Dataset]) -> APIRouter:
    """The aggregates of a service's datasets."""
    router = APIRouter(tags=["aggregates"])
    declared = {dataset.id: dataset for dataset in datasets}

    async def answered(collection: str, question: Question, request: Request, caller: Caller, reader: Reader, form: Form) -> Response:
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
    async def aggregate(collection: str, question: Question, request: Request, caller: AnyCaller, reader: Reader, f: AskedForm = None) -> Response:
        return await answered(collection, question, request, caller, reader, asked_form(f, request.headers.get("accept", "")))

    @router.get("/collections/{collection}/aggregate", summary="Measures per group, short form", responses=_ANSWERS)
    async def aggregate_short(collection: str, request: Request, caller: AnyCaller, reader: Reader, short: Annotated[ShortForm, Query()]) -> Response:
        question = parse_short(request.query_params.multi_items())
        return await answered(collection, question, request, caller, reader, asked_form(short.f, request.headers.get("accept", "")))

    return router


def asked_form(f: str | None, accept: str) -> Form:
    """The form of an aggregate that a request asks for."""
    return choose_form(f, accept, _FORMS)
