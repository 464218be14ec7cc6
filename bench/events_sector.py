"""The sector of `bench/events.py`: it changes something at a pace, with one event each, and says when each commit was acknowledged."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, ClassVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import Column, Integer, Table, Text

from bench.pace import paced
from shared.auth import Caller, may
from shared.database import new_metadata
from shared.events.model import Event
from shared.outbox import record
from shared.service import Runtime, Service, create_app
from shared.vocabulary import Text as Title

metadata = new_metadata()
changes_made = Table("changes_made", metadata, Column("number", Integer, primary_key=True), Column("text", Text, nullable=False))
router = APIRouter()


class Paced(BaseModel):
    number: int
    rate: float


class ThingChanged(Event):
    """A thing changed: about as much as a real event says."""

    type: ClassVar[str] = "bench.thing.changed.v1"
    subject_template: ClassVar[str] = "things/{thing}"

    number: int
    thing: str
    text: str


@router.post("/changes")
async def change(many: Paced, request: Request, caller: Annotated[Caller, may("bench:write")]) -> list[int]:
    """Change something `number` times at a pace; for each change the monotonic clock right after PostgreSQL acknowledged its commit, in ns."""
    runtime: Runtime = request.app.state.runtime
    committed = [0] * many.number
    connections = asyncio.Semaphore(4)

    async def one(number: int) -> None:
        async with connections, runtime.sessions() as session, session.begin():
            await session.execute(changes_made.insert().values(text="a change"))
            record(session, ThingChanged(number=number, thing=str(number % 50), text="x" * 100, area="430302"))
        committed[number] = time.monotonic_ns()

    await paced(many.number, many.rate, one)
    return committed


service = Service(name="bench", title=Title("基准", "Benchmark"), routers=[router], metadata=metadata, publishes=[ThingChanged])
app = create_app(service)
