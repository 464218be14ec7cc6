"""Columns kept in memory give the answers of the database: as of the last commit, within the bound, and to those who see all rows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.config import Settings
from shared.datasets import versions
from shared.datasets.aggregate import answer, by_values, kept_columns, routes
from shared.datasets.aggregate import states as wire
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.shared.aggregate.test_by_values import QUESTIONS, VALUES, unused
from tests.shared.aggregate.toy import DDL, TOY, fill, random_calls

ROWS = 3000
FIRST = datetime(2025, 10, 20, tzinfo=UTC)
ALL: dict[str, Any] = {"clearance": {"grade": "general", "personal": "personal"}}
NO_PERSONS: dict[str, Any] = {"clearance": {"grade": "general", "personal": "none"}}
BY_HOUR: dict[str, Any] = {**QUESTIONS[0], "measures": VALUES}


@pytest.fixture
async def settings(city: City) -> Settings:
    made = city.settings(TOY, ddl=DDL)
    await fill(made, random_calls(ROWS, seed=8))
    city.sql(made, "ANALYZE calls")
    return made


@pytest.fixture
async def client(city: City, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(TOY, settings)
    async with running(app) as made:
        made.headers.update(city.headers("toy", scope="toy:read", **ALL))
        yield made


async def ask(client: httpx.AsyncClient, question: dict[str, Any], **headers: str) -> Any:
    found = await client.post("/collections/toy.calls/aggregate", json=question, headers=headers)
    assert found.status_code == 200, found.text
    return found.json()["rows"]


async def ask_until_kept(client: httpx.AsyncClient) -> None:
    """As many questions as it takes for the columns to be read."""
    await ask(client, BY_HOUR)
    await ask(client, BY_HOUR)


@contextmanager
def without_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No values and no groups come from the database."""
    with monkeypatch.context() as patched:
        patched.setattr(answer, "gather", unused)
        patched.setattr(by_values, "read_rows", unused)
        yield


@asynccontextmanager
async def no_transaction(*_: object) -> AsyncIterator[None]:
    raise AssertionError("a transaction")
    yield


@contextmanager
def by_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The database groups, whatever is kept."""

    async def nothing(*_: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(answer, "states_of_kept", nothing)
        patched.setattr(by_values, "MOST_BYTES", -1)
        yield


def alike(mine: list[Any], other: list[Any]) -> bool:
    return len(mine) == len(other) and all(
        value == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)
        for row, same in zip(mine, other, strict=True)
        for value, expected in zip(row, same, strict=True)
    )


def random_question(chance: random.Random) -> dict[str, Any]:
    asked = dict(chance.sample(sorted(VALUES.items()), chance.randint(1, len(VALUES))))
    by = dict(chance.sample([("district", "area:district"), ("hour", "time:hour"), ("week", "time:week"), ("town", "area:town")], chance.randint(1, 3)))
    since = FIRST + timedelta(seconds=chance.randint(-90_000, 29 * 86_400))
    ends = (("from", since), ("until", since + timedelta(seconds=chance.randint(86_400 * 2, 86_400 * 40))))
    times = {name: end.isoformat() for name, end in ends if chance.random() < 0.6}
    return {"measures": asked, "by": by, "tz": chance.choice(("Asia/Shanghai", "Asia/Kolkata", "UTC")), **times}


@pytest.mark.parametrize("pages", [1, 8192], ids=["many parts", "one part"])
async def test_random_questions_are_answered_as_by_the_database(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    monkeypatch.setattr(kept_columns, "_PART_PAGES", pages)
    await ask_until_kept(client)
    chance = random.Random(pages)
    for _ in range(25):
        question = random_question(chance)
        with without_database(monkeypatch):
            here = await ask(client, question)
        with by_database(monkeypatch):
            assert alike(here, await ask(client, question)), question
    assert await ask(client, {**BY_HOUR, "until": "2024-01-01T00:00:00Z"}) == []


async def test_what_was_just_committed_is_in_the_answer(city: City, settings: Settings, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    count: dict[str, Any] = {"measures": {"n": {"fn": "count"}, "total": {"fn": "sum", "field": "response_s"}}, "by": {"province": "area:province"}}
    changes = (
        "INSERT INTO calls (id, area, response_s, recorded_by) VALUES (900001, '430302', 7.5, 'test')",
        "UPDATE calls SET response_s = 1000000 WHERE id = 900001",
        "UPDATE calls SET area = 'us-06075' WHERE id = 900001",
        "DELETE FROM calls WHERE id = 900001",
        "UPDATE areas SET province = '99' WHERE code = '430302'",
    )
    before = None
    for statement in changes:
        await ask_until_kept(client)
        with without_database(monkeypatch):
            before = await ask(client, count)
        city.sql(settings, statement)
        after = await ask(client, count)
        assert after != before
        with by_database(monkeypatch):
            assert alike(after, await ask(client, count))


async def test_they_are_given_without_a_transaction_and_with_one_if_the_look_fails(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask_until_kept(client)
    expected = await ask(client, BY_HOUR)
    with monkeypatch.context() as patched:
        patched.setattr(routes, "reading", no_transaction)
        assert await ask(client, BY_HOUR) == expected
        with pytest.raises(AssertionError, match="500"):
            await ask(client, {**BY_HOUR, "measures": {"least": {"fn": "min", "field": "response_s"}}})

    async def fails(*_: object) -> None:
        return None

    monkeypatch.setattr(versions, "at_once", fails)
    with without_database(monkeypatch):
        assert await ask(client, BY_HOUR) == expected


async def test_they_are_not_looked_for_on_behalf_of_who_sees_less(city: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask_until_kept(client)
    await ask(client, BY_HOUR)
    monkeypatch.setattr(routes, "versions_now", unused)
    for narrow in (city.headers("toy", scope="toy:read", areas=("430302",), **ALL), city.headers("toy", scope="toy:read", **NO_PERSONS)):
        await ask(client, BY_HOUR, **narrow)
    with pytest.raises(AssertionError, match="500"):
        await ask(client, BY_HOUR)


async def test_they_are_read_once_as_much_was_read(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {**BY_HOUR, "from": (FIRST + timedelta(days=28)).isoformat()}
    for _ in range(3):  # some 200 rows each
        await ask(client, few)
    with without_database(monkeypatch), pytest.raises(AssertionError, match="500"):
        await ask(client, few)
    await ask(client, BY_HOUR)
    await ask(client, few)
    with without_database(monkeypatch):
        await ask(client, few)


async def test_who_sees_fewer_rows_is_answered_by_the_database(city: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask_until_kept(client)
    narrow = city.headers("toy", scope="toy:read", areas=("430302",), **ALL)
    with without_database(monkeypatch), pytest.raises(AssertionError, match="500"):
        await ask(client, BY_HOUR, **narrow)
    rows = await ask(client, {"measures": {"n": {"fn": "count"}}, "by": {"town": "area:town", "district": "area:district"}}, **narrow)
    assert {row[1] for row in rows} == {"430302"}


async def test_who_sees_fewer_fields_is_answered_by_the_database(city: City, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(TOY, settings)
    async with running(app) as client:
        hub = {"Accept": wire.MEDIA_TYPE}
        everything, less = (city.headers("toy", scope="hub:query", actor="430300/hub", **sees) | hub for sees in (ALL, NO_PERSONS))
        for _ in range(3):
            assert (await client.post("/collections/toy.calls/aggregate", json=BY_HOUR, headers=everything)).status_code == 200
        known = app.state.runtime.columns._tables["calls"]
        assert known.kept
        before = (known.read, known.used)
        slow = await client.post("/collections/toy.calls/aggregate", json=BY_HOUR, headers=less)
        assert (known.read, known.used) == before
        with without_database(monkeypatch):
            quick = await client.post("/collections/toy.calls/aggregate", json=BY_HOUR, headers=everything)
        assert wire.read_states(slow.content).table.equals(wire.read_states(quick.content).table)


async def test_a_value_that_is_no_number_is_refused_only_where_it_is_asked_for(
    city: City, settings: Settings, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.sql(settings, "INSERT INTO calls (id, area, received_at, response_s, recorded_by) VALUES (900002, '4303', '2020-01-01', 'Infinity', 'test')")
    later = {**BY_HOUR, "from": "2024-01-01T00:00:00Z"}
    rows = [await ask(client, later) for _ in range(4)]
    with by_database(monkeypatch):
        expected = await ask(client, later)
    assert all(alike(found, expected) for found in rows)
    refused = await client.post("/collections/toy.calls/aggregate", json=BY_HOUR)
    assert refused.status_code == 422, refused.text


async def test_columns_that_cannot_be_taken_are_left_to_the_database(city: City, settings: Settings, client: httpx.AsyncClient) -> None:
    city.sql(settings, "INSERT INTO calls (id, area, received_at, response_s, recorded_by) VALUES (900003, '4303', '2020-01-01', 'NaN', 'test')")
    count = {**BY_HOUR, "measures": {"n": {"fn": "count"}}}
    for _ in range(3):
        await ask(client, count)
    refused = await client.post("/collections/toy.calls/aggregate", json=BY_HOUR)
    assert refused.status_code == 422, refused.text
    assert len(await ask(client, {**BY_HOUR, "from": "2024-01-01T00:00:00Z"})) > 1


async def test_many_at_once_read_them_once_even_if_it_fails(city: City, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    real = kept_columns._read

    async def failing(connection: AsyncConnection, *_: object) -> Any:
        reads.append(1)
        await connection.execute(text("SET LOCAL statement_timeout = 50"))
        await connection.execute(text("SELECT pg_sleep(5)"))

    async def counted(*given: Any) -> Any:
        reads.append(1)
        return await real(*given)

    app = create_app(TOY, settings)
    async with running(app) as client:
        client.headers.update(city.headers("toy", scope="toy:read", **ALL))

        async def at_once() -> list[int]:
            found = await asyncio.gather(*(client.post("/collections/toy.calls/aggregate", json=BY_HOUR) for _ in range(20)))
            return sorted(answer.status_code for answer in found)

        await ask(client, BY_HOUR)
        with monkeypatch.context() as patched:
            patched.setattr(kept_columns, "_read", failing)
            assert (await at_once())[:19] == [200] * 19
        assert len(reads) == 1
        city.sql(settings, "DELETE FROM calls WHERE id = 1")
        await ask(client, BY_HOUR)
        monkeypatch.setattr(kept_columns, "_read", counted)
        assert await at_once() == [200] * 20
        assert len(reads) == 2


async def test_no_version_is_trusted_for_longer_than_the_bound(
    city: City, settings: Settings, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask_until_kept(client)
    before = await ask(client, BY_HOUR)
    city.sql(settings, "TRUNCATE calls")  # by the owner, who alone may: there is no version of it
    assert await ask(client, BY_HOUR) == before
    monkeypatch.setattr(kept_columns, "LONGEST_S", 0.0)
    assert await ask(client, BY_HOUR) == []


async def test_no_more_is_kept_than_the_bound_allows(city: City, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(TOY, settings.model_copy(update={"columns_bytes": ROWS * 11}))
    async with running(app) as client:
        client.headers.update(city.headers("toy", scope="toy:read", **ALL))
        small: dict[str, Any] = {"measures": {"n": {"fn": "count"}}, "by": {"city": "area:city"}}
        for question in (BY_HOUR, BY_HOUR, BY_HOUR, small, small):
            await ask(client, question)
        assert sum(known.kept.bytes for known in app.state.runtime.columns._tables.values() if known.kept) <= ROWS * 11
        with by_database(monkeypatch):
            expected = await ask(client, BY_HOUR)
        assert alike(await ask(client, BY_HOUR), expected)


async def test_what_nobody_asks_for_is_given_up(city: City, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(TOY, settings)
    async with running(app) as client:
        client.headers.update(city.headers("toy", scope="toy:read", **ALL))
        await ask_until_kept(client)
        await ask(client, BY_HOUR)
        columns = app.state.runtime.columns
        columns._forget_idle()
        assert columns._tables["calls"].kept is not None
        monkeypatch.setattr(kept_columns, "IDLE_S", -1.0)
        columns._forget_idle()
        assert "calls" not in columns._tables
        await ask(client, BY_HOUR)
