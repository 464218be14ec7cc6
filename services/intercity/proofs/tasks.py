"""Checks that peers' logs only grow: each new checkpoint against the last one, by a proof that the peer must give."""

from __future__ import annotations

import asyncio
import base64
import binascii
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import desc, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from services.intercity.messages.client import ask
from services.intercity.messages.domain import SignatureInvalid
from services.intercity.messages.wire import key_named, verify
from services.intercity.models import peer_checkpoints
from services.intercity.peers.actions import set_state
from services.intercity.proofs.domain import EMPTY, consistent
from services.intercity.state import Gateway
from shared.errors import Problem
from shared.events.intercity import MessageRefused
from shared.outbox import record, when_committed
from shared.passage import starting
from shared.runtime import Runtime
from shared.vocabulary import Text

EVERY_S = 10.0
PATIENCE_S = 10.0
_log = structlog.get_logger("proofs")


class LogForked(Problem):
    slug, status = "log-forked", 409
    title = Text("对方日志被改动", "Peer's log has been changed")
    remedy = Text("对方网关已暂停；由双方人员比对检查点后再恢复。", "The peer is suspended; officers of both cities compare checkpoints before it is resumed.")


async def keep_log(runtime: Runtime) -> None:
    """Write the log until cancelled."""
    gateway: Gateway = runtime.own
    await gateway.ledger.run()


async def watch_peers_logs(runtime: Runtime) -> None:
    """Check what peers have signed of late, until cancelled."""
    gateway: Gateway = runtime.own
    while True:
        await asyncio.sleep(EVERY_S)
        for peer, signed in list(gateway.checkpoints.items()):
            try:
                await check_checkpoint(gateway, peer, signed)
            except (Problem, SQLAlchemyError, OSError) as error:
                _log.warning("checkpoint not checked", peer=peer, error=str(error)[:300])
            else:
                if gateway.checkpoints.get(peer) == signed:
                    del gateway.checkpoints[peer]


async def check_checkpoint(gateway: Gateway, peer: str, signed: str) -> None:
    """Keep a checkpoint if the peer's log only grew; `LogForked`, and the peer is suspended, if it has two histories."""
    content = await _read(gateway, peer, signed)
    size, root = int(content["size"]), base64.b64decode(content["root"], validate=True)
    async with gateway.runtime.sessions() as session:
        rows = select(peer_checkpoints).where(peer_checkpoints.c.peer == peer).order_by(desc(peer_checkpoints.c.size)).limit(1)
        last = (await session.execute(rows)).one_or_none()
    known, known_root = (last.size, bytes(last.root)) if last else (0, EMPTY)
    if size == known and root == known_root:
        return
    first, second = sorted(((known, known_root), (size, root)))
    proof: list[bytes] = []
    if 0 < first[0] < second[0]:
        proof = await _proof(gateway, peer, first[0], second[0])
    if not consistent(first[0], second[0], first[1], second[1], proof):
        await _alarm(gateway, peer, known, size)
        raise LogForked(f"The checkpoints of {peer} with {known} and {size} entries contradict each other.")
    async with gateway.runtime.sessions.begin() as session:
        row = {"peer": peer, "size": size, "root": root, "signed": signed, "at": datetime.now(UTC)}
        await session.execute(insert(peer_checkpoints).values(row).on_conflict_do_nothing())


async def _read(gateway: Gateway, peer: str, signed: str) -> dict[str, Any]:
    known = await gateway.peers.get(peer)
    key = known.keys.get(key_named(signed)) if known else None
    if key is None:
        raise SignatureInvalid("The checkpoint is not signed with a confirmed key.")
    content: dict[str, Any] = orjson.loads(verify(signed, key))
    if content.get("city") != peer or not isinstance(content.get("size"), int):
        raise SignatureInvalid("What was signed is no checkpoint of this peer.")
    return content


async def _proof(gateway: Gateway, peer: str, first: int, second: int) -> list[bytes]:
    found = await ask(gateway, peer, "log.consistency", {"first": first, "second": second}, starting(gateway.runtime.settings.audience, PATIENCE_S))
    try:
        return [base64.b64decode(one, validate=True) for one in found["proof"]][:200]
    except (KeyError, TypeError, binascii.Error):
        return []


async def _alarm(gateway: Gateway, peer: str, known: int, size: int) -> None:
    """Two histories: nothing of this peer is believed until officers have looked."""
    _log.error("peer's log has forked", peer=peer, known=known, shown=size)
    async with gateway.runtime.sessions.begin() as session:
        await set_state(session, peer, "suspended", f"its log has two histories: {known} and {size} entries do not agree", "service:intercity")
        record(session, MessageRefused(peer=peer, problem=f"/problems/{LogForked.slug}", message=None))
        when_committed(session, gateway.peers.forget)
