"""Recalls of this city, and notices that others published."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from services.food.recalls.actions import close_recall, open_recall, save_progress
from services.food.recalls.judging import save_notices
from services.food.recalls.reading import read_recall
from services.food.recalls.schemas import NoticeIn, ProgressIn, RecallIn, RecallOut
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.idempotency import Repeatable
from shared.row_models import Checked, batch_docs, batch_of
from shared.service import Now

router = APIRouter(tags=["recalls"])
Writer = Annotated[Caller, may("food:write")]
_PATTERN = r"^[A-Za-z0-9._~@+-]+:[A-Za-z0-9._~@+-]+$"
RecallId = Annotated[str, Path(max_length=201, pattern=_PATTERN, description="`<registry>:<number>`")]
_NOTICE = {
    "registry": "samr",
    "number": "2026-118",
    "grade": "II",
    "status": "open",
    "published_at": "2026-11-20T00:00:00+08:00",
    "title": "某公司召回某批次酱油",
    "url": "https://example.org/2026-118",
}
_ANSWER: dict[int | str, dict[str, Any]] = {200: {"model": LoadAnswer}}
_RECALL: dict[int | str, dict[str, Any]] = {200: {"model": RecallOut}}


@router.post("/notices", summary="Load published notices", openapi_extra=batch_docs(NoticeIn, _NOTICE), responses=_ANSWER, response_class=Response)
async def load_notices(
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[NoticeIn], batch_of(NoticeIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> Response:
    """Rows are independent: each is a document. Translations and updates of one notice become one row of food.notices."""

    async def work() -> LoadAnswer:
        return await save_notices(session, batch, caller, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.post("/recalls", summary="Open a recall", status_code=201, responses={201: {"model": RecallOut}}, response_class=Response)
async def begin(request: Request, asked: RecallIn, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Finds every lot made from those named and all premises that made, held or sold them, in this city and elsewhere; says by when it must start."""

    async def work() -> RecallOut:
        return RecallOut.model_validate(await open_recall(session, asked, caller, request.app.state.runtime, now))

    return await once(work, status=201)


@router.get("/recalls/{recall_id}", summary="A recall and how far it has come", response_model=RecallOut)
async def show(recall_id: RecallId, reader: Reader, caller: Annotated[Caller, may("food:read", "hub:query")], now: Now) -> Any:
    """Premises outside the caller's areas are counted, not named."""
    return await read_recall(reader, recall_id, caller, now)


@router.post("/recalls/{recall_id}/premises/{premises_id}", summary="Report progress of a recall", responses=_RECALL, response_class=Response)
async def report(
    recall_id: RecallId,
    premises_id: Annotated[str, Path(max_length=201, pattern=_PATTERN)],
    progress: ProgressIn,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
) -> Response:
    """When the premises were informed, took the food from sale and finished, and how much came back. What is not given stays as it is."""

    async def work() -> RecallOut:
        return RecallOut.model_validate(await save_progress(session, recall_id, premises_id, progress, caller, now))

    return await once(work)


@router.post("/recalls/{recall_id}/close", summary="Close a recall", responses=_RECALL, response_class=Response)
async def close(recall_id: RecallId, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Closes a recall that is finished at all premises; again, it stays closed as it was."""

    async def work() -> RecallOut:
        return RecallOut.model_validate(await close_recall(session, recall_id, caller, now))

    return await once(work)
