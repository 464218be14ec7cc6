"""Delivers what must arrive: sent again, byte for byte, until the peer has answered it or it has expired; survives any restart."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import structlog
from sqlalchemy import and_, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from services.intercity.agreements.actions import end
from services.intercity.messages.client import active_peer, check_reply, entry_of, new_message, send
from services.intercity.messages.domain import AgreementNotInForce, AnswerUnsound
from services.intercity.messages.wire import Message, read
from services.intercity.models import deliveries, messages
from services.intercity.proofs.ledger import Work
from services.intercity.state import Gateway
from services.intercity.warnings.federation import acknowledged, warning_message
from shared.errors import NotFound, Problem, problem_types
from shared.passage import starting
from shared.runtime import Runtime
from shared.source_failures import SourceRefused

PATIENCE_S = 10.0
EVERY_S = 5.0
"""How often is looked for what became due, if nothing woke us."""
AT_ONCE = 20
LONGEST_WAIT_S = 60.0
FORGET_S = 300.0
_log = structlog.get_logger("messages")


async def deliver_messages(runtime: Runtime) -> None:
    """Deliver what is due, until cancelled: each message by itself, so that a peer that does not answer delays nobody else's."""
    gateway: Gateway = runtime.own
    busy: set[str] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            gateway.to_deliver.clear()
            wait_s = EVERY_S
            try:
                for row in await _due(gateway, busy):
                    busy.add(row.id)
                    group.create_task(_one(gateway, row, busy))
                wait_s = min(EVERY_S, await _until_next(gateway, busy))
            except (SQLAlchemyError, OSError) as error:
                _log.warning("deliveries not read", error=repr(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await gateway.to_deliver.wait()


async def _one(gateway: Gateway, row: Any, busy: set[str]) -> None:
    try:
        await _attempt(gateway, row)
    except Exception as error:  # noqa: BLE001 - one message must not stop the delivery of the others
        _log.error("delivery failed", delivery=row.id, exc_info=error)
        await _note(gateway, row, {"attempts": row.attempts + 1, "next_at": datetime.now(UTC) + timedelta(seconds=LONGEST_WAIT_S)})
    finally:
        busy.discard(row.id)
        gateway.to_deliver.set()


async def forget_messages(runtime: Runtime) -> None:
    """Forget answers to messages that have expired: whoever sends such a message again is refused for that."""
    while True:
        await asyncio.sleep(FORGET_S * random.uniform(0.8, 1.2))
        try:
            async with runtime.sessions.begin() as session:
                await session.execute(delete(messages).where(messages.c.expires_at < datetime.now(UTC) - timedelta(hours=1)))
        except (SQLAlchemyError, OSError) as error:
            _log.warning("old answers not forgotten", error=repr(error))


async def _due(gateway: Gateway, busy: set[str]) -> list[Any]:
    now = datetime.now(UTC)
    waiting = and_(deliveries.c.state == "waiting", deliveries.c.id.not_in(busy))
    async with gateway.runtime.sessions.begin() as session:
        await session.execute(update(deliveries).where(waiting, deliveries.c.expires_at <= now).values(state="expired"))
        rows = await session.execute(
            select(deliveries).where(waiting, deliveries.c.next_at <= now).order_by(deliveries.c.next_at).limit(max(0, AT_ONCE - len(busy)))
        )
        return list(rows)


async def _until_next(gateway: Gateway, busy: set[str]) -> float:
    """Seconds until something is due; a finished delivery wakes the loop by itself."""
    if len(busy) >= AT_ONCE:
        return EVERY_S
    waiting = select(deliveries.c.next_at).where(deliveries.c.state == "waiting", deliveries.c.id.not_in(busy))
    async with gateway.runtime.sessions() as session:
        found = await session.scalar(waiting.order_by(deliveries.c.next_at).limit(1))
    return max(0.05, (found - datetime.now(UTC)).total_seconds()) if found else EVERY_S


async def _attempt(gateway: Gateway, row: Any) -> None:
    """Send one; what comes of it is written down."""
    passage = starting(gateway.runtime.settings.audience, PATIENCE_S)
    try:
        peer = await active_peer(gateway, row.peer)
        message = read(bytes(row.wire)) if row.wire is not None else await _make(gateway, row)
        answer = await send(gateway, peer, message, passage)
        await settle(gateway, row, message, answer)
    except SourceRefused as refused:
        await _refused(gateway, row, refused)
    except (Problem, SQLAlchemyError, OSError) as problem:
        await _again(gateway, row, problem)


async def _make(gateway: Gateway, row: Any) -> Message:
    """Sign it, and keep the very bytes before they are first sent."""
    if row.operation == "warning":
        message = await warning_message(gateway, row)
    else:
        message = new_message(gateway, row.peer, row.operation, orjson.dumps(row.about), expires=row.expires_at, id_=row.id)

    async def change(session: AsyncSession) -> None:
        await session.execute(update(deliveries).where(deliveries.c.id == row.id).values(wire=message.wire))

    await gateway.ledger.write(Work([entry_of(message, "out", "request", row.peer)], change=change))
    return message


async def settle(gateway: Gateway, row: Any, message: Message, answer: Message) -> None:
    """The peer has it: written down with the answer's entry, once."""
    reply = answer.envelope.reply
    refused = reply is not None and reply.status != 200
    now = datetime.now(UTC)

    async def change(session: AsyncSession) -> None:
        state = "refused" if refused else "answered"
        done = update(deliveries).where(deliveries.c.id == row.id, deliveries.c.state != "answered")
        first = await session.scalar(done.values(state=state, answered_at=now, attempts=deliveries.c.attempts + 1).returning(deliveries.c.id))
        if first is not None and not refused and row.operation == "warning":
            acknowledged(session, row, answer)

    await gateway.ledger.write(Work([entry_of(answer, "in", "answer", row.peer)], change=change))


async def take_answer(gateway: Gateway, answer: Message) -> Mapping[str, Any]:
    """An answer that came by another way than the message's connection: as a file across an air gap."""
    reply = answer.envelope.reply
    async with gateway.runtime.sessions() as session:
        row = (await session.execute(select(deliveries).where(deliveries.c.id == (reply.id if reply else "")))).one_or_none()
    if row is None or row.wire is None or row.peer != answer.envelope.sender:
        raise NotFound("It answers no message that was sent from here.")
    message = read(bytes(row.wire))
    check_reply(gateway, message, answer)
    if row.state != "answered":
        await settle(gateway, row, message, answer)
    return {"answered": row.id}


async def _again(gateway: Gateway, row: Any, problem: Exception) -> None:
    """Later, twice as late each time, a minute at most."""
    wait_s = min(LONGEST_WAIT_S, 0.5 * 2 ** min(row.attempts, 10)) * random.uniform(0.8, 1.2)
    detail = problem.detail if isinstance(problem, Problem) else repr(problem)
    _log.warning("not delivered yet", peer=row.peer, operation=row.operation, attempts=row.attempts + 1, again_s=round(wait_s, 1), problem=detail[:300])
    values = {"attempts": row.attempts + 1, "next_at": datetime.now(UTC) + timedelta(seconds=wait_s), "problem": detail[:500]}
    await _note(gateway, row, values)


async def _refused(gateway: Gateway, row: Any, refused: SourceRefused) -> None:
    """The peer will not have it. A refusal that time may heal is asked again, and so is what no gateway says: a proxy in between does."""
    kind = str(refused.said.get("type", "")).removeprefix("/problems/")
    if kind in (AgreementNotInForce.slug, "unknown-peer", "not-found", AnswerUnsound.slug) or kind not in problem_types():
        await _again(gateway, row, refused)
        return
    _log.error("delivery refused", peer=row.peer, operation=row.operation, problem=kind, detail=refused.detail[:300])
    await _note(gateway, row, {"state": "refused", "problem": f"{kind}: {refused.detail}"[:500], "answered_at": datetime.now(UTC)})
    if row.operation == "agreement.sign":
        async with gateway.runtime.sessions.begin() as session:
            await end(session, gateway, row.subject, f"{row.peer} would not take the signature: {kind}"[:300], "service:intercity")


async def _note(gateway: Gateway, row: Any, values: Mapping[str, Any]) -> None:
    try:
        async with gateway.runtime.sessions.begin() as session:
            await session.execute(update(deliveries).where(deliveries.c.id == row.id, deliveries.c.state == "waiting").values(values))
    except (SQLAlchemyError, OSError) as error:
        _log.warning("delivery not noted", error=repr(error))
