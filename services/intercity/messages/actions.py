"""What becomes of a message from a peer: checked in a fixed order, answered once, refused with a reason, and in the log either way.

Size, form, known peer, signature, recipient, freshness, replay, agreement, purpose, scope, rate. An id is burnt only after the signature was
verified, or anybody could burn the ids of others.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from prometheus_client import Counter
from ulid import ULID

from services.intercity.agreements.reading import Agreement
from services.intercity.messages.client import believe, entry_of
from services.intercity.messages.domain import (
    LEEWAY,
    MESSAGE_BYTES,
    MESSAGES_PER_MINUTE,
    AgreedRateExceeded,
    AgreementNotInForce,
    Bucket,
    ForeignRecipient,
    MayHeal,
    MessageReplayed,
    MessageTooLarge,
    PurposeNotAgreed,
    UnknownPeer,
    check_freshness,
    digest_of,
)
from services.intercity.messages.wire import MEDIA_TYPE, Envelope, Message, Reply, read, seal
from services.intercity.peers.reading import Peer
from services.intercity.proofs.ledger import Change, Entry, Work, driver_of
from services.intercity.state import Gateway
from shared.api_description import MEDIA_TYPE as PROBLEM_TYPE
from shared.errors import NotFound, Problem, Unavailable
from shared.events.intercity import MessageRefused
from shared.events.model import Event
from shared.problems import from_exception

REFUSED = Counter("liandong_intercity_refused_total", "Messages of peers that were refused", ["problem"])
TOLD_PER_MINUTE = 30.0
"""How many refusals of one peer, and of all who are none, become events and entries each minute."""
_KEPT = "SELECT digest, status, media_type, answer, signed FROM messages WHERE peer = $1 AND id = $2"
_log = structlog.get_logger("messages")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the sender gets: bytes of a message, or a problem with the signed answer beside it."""

    status: int
    media_type: str
    body: bytes
    signed: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an operation answers and changes."""

    payload: bytes
    media_type: str = "application/json"
    change: Change | None = None
    """Made in the transaction in which the id is burnt."""
    events: tuple[Event, ...] = ()


def taken_in(content: bytes) -> Message:
    """Size and form."""
    if len(content) > MESSAGE_BYTES:
        raise MessageTooLarge(f"The message has {len(content)} bytes; at most {MESSAGE_BYTES} are read.")
    return read(content)


async def known_sender(gateway: Gateway, message: Message) -> Peer:
    """Known peer and signature."""
    peer = await gateway.peers.get(message.envelope.sender)
    if peer is None or peer.state == "removed":
        raise UnknownPeer(f"{message.envelope.sender} is not registered here.")
    if peer.state != "active":
        raise UnknownPeer(f"{peer.city} is suspended here{': ' + peer.reason if peer.reason else ''}.")
    believe(peer, message)
    return peer


async def check_agreement(gateway: Gateway, envelope: Envelope, now: datetime) -> Agreement:
    """Agreement and purpose."""
    agreement = (await gateway.agreements.known()).get(envelope.agreement or "")
    if agreement is None or agreement.peer != envelope.sender:
        raise AgreementNotInForce("The message names no agreement that both cities have signed.")
    if not agreement.in_force(now):
        raise AgreementNotInForce(f"The agreement {agreement.id[:12]}… is over, or yet to begin.")
    if envelope.purpose not in agreement.document.purposes:
        raise PurposeNotAgreed(f"{envelope.purpose!r} is not among the agreed purposes: {', '.join(agreement.document.purposes)}.")
    return agreement


def check_rate(gateway: Gateway, agreement: Agreement, giver: str) -> None:
    """The agreed rate of messages under what `giver` gives."""
    grant = agreement.grant(giver)
    wait_s = gateway.rate(f"{agreement.id} {giver}", grant.rate_per_minute if grant else 1).take(time.monotonic())
    if wait_s:
        raise _too_often(wait_s)


def check_peer_rate(gateway: Gateway, peer: str) -> None:
    """What is more than any agreement allows is not even looked at."""
    wait_s = gateway.rate(f"peer {peer}", MESSAGES_PER_MINUTE).take(time.monotonic())
    if wait_s:
        raise _too_often(wait_s)


def _too_often(wait_s: float) -> AgreedRateExceeded:
    return AgreedRateExceeded("More messages than were agreed.", headers={"Retry-After": str(max(1, math.ceil(wait_s)))})


async def kept_answer(gateway: Gateway, message: Message) -> Outcome | None:
    """The answer that this very message was given before; `MessageReplayed` if its id was used for another; None if it is new."""
    envelope = message.envelope
    async with gateway.runtime.engine.connect() as connection:
        row = await (await driver_of(connection)).fetchrow(_KEPT, envelope.sender, envelope.id)
    if row is None:
        return None
    if row["digest"] != message.digest.encode():
        raise MessageReplayed(f"The id {envelope.id} was used for another message.")
    return Outcome(row["status"], row["media_type"], row["answer"], row["signed"])


async def answered(gateway: Gateway, message: Message, done: Done) -> Outcome:
    """The signed answer, once the id is burnt and the log has both; or the answer that was given first, if two came at once."""
    answer = await _reply(gateway, message, 200, done.payload, done.media_type)
    outcome = Outcome(200, MEDIA_TYPE, answer.wire, answer.signed)
    entries = [entry_of(message, "in", "request", message.envelope.sender), entry_of(answer, "out", "answer", message.envelope.sender)]
    if await gateway.ledger.write(Work(entries, _row(message, outcome), done.change, done.events)):
        return outcome
    earlier = await kept_answer(gateway, message)
    if earlier is None:
        raise Unavailable("The first answer to this message is being forgotten; sign a new one.")
    return earlier


async def refused(gateway: Gateway, content: bytes, message: Message | None, verified: bool, problem: Problem) -> Outcome:
    """The problem as the peer gets it; signed, burnt and in the log if the message was verified, told at a bounded rate otherwise."""
    REFUSED.labels(problem.slug).inc()
    body = orjson.dumps(problem.body("/messages"))
    if message is None or not verified:
        await _tell(
            gateway,
            message,
            problem,
            Entry(direction="in", kind="refusal", peer=await _claimed(gateway, message), digest=digest_of(content), problem=problem.slug),
        )
        return Outcome(problem.status, PROBLEM_TYPE, body, headers=dict(problem.headers))
    answer = await _reply(gateway, message, problem.status, body, "application/problem+json")
    outcome = Outcome(problem.status, PROBLEM_TYPE, body, answer.signed, dict(problem.headers))
    sender = message.envelope.sender
    final = problem.status < 500 and not isinstance(problem, (MayHeal, MessageReplayed))
    if final:
        work = Work([entry_of(message, "in", "request", sender), entry_of(answer, "out", "refusal", sender, problem.slug)], _row(message, outcome))
        work.events = _event(gateway, message, problem)
        if not await gateway.ledger.write(work):
            return await kept_answer(gateway, message) or outcome
    else:
        await _tell(gateway, message, problem, entry_of(answer, "out", "refusal", sender, problem.slug))
    return outcome


async def _tell(gateway: Gateway, message: Message | None, problem: Problem, entry: Entry) -> None:
    """Record a refusal that burnt no id, unless there were too many of late."""
    events = _event(gateway, message, problem)
    if events:
        _log.warning("message refused", peer=entry.peer, problem=problem.slug, detail=problem.detail)
        await gateway.ledger.write(Work([entry], events=events))


def _event(gateway: Gateway, message: Message | None, problem: Problem) -> tuple[Event, ...]:
    known = message.envelope.sender if message is not None and message.envelope.sender in gateway.peers.last else "unknown"
    bucket = gateway.told.setdefault(known, Bucket(TOLD_PER_MINUTE))
    if bucket.take(time.monotonic()):
        return ()
    return (MessageRefused(peer=known, problem=f"/problems/{problem.slug}", message=message.envelope.id if message else None),)


async def _claimed(gateway: Gateway, message: Message | None) -> str:
    """The known peer that a message says it is from, or `unknown`."""
    known = await gateway.peers.known()
    return message.envelope.sender if message is not None and message.envelope.sender in known else "unknown"


async def _reply(gateway: Gateway, message: Message, status: int, payload: bytes, media_type: str) -> Message:
    asked = message.envelope
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    envelope = Envelope(
        id=str(ULID()),
        sender=gateway.city,
        recipient=asked.sender,
        agreement=asked.agreement,
        purpose=asked.purpose,
        operation=asked.operation,
        created=now,
        expires=max(asked.expires, now + LEEWAY),
        type=media_type,
        digest=digest_of(payload),
        reply=Reply(id=asked.id, digest=message.digest, status=status),
        checkpoint=await gateway.ledger.checkpoint(),
    )
    return seal(gateway.keys, envelope, payload)


def _row(message: Message, outcome: Outcome) -> dict[str, Any]:
    envelope = message.envelope
    return {
        "peer": envelope.sender,
        "id": envelope.id,
        "digest": message.digest.encode(),
        "expires_at": envelope.expires,
        "status": outcome.status,
        "media_type": outcome.media_type,
        "signed": outcome.signed or "",
        "answer": outcome.body,
    }


def check_time_and_place(gateway: Gateway, message: Message, now: datetime) -> None:
    """Recipient and freshness."""
    if message.envelope.recipient != gateway.city:
        raise ForeignRecipient(f"It is meant for {message.envelope.recipient}; this is {gateway.city}.")
    check_freshness(message.envelope.created, message.envelope.expires, now)


def as_problem(error: Exception) -> Problem:
    """Whatever went wrong, as what the peer may know of it."""
    if isinstance(error, NotFound):
        return AgreementNotInForce(error.detail)
    return error if isinstance(error, Problem) else from_exception(error)
