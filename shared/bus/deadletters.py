"""Dead letters: entries that were given up, for an operator to read and to replay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import caller
from shared.bus.entries import Entry, Reason, read_entry
from shared.bus.tables import dead_letters
from shared.caller import Caller
from shared.database import Session
from shared.errors import Conflict, Forbidden, NotFound

REPLAY_BATCH = 20
HANDLED = ("failed", "expired")
"""Reasons after which a replay makes sense; what is forged or malformed stays so."""
_requested = (dead_letters.c.replay_requested_at.is_not(None), dead_letters.c.replayed_at.is_(None))


class DeadLetter(BaseModel):
    """An entry that was given up."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    source: Annotated[str, Field(description="Whose stream it came from", examples=["430300/food"])]
    entry: Annotated[str, Field(description="Identifier in the stream", examples=["1763798400000-0"])]
    event_id: str | None
    type: str | None
    subject: str | None
    reason: Reason
    error: Annotated[str, Field(description="What was wrong with it, or what its handler raised last")]
    attempts: int
    payload: Annotated[str, Field(description="The event as it came")]
    died_at: datetime
    replay_requested_at: datetime | None
    replayed_at: datetime | None


class DeadLetters(BaseModel):
    """A page of dead letters, the oldest first; `after` of the next page, if there is one."""

    letters: list[DeadLetter]
    after: int | None


@dataclass(frozen=True, slots=True)
class Requested:
    """A dead letter whose replay was asked for, as the consumer takes it."""

    id: int
    entry: Entry


async def operator(request: Request, found: Annotated[Caller, Depends(caller)]) -> Caller:
    """A caller who may look after this service."""
    scopes = (f"{request.app.state.runtime.service.name}:admin", "hub:admin")
    if not found.has(*scopes):
        raise Forbidden(f"This needs the scope {' or '.join(scopes)}.")
    return found


Operator = Annotated[Caller, Depends(operator)]
router = APIRouter(prefix="/dead-letters", tags=["operation"])


async def replay(session: AsyncSession, letter: int, by: str) -> DeadLetter:
    """Ask for the replay of a dead letter; the active consumer does it within seconds, so that the order of a log stays one writer's.

    Raises `NotFound`, or `Conflict` if it was replayed before or can never be handled.
    """
    row = (await session.execute(select(dead_letters).where(dead_letters.c.id == letter).with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"There is no dead letter {letter}.", pointer="/id")
    if row.replayed_at is not None:
        raise Conflict(f"Dead letter {letter} was replayed at {row.replayed_at.isoformat()}.", pointer="/id")
    if row.reason not in HANDLED:
        raise Conflict(f"Dead letter {letter} is {row.reason}: {row.error} Its publisher has to mend it and publish it anew.", pointer="/id")
    asked = dead_letters.update().where(dead_letters.c.id == letter).values(replay_requested_at=func.now(), replay_requested_by=by)
    return DeadLetter.model_validate((await session.execute(asked.returning(dead_letters))).one())


async def requested(session: AsyncSession) -> list[Requested]:
    """What is to be replayed now, the oldest first."""
    rows = await session.execute(select(dead_letters).where(*_requested).order_by(dead_letters.c.id).limit(REPLAY_BATCH))
    now = datetime.now(UTC)
    return [Requested(id=row.id, entry=read_entry(row.source, row.entry.encode(), (b"event", row.payload.encode()), now)) for row in rows]


async def settle(session: AsyncSession, letter: int, error: Exception) -> None:
    """A replay failed: the letter stays dead, with the new reason, until it is asked for again."""
    failed = {"replay_requested_at": None, "error": repr(error)[:2000], "attempts": dead_letters.c.attempts + 1}
    await session.execute(dead_letters.update().where(dead_letters.c.id == letter).values(failed))


@router.get("", summary="Events that were given up")
async def list_letters(
    session: Session,
    _: Operator,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="`after` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    replayed: Annotated[bool, Query(description="Show those that have been replayed, too")] = False,
) -> DeadLetters:
    """Dead letters, the oldest first."""
    wanted = select(dead_letters).where(dead_letters.c.id > after, *(() if replayed else (dead_letters.c.replayed_at.is_(None),)))
    rows = (await session.execute(wanted.order_by(dead_letters.c.id).limit(limit + 1))).all()
    letters = [DeadLetter.model_validate(row) for row in rows[:limit]]
    return DeadLetters(letters=letters, after=letters[-1].id if len(rows) > limit else None)


@router.post("/{letter}/replay", status_code=202, summary="Handle a dead letter again")
async def replay_letter(letter: Annotated[int, Path(ge=1, le=2**63 - 1)], session: Session, by: Operator) -> DeadLetter:
    """Its handlers run within seconds; read it again to see the outcome."""
    return await replay(session, letter, by.subject)
