"""A service that only publishes and consumes, and how tests look at what it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from sqlalchemy import Column, Integer, Table, Text
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from shared.database import new_metadata
from shared.events.model import CloudEvent, Event
from shared.outbox import record, record_all
from shared.service import Runtime, Service
from shared.vocabulary import Text as Title
from shared.vocabulary import WarningLevel

STREAM = "events:430300/probe"
metadata = new_metadata()
notes = Table("notes", metadata, Column("id", Integer, primary_key=True), Column("text", Text, nullable=False))


class Noted(Event):
    """Something was noted about a thing."""

    type: ClassVar[str] = "probe.thing.noted.v1"
    subject_template: ClassVar[str] = "things/{thing}"

    thing: str
    number: int


class NotedElsewhere(Noted):
    """The same, said by another service."""

    type: ClassVar[str] = "community.thing.noted.v1"


def probe(**declared: Any) -> Service:
    return Service(name="probe", title=Title("探针", "Probe"), routers=[], metadata=metadata, publishes=[Noted], **declared)


async def publish(runtime: Runtime, *events: Event) -> None:
    """Record events in one transaction."""
    async with runtime.sessions() as session, session.begin():
        record_all(session, events)


async def publish_each(runtime: Runtime, thing: str, numbers: Iterable[int]) -> None:
    """Record events of one subject, each in its own transaction."""
    for number in numbers:
        async with runtime.sessions() as session, session.begin():
            record(session, Noted(thing=thing, number=number, area="430302", warninglevel=WarningLevel.ORANGE))


def envelopes(admin: Any, stream: str = STREAM) -> list[dict[str, Any]]:
    """What the stream holds, oldest first."""
    return [orjson.loads(fields["event"]) for _, fields in admin.xrange(stream)]


def numbers(envelopes: Iterable[dict[str, Any]], thing: str | None = None) -> list[int]:
    return [envelope["data"]["number"] for envelope in envelopes if thing is None or envelope["data"]["thing"] == thing]


async def eventually(check: Callable[[], Any], seconds: float = 10) -> float:
    """Wait until `check` is true; the seconds that it took. What it last gave is in the failure."""
    started = time.monotonic()
    while not (found := check()):
        assert time.monotonic() - started < seconds, f"still {found!r} after {seconds} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - started


class Handler:
    """Writes a note for each event; raises where it is told to, after the write."""

    def __init__(self) -> None:
        self.raising: dict[tuple[str, int], int] = {}
        """How often the event with this thing and number still raises."""
        self.tried: list[tuple[str, int]] = []

    async def handle(self, envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
        assert isinstance(event, Noted)
        seen = (event.thing, event.number)
        self.tried.append(seen)
        await session.execute(notes.insert().values(text=f"{event.thing} {event.number}"))
        if self.raising.get(seen, 0) > 0:
            self.raising[seen] -= 1
            raise RuntimeError(f"not yet: {envelope.id}")


def wire(thing: str, number: int, **changed: Any) -> dict[str, str]:
    """An entry as a drainer would append it."""
    envelope = {
        "specversion": "1.0",
        "id": str(ULID()),
        "source": "/430300/probe",
        "type": Noted.type,
        "subject": f"things/{thing}",
        "time": datetime.now(UTC).isoformat(),
        "sequence": str(number),
        "data": {"thing": thing, "number": number},
    }
    return {"event": orjson.dumps(envelope | changed).decode()}
