"""Requests that are sent again: one effect, one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import Column, Integer, Table, Text, insert

from shared.auth import Caller, may
from shared.database import Session, new_metadata
from shared.errors import Conflict
from shared.idempotency import Repeatable
from shared.service import Service, create_app
from shared.testing import running
from shared.vocabulary import Text as Words
from tests.city import City

metadata = new_metadata()
notes = Table("notes", metadata, Column("id", Integer, primary_key=True, autoincrement=True), Column("text", Text, nullable=False))
router = APIRouter()
began = asyncio.Event()
go_on = asyncio.Event()


class Note(BaseModel):
    text: str


@router.post("/notes")
async def note(request: Request, note: Note, session: Session, once: Repeatable, caller: Annotated[Caller, may("notes:write")]) -> Response:
    async def work() -> dict[str, Any]:
        number = await session.scalar(insert(notes).values(text=note.text).returning(notes.c.id))
        if note.text == "slow":
            began.set()
            await go_on.wait()
        if note.text == "refused":
            raise Conflict("Not this one.")
        return {"id": number}

    return await once(work, status=201)


service = Service(name="notes", title=Words("便条", "Notes"), routers=[router], metadata=metadata)


@pytest.fixture
async def client(city: City) -> AsyncIterator[httpx.AsyncClient]:
    began.clear()
    go_on.clear()
    settings = city.settings(service)
    async with running(create_app(service, settings)) as client:
        client.headers.update(city.headers("notes", scope="notes:write", subject="client:a"))
        client.sql = lambda statement: city.sql(settings, statement)  # type: ignore[attr-defined]  # a shortcut of this test
        yield client


async def send(client: httpx.AsyncClient, text: str, key: str | None, **headers: str) -> httpx.Response:
    return await client.post("/notes", json={"text": text}, headers={**({"Idempotency-Key": key} if key else {}), **headers})


def stored(client: httpx.AsyncClient, statement: str = "SELECT text FROM notes ORDER BY id") -> list[Any]:
    found: list[Any] = [row[0] for row in client.sql(statement)]  # type: ignore[attr-defined]
    return found


async def test_a_repeated_request_gets_the_first_answer_and_does_nothing(client: httpx.AsyncClient) -> None:
    first, second = await send(client, "x", "k"), await send(client, "x", "k")
    assert (first.status_code, first.json()) == (201, {"id": 1})
    assert (second.status_code, second.content) == (201, first.content)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert stored(client) == ["x"]


async def test_without_a_key_every_request_counts(client: httpx.AsyncClient) -> None:
    await send(client, "x", None)
    await send(client, "x", None)
    assert stored(client) == ["x", "x"]


async def test_another_body_under_the_same_key_is_refused(client: httpx.AsyncClient) -> None:
    await send(client, "x", "k")
    other = await send(client, "y", "k")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert stored(client) == ["x"]


async def test_the_key_belongs_to_the_client_and_the_target(client: httpx.AsyncClient, city: City) -> None:
    await send(client, "x", "k")
    await send(client, "x", "k", **city.headers("notes", scope="notes:write", subject="client:b"))
    assert stored(client) == ["x", "x"]
    other = await client.post("/notes?loud=true", json={"text": "x"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422


async def test_a_concurrent_repetition_waits_for_the_first(client: httpx.AsyncClient) -> None:
    first = asyncio.create_task(send(client, "slow", "k"))
    await asyncio.wait_for(began.wait(), 5)
    second = asyncio.create_task(send(client, "slow", "k"))
    await asyncio.sleep(0.2)
    assert not second.done()
    go_on.set()
    answers = await asyncio.gather(first, second)
    assert answers[0].content == answers[1].content
    assert stored(client) == ["slow"]


async def test_what_was_refused_is_not_remembered(client: httpx.AsyncClient) -> None:
    assert (await send(client, "refused", "k")).status_code == 409
    assert (await send(client, "x", "k")).status_code == 201
    assert stored(client) == ["x"]


async def test_a_key_is_forgotten_after_a_day(client: httpx.AsyncClient) -> None:
    await send(client, "x", "k")
    await send(client, "x", "old")
    stored(client, "UPDATE idempotency SET recorded_at = now() - interval '25 hours' RETURNING 1")
    await send(client, "y", "k")
    assert stored(client) == ["x", "x", "y"]
    assert stored(client, "SELECT key FROM idempotency") == ["k"]


@pytest.mark.parametrize("key", ["", " ", "ключ", "x" * 201])
async def test_a_key_must_be_short_printable_ascii(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/notes", json={"text": "x"}, headers={b"Idempotency-Key": key.encode()})
    assert answer.status_code == 400
    assert stored(client) == []
