"""Bulk merges by natural key, alone and side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Table, Text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns
from shared.loads import Merged, merge
from shared.service import Service, create_app
from shared.testing import running
from shared.vocabulary import Text as Words
from tests.city import City

metadata = new_metadata()
things = Table(
    "things", metadata, Column("id", Text, primary_key=True), Column("size", Integer), Column("owner", Text), Column("hint", Text), *recorded_columns()
)
history_of(things)
TOY = Service(name="food", title=Words("物", "Things"), routers=[], metadata=metadata)
Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
async def sessions(city: City) -> AsyncIterator[Sessions]:
    app = create_app(TOY, city.settings(TOY))
    async with running(app):
        yield app.state.runtime.sessions


def thing(name: str, size: int | None = 1, **values: Any) -> dict[str, Any]:
    return {"id": name, "size": size, "owner": "a", "hint": None} | values


async def load(sessions: Sessions, *rows: dict[str, Any], **options: Any) -> Merged:
    async with sessions() as session, session.begin():
        return await merge(session, things, dict(enumerate(rows)), key=("id",), recorded_by="client:test", **options)


async def sizes(sessions: Sessions) -> dict[str, Any]:
    async with sessions() as session:
        return {row.id: row.size for row in await session.execute(things.select())}


async def test_each_row_has_one_fate(sessions: Sessions):
    await load(sessions, thing("known"), thing("other"))
    merged = await load(sessions, thing("known"), thing("other", 2), thing("new"), thing("new"), thing("torn", 1), thing("torn", 2))
    assert (merged.taken, merged.duplicates, merged.conflicts, merged.contradictory) == ([2], [3, 0], {1: "size"}, [4, 5])
    assert await sizes(sessions) == {"known": 1, "other": 1, "new": 1}


async def test_unknown_equals_unknown_and_nothing_else(sessions: Sessions):
    await load(sessions, thing("a", None), thing("b", 1))
    merged = await load(sessions, thing("a", None), thing("b", None))
    assert (merged.duplicates, merged.conflicts) == ([0], {1: "size"})


async def test_a_correction_changes_only_what_differs(sessions: Sessions):
    await load(sessions, thing("a"), thing("b"))
    merged = await load(sessions, thing("a", 2), thing("b"), thing("c"), correct=True)
    assert (merged.taken, merged.corrected, merged.duplicates) == ([2], [0], [1])
    assert await sizes(sessions) == {"a": 2, "b": 1, "c": 1}


async def test_what_may_not_be_corrected_stays_a_conflict(sessions: Sessions):
    await load(sessions, thing("mine"), thing("theirs", owner="b"))
    merged = await load(sessions, thing("mine", 2), thing("theirs", 2, owner="b"), correct=True, correctable=things.c.owner == "a")
    assert (merged.corrected, merged.conflicts) == ([0], {1: ""})  # and what differs is not told
    assert await sizes(sessions) == {"mine": 2, "theirs": 1}


async def test_derived_columns_are_written_once_and_never_compared(sessions: Sessions):
    await load(sessions, thing("a", hint="x"), derived=("hint",))
    assert (await load(sessions, thing("a", hint="y"), derived=("hint",))).duplicates == [0]
    assert (await load(sessions, thing("a", hint="y"), derived=("hint",), correct=True)).duplicates == [0]


async def test_nothing_to_merge_is_nothing_done(sessions: Sessions):
    assert await load(sessions) == Merged()


async def test_of_loads_side_by_side_each_row_is_taken_once(sessions: Sessions):
    rows = [thing(str(number)) for number in range(500)]
    merged = await asyncio.gather(load(sessions, *rows), load(sessions, *reversed(rows)), load(sessions, *rows[250:], *rows[:250]))
    assert sum(len(each.taken) for each in merged) == 500
    assert sum(len(each.duplicates) for each in merged) == 1000
    assert not any(each.conflicts for each in merged)


async def test_corrections_side_by_side_wait_for_each_other(sessions: Sessions):
    await load(sessions, *(thing(str(number)) for number in range(300)))
    forward = [thing(str(number), 2) for number in range(300)]
    merged = await asyncio.gather(load(sessions, *forward, correct=True), load(sessions, *reversed(forward), correct=True))
    assert sorted(len(each.corrected) for each in merged) == [0, 300]


async def load_and_fail(sessions: Sessions) -> None:
    async with sessions() as session, session.begin():
        await merge(session, things, {0: thing("a")}, key=("id",), recorded_by="client:test")
        raise ZeroDivisionError


async def test_a_load_that_fails_leaves_nothing(sessions: Sessions):
    with pytest.raises(ZeroDivisionError):
        await load_and_fail(sessions)
    assert await sizes(sessions) == {}
    assert (await load(sessions, thing("a"))).taken == [0]  # on the same connection, whose temporary table is empty again
