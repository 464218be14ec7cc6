"""SQL over all datasets of the city: one SELECT, what the sources are asked, one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response

from services.hub.federation.crowd import admitted
from services.hub.governance.noting import note_statement
from services.hub.sql import answering
from services.hub.sql.computing import Computed
from services.hub.sql.encoding import ASKED, MEDIA_TYPES, as_csv_pieces, as_json, columns_of
from services.hub.sql.schemas import SqlQuestion
from shared.auth import AnyCaller
from shared.datasets.bulk_answer import StreamedAnswer
from shared.datasets.bulk_forms import Stream, encoded
from shared.datasets.formats import encode_json
from shared.datasets.negotiation import choose_form
from shared.passage import arriving
from shared.service import Runtime

router = APIRouter(tags=["federation"], dependencies=[Depends(admitted)])
DEADLINE_S, LONGEST_S = 10.0, 600.0
LEFT = 499
"""What the log says of a question that nobody waits for any more."""
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Columns, rows, and which sources they rest on", "content": {name: {} for name in ("text/csv", MEDIA_TYPES["arrow"])}},
    400: {"description": "Something is wrong with the statement, at `line` and `column`"},
    422: {"description": "It failed while it was computed, or needs too much memory"},
    429: {"description": "As many statements are being computed as may be at once"},
    502: {"description": "Of some dataset no source answered, or under `strict` not every one"},
    503: {"description": "No process computes statements at the moment"},
    504: {"description": "Not finished in time"},
}
Asked = Annotated[str | None, Query(description="json, csv or arrow", max_length=20)]


@router.post("/sql", responses=_ANSWERS, summary="One SELECT over all datasets of the city")
async def sql(question: SqlQuestion, request: Request, caller: AnyCaller, f: Asked = None) -> Response:
    """Tables are datasets (`fire.calls`), columns their fields as far as they exist for the caller, and `_source`. Read-only.

    The sources select columns and rows and make groups as far as they can; the rest is computed by DuckDB in a process without files or network.
    A small answer is given whole; a larger one streams, and ends with its coverage (Arrow: in the metadata of a last, empty batch).
    """
    runtime: Runtime = request.app.state.runtime
    note_statement(question.sql)
    form = choose_form(f, request.headers.get("accept", ""), ASKED)
    wanted_s = question.deadline_ms / 1000 if question.deadline_ms else DEADLINE_S
    passage = arriving(request, runtime.settings.audience, wanted_s=wanted_s, most_s=LONGEST_S)
    async with AsyncExitStack() as stack:
        found = await _unless_left(request, answering.answer(runtime, caller, question, passage, stack))
        if found is None:
            return Response(status_code=LEFT)
        if not isinstance(found, Computed):
            return Response(encode_json(found), media_type=MEDIA_TYPES["json"])
        pieces = _pieces(found, form, question)
        if found.whole:
            body = b"".join([piece async for piece in pieces])
            return Response(body, media_type=MEDIA_TYPES[form], headers=_linked(found, form, question))
        return StreamedAnswer(
            pieces,
            stack.pop_all(),
            form=form,  # type: ignore[arg-type]  # one of its forms
            headers={},
            limit_s=passage.remaining_s,
            idle_s=runtime.settings.stream_idle_s,
        )
    raise AssertionError  # a stack of our own passes every exception on


def _pieces(found: Computed, form: str, question: SqlQuestion) -> AsyncIterator[bytes]:
    def ending(rows: int, more: bool) -> Mapping[str, Any]:
        coverage = found.coverage(strict=question.strict or (form == "csv" and not found.whole))
        return {**({"truncated": True} if more else {}), "coverage": coverage.as_dict()}

    batches = found.all_batches()
    if form == "json":
        return as_json(found.schema, batches, question.limit, ending)
    if form == "csv":
        return as_csv_pieces(found.schema, batches, question.limit, ending)
    about: dict[str, Any] = {"columns": columns_of(found.schema)}
    about |= ending(0, False) if found.whole else {}
    counted = answering.Counted(batches, question.limit)
    return encoded(Stream(found.schema, counted.cut(), about, lambda rows: ending(rows, counted.more)), "arrow")


def _linked(found: Computed, form: str, question: SqlQuestion) -> dict[str, str]:
    if form != "csv":
        return {}
    return {"Link": f'<data:application/json,{quote(encode_json(found.coverage(strict=question.strict).as_dict()))}>; rel="coverage"'}


async def _unless_left(request: Request, work: Any) -> Any:
    """The result of work; None if the client has left, for whom it is given up."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
