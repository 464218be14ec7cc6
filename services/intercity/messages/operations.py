"""What a peer may ask of this gateway, by the name of the operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from services.intercity.agreements.actions import canonical, check_signature, check_terms, end, keep, locked, put_in_force
from services.intercity.agreements.schemas import Document
from services.intercity.exchange.reading import OPERATIONS, answer, asked_of
from services.intercity.messages.actions import Done, Outcome, answered, check_agreement, check_rate
from services.intercity.messages.domain import AgreementNotInForce, MessageMalformed, OutsideAgreement
from services.intercity.messages.wire import AgreementId, Message
from services.intercity.peers.reading import Peer
from services.intercity.proofs.reading import consistency, inclusion
from services.intercity.state import Gateway
from services.intercity.warnings.actions import take_warning
from shared.errors import Problem
from shared.passage import Passage

Operation = Callable[[Gateway, Peer, Message, Passage], Awaitable[Done]]
_TAKEN = orjson.dumps({"taken": True})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Proposed(_Body):
    """`agreement.propose`."""

    document: str = Field(max_length=200_000)
    signature: str = Field(max_length=1000)


class Signed(_Body):
    """`agreement.sign`."""

    agreement: AgreementId
    signature: str = Field(max_length=1000)


class Ended(_Body):
    """`agreement.end`."""

    agreement: AgreementId
    reason: str = Field(max_length=500)


class Sizes(_Body):
    """`log.consistency`."""

    first: int = Field(ge=0, le=2**53)
    second: int = Field(ge=0, le=2**53)


class Wanted(_Body):
    """`log.inclusion`."""

    message: str = Field(max_length=40)
    size: int = Field(ge=0, le=2**53)


def _body(kind: type[_Body], message: Message) -> _Body:
    try:
        return kind.model_validate_json(message.payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise MessageMalformed(f"The payload is wrong at /{'/'.join(map(str, first['loc']))}: {first['msg']}"[:400]) from error


async def operate(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Outcome:
    """Agreement, purpose, scope and rate, then the answer."""
    operation = message.envelope.operation
    if operation in OPERATIONS:
        return await answered(gateway, message, await _exchange(gateway, peer, message, passage))
    found = _OPERATIONS.get(operation)
    if found is None:
        raise OutsideAgreement(f"There is no operation {operation!r}.", pointer="/operation")
    return await answered(gateway, message, await found(gateway, peer, message, passage))


async def _exchange(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    agreement = await check_agreement(gateway, message.envelope, datetime.now(UTC))
    asked = asked_of(message.envelope.operation, message.payload)
    found = await answer(gateway, agreement, peer.city, message.envelope.operation, asked, lambda: check_rate(gateway, agreement, gateway.city), passage)
    return Done(payload=orjson.dumps(found))


async def _propose(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    body = _body(Proposed, message)
    assert isinstance(body, Proposed)
    try:
        document = Document.model_validate(orjson.loads(body.document))
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise MessageMalformed(f"The proposed document is none: {str(error)[:300]}") from error
    if canonical(document) != body.document or set(document.parties) != {gateway.city, peer.city}:
        raise MessageMalformed("The proposed document is not canonical JSON, or not between the two cities.")
    _told_plainly(lambda: check_terms(document, datetime.now(UTC)))
    check_signature(body.document, body.signature, peer.keys)

    async def change(session: AsyncSession) -> None:
        columns = {"proposer": peer.city, "state": "received", "their_signature": body.signature, "recorded_by": f"peer:{peer.city}"}
        await keep(session, gateway, document, body.document, **columns)

    return Done(payload=_TAKEN, change=change)


def _told_plainly(look: Callable[[], None]) -> None:
    try:
        look()
    except Problem as problem:
        raise MessageMalformed(problem.detail, pointer=problem.pointer) from problem


async def _sign(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    body = _body(Signed, message)
    assert isinstance(body, Signed)

    async def change(session: AsyncSession) -> None:
        row = await locked(session, body.agreement)
        if row.peer != peer.city:
            raise AgreementNotInForce("There is no such agreement with this city.")
        check_signature(row.document, body.signature, peer.keys)
        await put_in_force(session, gateway, body.agreement, {"their_signature": body.signature}, f"peer:{peer.city}")

    return Done(payload=_TAKEN, change=change)


async def _end(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    body = _body(Ended, message)
    assert isinstance(body, Ended)

    async def change(session: AsyncSession) -> None:
        if (await locked(session, body.agreement)).peer != peer.city:
            raise AgreementNotInForce("There is no such agreement with this city.")
        await end(session, gateway, body.agreement, f"{peer.city}: {body.reason}", f"peer:{peer.city}")

    return Done(payload=_TAKEN, change=change)


async def _warning(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    agreement = await check_agreement(gateway, message.envelope, datetime.now(UTC))
    grant = agreement.grant(peer.city)
    if grant is None or not grant.warnings:
        raise OutsideAgreement("Warnings of this city are not agreed.", pointer="/operation")
    check_rate(gateway, agreement, peer.city)
    change, payload = await take_warning(gateway, peer.city, agreement, message)
    return Done(payload=payload, change=change)


async def _checkpoint(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    return Done(payload=orjson.dumps({"checkpoint": await gateway.ledger.checkpoint()}))


async def _consistency(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    body = _body(Sizes, message)
    assert isinstance(body, Sizes)
    return Done(payload=orjson.dumps(await consistency(gateway, body.first, body.second)))


async def _inclusion(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Done:
    body = _body(Wanted, message)
    assert isinstance(body, Wanted)
    return Done(payload=orjson.dumps(await inclusion(gateway, body.message, body.size, peer=peer.city)))


_OPERATIONS: dict[str, Operation] = {
    "agreement.propose": _propose,
    "agreement.sign": _sign,
    "agreement.end": _end,
    "warning": _warning,
    "checkpoint": _checkpoint,
    "log.consistency": _consistency,
    "log.inclusion": _inclusion,
}
