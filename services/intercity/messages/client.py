"""Asks a peer: signs the message, sends it, and believes the answer only if the peer signed it and it answers this very message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from ulid import ULID

from services.intercity.messages.domain import ANSWER_BYTES, LEEWAY, AnswerUnsound, MessageMalformed, SignatureInvalid, UnknownPeer, digest_of
from services.intercity.messages.wire import MEDIA_TYPE, Envelope, Message, check, read, seal
from services.intercity.peers.reading import Peer
from services.intercity.proofs.ledger import Entry, Work
from services.intercity.state import Gateway
from shared.passage import Passage

JSON = "application/json"


def new_message(
    gateway: Gateway,
    peer: str,
    operation: str,
    payload: bytes,
    *,
    expires: datetime,
    agreement: str | None = None,
    purpose: str | None = None,
    media_type: str = JSON,
    id_: str | None = None,
) -> Message:
    """A message of ours, signed."""
    now = _now()
    envelope = Envelope(
        id=id_ or str(ULID()),
        sender=gateway.city,
        recipient=peer,
        agreement=agreement,
        purpose=purpose,
        operation=operation,
        created=now,
        expires=_millisecond(expires),
        type=media_type,
        digest=digest_of(payload),
    )
    return seal(gateway.keys, envelope, payload)


def _now() -> datetime:
    return _millisecond(datetime.now(UTC))


def _millisecond(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


async def active_peer(gateway: Gateway, city: str) -> Peer:
    """A peer that may be asked; `UnknownPeer` if there is none, or it is suspended."""
    peer = await gateway.peers.get(city)
    if peer is None or peer.state != "active":
        raise UnknownPeer(f"{city} is no active peer.")
    return peer


async def ask(gateway: Gateway, city: str, operation: str, question: Any, passage: Passage, *, agreement: str | None = None, purpose: str | None = None) -> Any:
    """What a peer answers to a question, as JSON. Raises `SourceFailure` if it does not, `AnswerUnsound` if it cannot be believed."""
    peer = await active_peer(gateway, city)
    expires = datetime.now(UTC) + timedelta(seconds=passage.remaining_s) + LEEWAY
    message = new_message(gateway, city, operation, orjson.dumps(question), expires=expires, agreement=agreement, purpose=purpose)
    entries = [entry_of(message, "out", "request", city)]
    try:
        answer = await send(gateway, peer, message, passage)
        entries.append(entry_of(answer, "in", "answer", city))
    finally:
        await gateway.ledger.write(Work(entries))
    try:
        return orjson.loads(answer.payload)
    except orjson.JSONDecodeError as error:
        raise AnswerUnsound(f"{city} signed an answer that is not JSON.") from error


async def send(gateway: Gateway, peer: Peer, message: Message, passage: Passage) -> Message:
    """The peer's answer, verified."""
    content = await post(gateway, peer, message.wire, passage)
    try:
        answer = read(content)
        believe(peer, answer)
    except (MessageMalformed, SignatureInvalid) as error:
        raise AnswerUnsound(f"{peer.city}: {error.detail}") from error
    check_reply(gateway, message, answer)
    if answer.envelope.checkpoint is not None:
        gateway.checkpoints[peer.city] = answer.envelope.checkpoint
    return answer


async def post(gateway: Gateway, peer: Peer, wire: bytes, passage: Passage) -> bytes:
    """What comes back for a message."""
    answer = await gateway.client.ask(
        f"{peer.city}/intercity",
        f"{peer.url}/messages",
        passage.onward(),
        method="POST",
        content=wire,
        headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
        limit_bytes=ANSWER_BYTES,
    )
    return answer.content


def believe(peer: Peer, message: Message) -> None:
    """`SignatureInvalid` unless one of the peer's confirmed keys signed it."""
    key = peer.keys.get(message.fingerprint)
    if key is None or message.envelope.sender != peer.city:
        raise SignatureInvalid(f"It is not signed with a key of {peer.city} that was confirmed here.")
    check(message, key)


def check_reply(gateway: Gateway, message: Message, answer: Message) -> None:
    """`AnswerUnsound` unless the answer is to us, and to this message."""
    said, asked = answer.envelope, message.envelope
    reply = said.reply
    if reply is None or said.recipient != gateway.city or reply.id != asked.id or reply.digest != message.digest:
        raise AnswerUnsound(f"{said.sender} answered something else than was asked.")
    if (said.agreement, said.purpose, said.operation) != (asked.agreement, asked.purpose, asked.operation):
        raise AnswerUnsound(f"{said.sender} answered under another agreement, purpose or operation.")
    if said.created > datetime.now(UTC) + LEEWAY:
        raise AnswerUnsound(f"{said.sender} answered in the future.")


def entry_of(message: Message, direction: Any, kind: Any, peer: str, problem: str | None = None) -> Entry:
    """What the log keeps of a message."""
    envelope = message.envelope
    return Entry(
        direction=direction,
        kind=kind,
        peer=peer,
        digest=message.digest,
        message=envelope.reply.id if envelope.reply else envelope.id,
        agreement=envelope.agreement,
        purpose=envelope.purpose,
        operation=envelope.operation,
        problem=problem,
    )
