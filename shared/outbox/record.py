"""Writes events in the transaction of the change, and says after the commit that they are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
from sqlalchemy import Text, bindparam, event, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from ulid import ULID

from shared import log
from shared.commits import place, wake
from shared.errors import InvalidBody
from shared.events.model import Event

SIZE_LIMIT = 64 * 1024
"""Most bytes of one event: a small fact with references, as CloudEvents 1.0 asks of intermediaries."""

_WRITE = text("""
    WITH counted AS (
        INSERT INTO outbox_subjects AS kept (subject, sequence)
        SELECT subject, count(*) FROM unnest(:subjects) AS subject GROUP BY subject ORDER BY subject
        ON CONFLICT (subject) DO UPDATE SET sequence = kept.sequence + excluded.sequence
        RETURNING kept.subject, kept.sequence
    )
    INSERT INTO outbox (subject, sequence, envelope)
    SELECT counted.subject, counted.sequence - given.later, given.envelope::json
    FROM unnest(:subjects, CAST(:later AS bigint[]), :envelopes) WITH ORDINALITY AS given (subject, later, envelope, place)
    JOIN counted ON counted.subject = given.subject ORDER BY given.place
""").bindparams(bindparam("subjects", type_=ARRAY(Text)), bindparam("envelopes", type_=ARRAY(Text)))
"""Counters first and in one order, so that writers wait instead of deadlocking; positions are drawn while the counters are locked."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the outbox to be."""

    subject: str
    envelope: str


@dataclass(frozen=True, slots=True)
class _Noted:
    """Something that waits for the commit, and the transactions that it is part of, innermost first."""

    what: _Row | Callable[[], None]
    within: tuple[SessionTransaction, ...]


@dataclass(slots=True)
class _Notes:
    """What a session has to do when it commits."""

    waiting: list[_Noted] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)


def record(session: AsyncSession, event: Event) -> None:
    """Publish an event if, and when, the session's transaction commits; gone with a savepoint that is rolled back."""
    record_all(session, (event,))


def record_all(session: AsyncSession, events: Iterable[Event]) -> None:
    """Publish many events with one statement at the commit; within a subject they keep this order.

    Raises `InvalidBody` for an event beyond `SIZE_LIMIT` bytes.
    """
    traceparent, now = log.traceparent.get(), datetime.now(UTC)
    _note(session, [_row(one, now, traceparent) for one in events])


def when_committed(session: AsyncSession, act: Callable[[], None]) -> None:
    """Call `act` right after the session's transaction has committed; never if it is rolled back. It must not raise or wait."""
    _note(session, [act])


def _row(one: Event, now: datetime, traceparent: str | None) -> _Row:
    """The CloudEvent without `source` and `sequence`, which the drainer and the database add."""
    optional = {"area": one.area, **one.scales(), "regarding": one.regarding, "traceparent": traceparent}
    envelope = {
        "specversion": "1.0",
        "id": str(ULID()),
        "type": one.type,
        "subject": one.subject,
        "time": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **{name: value for name, value in optional.items() if value is not None},
        "data": one.data(),
    }
    content = orjson.dumps(envelope)
    if len(content) > SIZE_LIMIT:
        raise InvalidBody(f"The event {one.type} would have {len(content)} bytes; at most {SIZE_LIMIT} can be published.")
    return _Row(one.subject, content.decode())


def _note(session: AsyncSession, added: Iterable[_Row | Callable[[], None]]) -> None:
    sync = session.sync_session
    current: SessionTransaction | None = sync.get_nested_transaction() or sync.get_transaction() or sync.begin()
    within = []
    while current is not None:
        within.append(current)
        current = current.parent
    notes: _Notes = sync.info.setdefault("notes", _Notes())
    notes.waiting += [_Noted(what, tuple(within)) for what in added]


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    """Write what was recorded as the transaction's last statement: the counters are locked no longer than the commit takes."""
    notes: _Notes | None = session.info.get("notes")
    if notes is None or session.in_nested_transaction():
        return
    root = session.get_transaction()
    noted = [one for one in notes.waiting if one.within[-1] is root]
    notes.waiting.clear()
    rows = [one.what for one in noted if isinstance(one.what, _Row)]
    notes.after = [one.what for one in noted if not isinstance(one.what, _Row)]
    if rows:
        session.flush()
        subjects = [row.subject for row in rows]
        session.execute(_WRITE, {"subjects": subjects, "later": _later(subjects), "envelopes": [row.envelope for row in rows]})
        database = place(session.get_bind().engine.url)
        notes.after.append(lambda: wake(database))


def _later(subjects: list[str]) -> list[int]:
    """For each event, how many of the same subject follow it."""
    left = Counter(subjects)
    later = []
    for subject in subjects:
        left[subject] -= 1
        later.append(left[subject])
    return later


@event.listens_for(Session, "after_commit")
def _tell(session: Session) -> None:
    notes: _Notes | None = session.info.get("notes")
    if notes is None or session.in_nested_transaction():
        return
    after, notes.after = notes.after, []
    for act in after:
        act()


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    notes: _Notes | None = session.info.get("notes")
    if notes is not None:
        notes.waiting = [one for one in notes.waiting if previous not in one.within]
        if not previous.nested:
            notes.after = []
