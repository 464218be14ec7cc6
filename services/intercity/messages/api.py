"""Messages in and out: `POST /messages` takes what peers sign, over HTTP or as the bytes of a file; deliveries of ours can be fetched as files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select

from services.intercity.messages.actions import (
    Outcome,
    as_problem,
    check_peer_rate,
    check_time_and_place,
    kept_answer,
    known_sender,
    refused,
    taken_in,
)
from services.intercity.messages.domain import MessageMalformed, MessageTooLarge
from services.intercity.messages.operations import operate
from services.intercity.messages.tasks import take_answer
from services.intercity.messages.wire import MEDIA_TYPE, Message
from services.intercity.models import deliveries, messages
from services.intercity.state import Gateway, GatewayState
from shared.auth import Caller, may
from shared.database import Session
from shared.errors import BodyTooLarge, NotFound
from shared.passage import arriving

router = APIRouter(tags=["messages"])
ANSWER_HEADER = "Liandong-Answer"
"""The signed envelope of a refusal; its payload is the body."""
LONGEST_S = 30.0
Reader = Annotated[Caller, may("intercity:read")]
_BODY = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"description": "The signed answer", "content": {MEDIA_TYPE: {}}}}


@router.post("/messages", summary="Take a signed message of a peer", openapi_extra=_BODY, responses=_ANSWERS, response_class=Response)
async def take_message(request: Request, gateway: GatewayState) -> Response:
    """Public: the signature is what identifies the sender. The body is a compact JWS over the canonical envelope, a line feed, and the payload."""
    try:
        content = await request.body()
    except BodyTooLarge as error:
        outcome = await refused(gateway, b"", None, False, MessageTooLarge(error.detail))
    else:
        outcome = await _outcome(request, gateway, content)
    headers = {**outcome.headers, **({ANSWER_HEADER: outcome.signed} if outcome.signed and outcome.media_type != MEDIA_TYPE else {})}
    return Response(outcome.body, outcome.status, headers, media_type=outcome.media_type)


async def _outcome(request: Request, gateway: Gateway, content: bytes) -> Outcome:
    """The checks in their order; whatever fails is refused with what is known of the message by then."""
    message: Message | None = None
    verified = False
    try:
        message = taken_in(content)
        peer = await known_sender(gateway, message)
        verified = True
        check_peer_rate(gateway, peer.city)
        if message.envelope.reply is not None:
            return await _answer(gateway, message)
        check_time_and_place(gateway, message, datetime.now(UTC))
        earlier = await kept_answer(gateway, message)
        if earlier is not None:
            return earlier
        passage = arriving(request, gateway.runtime.settings.audience, wanted_s=LONGEST_S, most_s=LONGEST_S)
        return await operate(gateway, peer, message, passage)
    except Exception as error:  # noqa: BLE001 - a peer gets a problem, whatever it was
        return await refused(gateway, content, message, verified, as_problem(error))


async def _answer(gateway: Gateway, message: Message) -> Outcome:
    if message.envelope.recipient != gateway.city:
        raise MessageMalformed("This is an answer to another city.")
    await take_answer(gateway, message)
    return Outcome(200, "application/json", b'{"taken":true}')


@router.get("/messages", summary="What is to be delivered, and how it stands")
async def list_deliveries(session: Session, caller: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[dict[str, Any]]:
    """The latest first. `waiting` is sent again until it is answered; `GET /messages/{id}.jws` has it as a file."""
    names = ("id", "peer", "operation", "subject", "state", "attempts", "next_at", "expires_at", "problem", "made_at", "answered_at")
    rows = await session.execute(select(*(deliveries.c[name] for name in names)).order_by(deliveries.c.made_at.desc(), deliveries.c.id).limit(limit))
    return [dict(row) for row in rows.mappings()]


@router.get("/messages/{message}.jws", summary="A message of ours, or our answer to one, as a file", response_class=Response)
async def exported(
    message: Annotated[str, Path(pattern=r"^[0-9A-Z]{26}$")], session: Session, caller: Reader, peer: Annotated[str, Query(max_length=6)] = ""
) -> Response:
    """To be carried across an air gap and posted to the other gateway's `POST /messages`. An answer is named by the message it answers."""
    wire = await session.scalar(select(deliveries.c.wire).where(deliveries.c.id == message))
    if wire is None:
        wanted = select(messages).where(messages.c.id == message)
        row = (await session.execute(wanted if not peer else wanted.where(messages.c.peer == peer))).first()
        if row is None:
            raise NotFound(f"There is no message {message}, or it has not been signed yet.")
        wire = row.answer if row.media_type == MEDIA_TYPE else row.signed.encode() + b"\n" + row.answer
    return Response(bytes(wire), media_type=MEDIA_TYPE)
