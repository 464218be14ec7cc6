"""Consumers: each event takes effect once, in the order of its subject, whoever fails; what cannot be handled is kept and can be replayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from shared import log
from shared.bus import Journal, Patience, consumer
from shared.bus.entries import Entry
from shared.bus.held import Held
from shared.config import Settings
from shared.events.model import CloudEvent, Event
from shared.outbox import record, retention
from shared.service import Runtime, create_app
from shared.testing import running
from tests.city import City
from tests.shared.events_under_test import STREAM, Handler, Noted, NotedElsewhere, eventually, probe, publish, publish_each, wire

QUICK = Patience(attempts=3, first_s=0.05, handler_s=1)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def settings(city: City) -> Settings:
    return city.settings(probe())


@pytest.fixture
def admin(city: City, settings: Settings) -> Any:
    return city.redis_admin()


@pytest.fixture
def app(settings: Settings, handler: Handler, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(consumer, "PATIENCE", QUICK)
    monkeypatch.setattr(retention, "CARE_S", 0.1)
    return create_app(probe(on={Noted: handler.handle}), settings)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as made:
        yield made


@pytest.fixture
def runtime(app: FastAPI, client: httpx.AsyncClient) -> Runtime:
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
def operator(city: City) -> dict[str, str]:
    return city.headers("probe", scope="probe:admin")


class Effects:
    """What the consumer left in its database."""

    def __init__(self, city: City, settings: Settings) -> None:
        self._city, self._settings = city, settings

    def notes(self, thing: str = "") -> list[str]:
        """What took effect, in the order of its effect."""
        return [row["text"] for row in self._city.sql(self._settings, "SELECT text FROM notes WHERE text LIKE $1 || '%' ORDER BY id", thing)]

    def dead(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._city.sql(self._settings, "SELECT * FROM dead_letters ORDER BY id")]

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        return self._city.sql(self._settings, statement, *arguments)


@pytest.fixture
def effects(city: City, settings: Settings) -> Effects:
    return Effects(city, settings)


@asynccontextmanager
async def processes(handlers: list[Handler], settings: Settings) -> AsyncIterator[list[Runtime]]:
    async with AsyncExitStack() as stack:
        apps = [create_app(probe(on={Noted: handler.handle}), settings) for handler in handlers]
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield [app.state.runtime for app in apps]


async def test_events_take_effect_in_order(runtime: Runtime, effects: Effects) -> None:
    await publish(runtime, *(Noted(thing="ab"[n % 2], number=n) for n in range(500)))
    await eventually(lambda: len(effects.notes()) == 500)
    assert effects.notes("a") == [f"a {n}" for n in range(0, 500, 2)]
    assert effects.notes("b") == [f"b {n}" for n in range(1, 500, 2)]


async def test_an_event_that_comes_again_takes_no_effect_again(runtime: Runtime, admin: Any, effects: Effects) -> None:
    again = wire("x", 1)
    for entry in (again, again, wire("x", 2), again):
        admin.xadd(STREAM, entry)
    await eventually(lambda: "x 2" in effects.notes())
    admin.xadd(STREAM, again)
    admin.xadd(STREAM, wire("x", 3))
    await eventually(lambda: "x 3" in effects.notes())
    assert effects.notes() == ["x 1", "x 2", "x 3"]


async def test_another_source_cannot_use_up_the_ids_of_a_source(settings: Settings, handler: Handler, admin: Any, effects: Effects) -> None:
    real = wire("x", 1, id="same")
    other = wire("y", 1, id="same", source="/430300/community", type=NotedElsewhere.type)
    async with running(create_app(probe(on={Noted: handler.handle, NotedElsewhere: handler.handle}), settings)):
        admin.xadd("events:430300/community", other)
        await eventually(lambda: effects.notes() == ["y 1"])
        admin.xadd(STREAM, real)
        await eventually(lambda: effects.notes() == ["y 1", "x 1"])


async def test_a_service_cannot_say_what_another_service_says(settings: Settings, handler: Handler, admin: Any, effects: Effects) -> None:
    async with running(create_app(probe(on={Noted: handler.handle, NotedElsewhere: handler.handle}), settings)):
        admin.xadd("events:430300/community", wire("x", 1, source="/430300/community"))
        await eventually(effects.dead)
    assert (effects.dead()[0]["reason"], handler.tried) == ("forged", [])


async def test_a_failing_event_holds_back_its_subject_and_no_other(runtime: Runtime, handler: Handler, admin: Any, effects: Effects) -> None:
    handler.raising = {("a", 2): 2}
    for number in range(1, 5):
        await publish(runtime, Noted(thing="a", number=number), Noted(thing="b", number=number))
    await eventually(lambda: len(effects.notes("b")) == 4)
    await eventually(lambda: len(effects.notes("a")) == 4)
    assert effects.notes("a") == ["a 1", "a 2", "a 3", "a 4"]
    first_failure = handler.tried.index(("a", 2))
    assert ("a", 3) not in handler.tried[: handler.tried.index(("a", 2), first_failure + 1)]
    assert effects.dead() == []
    assert effects.sql("SELECT FROM delivery_attempts") == []
    await eventually(lambda: admin.xpending(STREAM, "probe")["pending"] == 0)


async def test_what_waits_in_memory_is_bounded_and_everything_arrives(
    runtime: Runtime, handler: Handler, effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "HELD_LIMIT", 5)
    monkeypatch.setattr(consumer, "BATCH", 4)
    held: list[int] = []
    add = Held.add_if_waiting

    def watched(self: Held, entry: Entry) -> bool:
        held.append(self.count)
        return add(self, entry)

    monkeypatch.setattr(Held, "add_if_waiting", watched)
    handler.raising = {("a", 0): 2}
    await publish(runtime, *(Noted(thing="ab"[number % 2], number=number // 2) for number in range(60)))
    await eventually(lambda: len(effects.notes()) == 60)
    assert effects.notes("a") == [f"a {number}" for number in range(30)]
    assert effects.notes("b") == [f"b {number}" for number in range(30)]
    assert 0 < max(held) <= 5 + 4


async def test_what_keeps_failing_becomes_a_dead_letter_and_its_subject_goes_on(runtime: Runtime, handler: Handler, admin: Any, effects: Effects) -> None:
    handler.raising = {("a", 1): 99}
    await publish_each(runtime, "a", [1, 2, 3])
    await eventually(lambda: effects.notes("a") == ["a 2", "a 3"])
    (letter,) = effects.dead()
    assert (letter["source"], letter["reason"], letter["attempts"], letter["subject"]) == ("430300/probe", "failed", 3, "things/a")
    assert "not yet" in letter["error"]
    assert orjson.loads(letter["payload"])["data"] == {"thing": "a", "number": 1}
    tried = handler.tried.count(("a", 1))
    await eventually(lambda: admin.xpending(STREAM, "probe")["pending"] == 0)
    admin.xadd(STREAM, {"event": letter["payload"]})
    await publish_each(runtime, "a", [4])
    await eventually(lambda: "a 4" in effects.notes())
    assert handler.tried.count(("a", 1)) == tried, "it was given up, so it does not come back by itself"


async def test_a_dead_letter_is_replayed_once_when_an_operator_asks(
    runtime: Runtime, handler: Handler, client: httpx.AsyncClient, operator: dict[str, str], effects: Effects
) -> None:
    handler.raising = {("a", 1): 4}
    await publish_each(runtime, "a", [1])
    await eventually(effects.dead)
    (shown,) = (await client.get("/dead-letters", headers=operator)).json()["letters"]
    assert (shown["reason"], shown["type"]) == ("failed", Noted.type)

    asked = await client.post(f"/dead-letters/{shown['id']}/replay", headers=operator)
    assert (asked.status_code, asked.json()["replayed_at"]) == (202, None)
    await eventually(lambda: effects.dead()[0]["attempts"] == 4)
    assert effects.notes() == [], "the handler still raised"
    assert effects.dead()[0]["replay_requested_at"] is None

    assert (await client.post(f"/dead-letters/{shown['id']}/replay", headers=operator)).status_code == 202
    await eventually(lambda: effects.notes() == ["a 1"])
    again = await client.post(f"/dead-letters/{shown['id']}/replay", headers=operator)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
    assert (await client.get("/dead-letters", headers=operator)).json() == {"letters": [], "after": None}
    replayed = (await client.get("/dead-letters", params={"replayed": True}, headers=operator)).json()["letters"]
    assert [letter["id"] for letter in replayed] == [shown["id"]]


async def test_dead_letters_are_for_operators(client: httpx.AsyncClient, city: City) -> None:
    assert (await client.get("/dead-letters")).status_code == 401
    for scope, status in (("probe:read probe:write", 403), ("food:admin", 403), ("probe:admin", 200), ("hub:admin", 200)):
        assert (await client.get("/dead-letters", headers=city.headers("probe", scope=scope))).status_code == status
    assert (await client.post("/dead-letters/1/replay", headers=city.headers("probe", scope="probe:read"))).status_code == 403
    missing = await client.post("/dead-letters/77/replay", headers=city.headers("probe", scope="probe:admin"))
    assert (missing.status_code, missing.json()["pointer"]) == (404, "/id")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (wire("x", 1, source="/430300/food"), "forged"),
        (wire("x", 1, source="/430100/probe"), "forged"),
        (wire("x", 1, source="https://elsewhere"), "forged"),
        (wire("x", 1, time="2026-11-22T08:00:00"), "malformed"),
        (wire("x", 1, id=""), "malformed"),
        (wire("x", 1, warninglevel="5"), "malformed"),
        (wire("x", 1, sequence="first"), "malformed"),
        (wire("x", 1, data=[1]), "malformed"),
        (wire("x", 1, data={"thing": "x"}), "malformed"),
        (wire("x", 1, data={"thing": "x", "number": 1, "name": "a person"}), "malformed"),
        (wire("x", 1, time=(datetime.now(UTC) - timedelta(days=100)).isoformat()), "expired"),
        ({"event": "{"}, "malformed"),
        ({"event": b"\xff\xfe\x00"}, "malformed"),
        ({"other": "x"}, "malformed"),
        ({"event": "[" * 100_000}, "malformed"),
        (wire("x", 1, data={"thing": "x" * 200_000, "number": 1}), "malformed"),
    ],
)
async def test_what_cannot_be_believed_is_kept_and_never_handled(
    runtime: Runtime, handler: Handler, admin: Any, effects: Effects, client: httpx.AsyncClient, operator: dict[str, str], entry: dict[str, Any], reason: str
) -> None:
    admin.xadd(STREAM, entry)
    admin.xadd(STREAM, wire("y", 1))
    await eventually(lambda: effects.notes() == ["y 1"])
    (letter,) = effects.dead()
    assert letter["reason"] == reason
    assert handler.tried == [("y", 1)]
    await eventually(lambda: admin.xpending(STREAM, "probe")["pending"] == 0)
    if reason != "expired":
        refused = await client.post(f"/dead-letters/{letter['id']}/replay", headers=operator)
        assert refused.status_code == 409


async def test_what_nobody_here_handles_is_only_acknowledged(runtime: Runtime, admin: Any, effects: Effects) -> None:
    admin.xadd(STREAM, wire("x", 1, type="probe.other.happened.v1"))
    admin.xadd(STREAM, wire("x", 2))
    await eventually(lambda: effects.notes() == ["x 2"])
    await eventually(lambda: admin.xpending(STREAM, "probe")["pending"] == 0)
    assert len(effects.sql("SELECT FROM processed")) == 1


async def test_one_consumer_is_active_and_the_second_takes_over(city: City, settings: Settings, admin: Any, effects: Effects) -> None:
    first, second = Handler(), Handler()
    async with processes([first, second], settings) as (runtime, _):
        await publish_each(runtime, "x", range(20))
        await eventually(lambda: len(effects.notes()) == 20)
        active, standby = (first, second) if first.tried else (second, first)
        assert (len(active.tried), standby.tried) == (20, [])
        city.sql(settings, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '430300/probe consumer'", role="app")
        await publish_each(runtime, "x", range(20, 40))
        await eventually(lambda: len(effects.notes()) == 40)
    assert effects.notes() == [f"x {n}" for n in range(40)]


async def test_losing_the_database_session_again_and_again_repeats_nothing(city: City, settings: Settings, runtime: Runtime, effects: Effects) -> None:
    async def terminate() -> None:
        for _ in range(5):
            await asyncio.sleep(0.07)
            city.sql(settings, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '430300/probe _%'", role="app")

    await asyncio.gather(publish(runtime, *(Noted(thing="x", number=n) for n in range(300))), terminate())
    await eventually(lambda: len(effects.notes()) == 300)
    assert effects.notes() == [f"x {n}" for n in range(300)]
    assert effects.dead() == []


async def test_what_was_delivered_to_somebody_who_vanished_is_taken_over(settings: Settings, handler: Handler, admin: Any, effects: Effects) -> None:
    for number in range(5):
        admin.xadd(STREAM, wire("x", number))
    admin.xgroup_create(STREAM, "probe", id="0")
    admin.xreadgroup("probe", "vanished", {STREAM: ">"}, count=3)
    async with processes([handler], settings):
        await eventually(lambda: len(effects.notes()) == 5)
        await eventually(lambda: admin.xpending(STREAM, "probe")["pending"] == 0)
    assert effects.notes() == [f"x {n}" for n in range(5)]


async def test_an_event_that_ends_the_process_again_and_again_is_given_up(
    settings: Settings, handler: Handler, admin: Any, effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", QUICK)
    deadly = wire("x", 1)
    for entry in (deadly, wire("x", 2), wire("y", 3)):
        admin.xadd(STREAM, entry)
    admin.xgroup_create(STREAM, "probe", id="0")
    admin.xreadgroup("probe", "probe", {STREAM: ">"})
    died_before = "INSERT INTO delivery_attempts (source, event_id, attempts) VALUES ('430300/probe', $1, 3)"
    effects.sql(died_before, orjson.loads(deadly["event"])["id"])
    async with processes([handler], settings):
        await eventually(lambda: effects.notes() == ["x 2", "y 3"])
    (letter,) = effects.dead()
    assert (letter["reason"], letter["attempts"]) == ("failed", 4)
    assert ("x", 1) not in handler.tried


async def test_a_handler_that_hangs_counts_as_a_failure(settings: Settings, effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", Patience(attempts=2, first_s=0.05, handler_s=0.2))
    tried = []

    async def hang(envelope: CloudEvent, _: Event | None, session: AsyncSession) -> None:
        tried.append(envelope.id)
        await asyncio.sleep(60)

    app = create_app(probe(on={"probe.*": hang}), settings)
    async with running(app):
        await publish_each(app.state.runtime, "x", [1])
        await eventually(effects.dead)
    assert effects.dead()[0]["reason"] == "failed"
    assert 1 <= len(tried) <= 3


async def test_an_emptied_redis_loses_nothing_and_repeats_nothing(runtime: Runtime, admin: Any, effects: Effects) -> None:
    for burst in range(4):
        await publish_each(runtime, "x", range(burst * 25, burst * 25 + 25))
        admin.flushdb()
    await eventually(lambda: len(effects.notes()) == 100)
    await asyncio.sleep(0.3)
    assert effects.notes() == [f"x {n}" for n in range(100)]


async def test_a_destroyed_group_reads_from_the_beginning_and_repeats_nothing(runtime: Runtime, admin: Any, effects: Effects) -> None:
    await publish_each(runtime, "x", range(10))
    await eventually(lambda: len(effects.notes()) == 10)
    admin.xgroup_destroy(STREAM, "probe")
    await publish_each(runtime, "x", range(10, 20))
    await eventually(lambda: len(effects.notes()) == 20)
    assert effects.notes() == [f"x {n}" for n in range(20)]


async def test_the_trace_goes_on_into_what_a_handler_records(settings: Settings, effects: Effects) -> None:
    async def answer(envelope: CloudEvent, _: Event | None, session: AsyncSession) -> None:
        if envelope.data["number"] == 1:
            record(session, Noted(thing=envelope.data["thing"], number=2))

    trace = "a" * 32
    app = create_app(probe(on={"probe.*": answer}), settings)
    async with running(app):
        before = log.traceparent.set(f"00-{trace}-{'b' * 16}-01")
        await publish_each(app.state.runtime, "x", [1])
        log.traceparent.reset(before)
        await eventually(lambda: len(effects.sql("SELECT FROM outbox")) == 2)
    parents = [orjson.loads(row["envelope"])["traceparent"].split("-") for row in effects.sql("SELECT envelope FROM outbox ORDER BY position")]
    assert [parent[1] for parent in parents] == [trace, trace]
    assert parents[0][2] != parents[1][2]


async def test_a_journal_keeps_each_event_once_alone_or_beside_a_handler(city: City, handler: Handler, admin: Any) -> None:
    kept: list[tuple[int, str]] = []
    journal = Journal(
        table="journal",
        columns={"number": "bigint"},
        row=lambda envelope: (envelope.data["number"],),
        kept=lambda _, rows: kept.extend((row[0], source) for _, source, row in rows),
    )
    keys = "source text NOT NULL, id text NOT NULL, number bigint NOT NULL"
    table = f"CREATE TABLE journal (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {keys})"
    settings = city.settings(probe(), ddl=[table])
    effects = Effects(city, settings)
    handler.raising = {("x", 3): 1}
    alone = [wire("x", number, type="probe.other.happened.v1") for number in (1, 2)]
    async with running(create_app(probe(on={"probe.*": journal, Noted: handler.handle}), settings)):
        for entry in (alone[0], alone[0], alone[1], wire("x", 3), wire("x", 4)):
            admin.xadd(STREAM, entry)
        await eventually(lambda: len(kept) == 4)
    assert effects.notes() == ["x 3", "x 4"]
    rows = effects.sql("SELECT source, number FROM journal ORDER BY position")
    assert [(row["number"], row["source"]) for row in rows] == kept == [(number, "430300/probe") for number in (1, 2, 3, 4)]
