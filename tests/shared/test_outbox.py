"""The outbox: an event is published if and when its change is committed, in the order of its subject, and kept until it has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import AwareDatetime, TypeAdapter
from redis import Redis
from redis.exceptions import NoPermissionError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from shared import log
from shared.bus import states
from shared.config import Settings
from shared.errors import InvalidBody
from shared.outbox import outbox, record, record_all, retention, when_committed
from shared.service import Runtime, create_app
from tests.city import City
from tests.shared.events_under_test import STREAM, Noted, envelopes, eventually, notes, numbers, probe, publish, publish_each

EPOCH = "epoch:430300/probe"


@asynccontextmanager
async def processes(settings: Settings, number: int) -> AsyncIterator[list[Runtime]]:
    """A service in several processes, as far as its tasks can tell: each has its own connections."""
    async with AsyncExitStack() as stack:
        apps = [create_app(probe(), settings) for _ in range(number)]
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield [app.state.runtime for app in apps]


@pytest.fixture
def settings(city: City) -> Settings:
    return city.settings(probe(), ddl=["ALTER TABLE notes ADD CONSTRAINT said_once UNIQUE (text) DEFERRABLE INITIALLY DEFERRED"])


@pytest.fixture
def admin(city: City, settings: Settings) -> Any:
    return city.redis_admin()


@pytest.fixture
async def runtime(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """A running service whose drainer looks after its stream ten times a second."""
    monkeypatch.setattr(retention, "CARE_S", 0.1)
    monkeypatch.setattr(retention, "PURGE_S", 0.1)
    async with processes(settings, 1) as (one,):
        yield one


async def rows(runtime: Runtime, *columns: Any) -> list[Any]:
    async with runtime.sessions() as session:
        return list(await session.execute(select(*columns).order_by(outbox.c.position)))


async def test_an_event_is_published_as_a_cloudevent(settings: Settings, runtime: Runtime, admin: Any) -> None:
    before = log.traceparent.set("00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    await publish_each(runtime, "x", [7])
    log.traceparent.reset(before)
    await eventually(lambda: admin.xlen(STREAM) == 1)
    (event,) = envelopes(admin)
    moment = TypeAdapter(AwareDatetime).validate_python(event.pop("time"))
    assert abs((TypeAdapter(AwareDatetime).validate_python((await rows(runtime, outbox.c.recorded_at))[0].recorded_at) - moment).total_seconds()) < 1
    assert len(event.pop("id")) == 26
    assert event == {
        "specversion": "1.0",
        "source": "/430300/probe",
        "type": "probe.thing.noted.v1",
        "subject": "things/x",
        "sequence": "1",
        "datacontenttype": "application/json",
        "dataschema": f"{settings.hub_url}/events/probe.thing.noted.v1",
        "area": "430302",
        "warninglevel": "II",
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "data": {"thing": "x", "number": 7},
    }


async def test_an_event_goes_with_its_transaction(runtime: Runtime, admin: Any) -> None:
    told: list[str] = []

    async def fail() -> None:
        async with runtime.sessions() as session, session.begin():
            record(session, Noted(thing="x", number=1))
            when_committed(session, lambda: told.append("rolled back"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with runtime.sessions() as session:
        await session.begin()
        record(session, Noted(thing="x", number=2))
        await session.close()
        async with session.begin():
            record(session, Noted(thing="x", number=3))
            when_committed(session, lambda: told.append("committed"))
    await eventually(lambda: admin.xlen(STREAM) == 1)
    assert numbers(envelopes(admin)) == [3]
    assert told == ["committed"]


async def test_an_event_goes_with_its_savepoint(runtime: Runtime, admin: Any) -> None:
    async with runtime.sessions() as session, session.begin():
        record(session, Noted(thing="x", number=1))
        outer = await session.begin_nested()
        record(session, Noted(thing="x", number=2))
        async with session.begin_nested():
            record(session, Noted(thing="x", number=3))
        await outer.rollback()
        async with session.begin_nested():
            record(session, Noted(thing="x", number=4))
    await eventually(lambda: admin.xlen(STREAM) == 2)
    assert [(event["data"]["number"], event["sequence"]) for event in envelopes(admin)] == [(1, "1"), (4, "2")]


async def test_an_event_is_not_published_when_the_commit_itself_fails(runtime: Runtime, admin: Any) -> None:
    async def say_twice() -> None:
        async with runtime.sessions() as session, session.begin():
            await session.execute(notes.insert(), [{"text": "twice"}, {"text": "twice"}])
            record(session, Noted(thing="x", number=1))

    with pytest.raises(IntegrityError):
        await say_twice()
    await publish_each(runtime, "x", [2])
    await eventually(lambda: admin.xlen(STREAM) == 1)
    assert [(event["data"]["number"], event["sequence"]) for event in envelopes(admin)] == [(2, "1")]


async def test_an_event_that_is_not_small_is_refused(runtime: Runtime) -> None:
    async with runtime.sessions() as session, session.begin():
        with pytest.raises(InvalidBody, match="65536"):
            record(session, Noted(thing="x" * 70_000, number=1))


async def test_many_events_keep_their_order_within_each_subject(runtime: Runtime, admin: Any) -> None:
    await publish(runtime, *(Noted(thing="ab"[number % 2], number=number) for number in range(2000)))
    await eventually(lambda: admin.xlen(STREAM) == 2000)
    for thing, first in (("a", 0), ("b", 1)):
        of_thing = [event for event in envelopes(admin) if event["data"]["thing"] == thing]
        assert numbers(of_thing) == list(range(first, 2000, 2))
        assert [event["sequence"] for event in of_thing] == [str(n) for n in range(1, 1001)]


async def test_sequence_rises_in_the_order_of_commits_under_concurrent_writers(runtime: Runtime, admin: Any) -> None:
    async def write(writer: int) -> None:
        for number in range(20):
            async with runtime.sessions() as session, session.begin():
                record(session, Noted(thing="shared", number=writer * 1000 + number))
                record(session, Noted(thing=str(writer), number=number))
                await asyncio.sleep(0)

    await asyncio.gather(*(write(writer) for writer in range(10)))
    await eventually(lambda: admin.xlen(STREAM) == 400)
    shared = [event for event in envelopes(admin) if event["data"]["thing"] == "shared"]
    assert [int(event["sequence"]) for event in shared] == list(range(1, 201))
    assert sorted(numbers(shared)) == sorted(writer * 1000 + number for writer in range(10) for number in range(20))
    for writer in range(10):
        assert numbers(envelopes(admin), str(writer)) == list(range(20))


async def test_writers_of_the_same_subjects_in_opposite_order_do_not_deadlock(runtime: Runtime, admin: Any) -> None:
    async def write(things: str) -> None:
        for number in range(40):
            await publish(runtime, *(Noted(thing=thing, number=number) for thing in things))

    await asyncio.gather(write("abcdef"), write("fedcba"), write("cafebd"))
    await eventually(lambda: admin.xlen(STREAM) == 3 * 40 * 6)
    assert all(sorted(numbers(envelopes(admin), thing)) == sorted([*range(40)] * 3) for thing in "abcdef")


async def test_a_transaction_that_commits_late_is_not_passed_over(runtime: Runtime, admin: Any) -> None:
    late = runtime.sessions()
    async with late, late.begin():
        await late.execute(outbox.insert().values(subject="late", sequence=1, envelope={"data": {"thing": "late", "number": 0}}))
        await publish_each(runtime, "early", [1])
        await eventually(lambda: admin.xlen(STREAM) == 1)
    await eventually(lambda: admin.xlen(STREAM) == 2)
    assert [event["data"]["thing"] for event in envelopes(admin)] == ["early", "late"]


async def test_two_drainers_publish_each_event_once_and_in_order(settings: Settings, admin: Any) -> None:
    async with processes(settings, 2) as both:
        await asyncio.gather(*(publish_each(both[n % 2], f"t{n}", range(40)) for n in range(8)))
        await eventually(lambda: admin.xlen(STREAM) == 320)
        await asyncio.sleep(0.3)
        assert admin.xlen(STREAM) == 320
        for n in range(8):
            assert numbers(envelopes(admin), f"t{n}") == list(range(40))


async def test_the_second_drainer_takes_over_and_before_that_passes_on_what_it_hears(city: City, settings: Settings, admin: Any) -> None:
    async with processes(settings, 1) as (first,):
        await publish_each(first, "x", [1])
        await eventually(lambda: admin.xlen(STREAM) == 1)
        async with processes(settings, 1) as (second,):
            await asyncio.sleep(0.2)
            await publish_each(second, "x", [2])
            assert await eventually(lambda: admin.xlen(STREAM) == 2) < 0.5, "not by the poll, which comes once a second"
            city.sql(settings, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '430300/probe drainer'", role="app")
            await publish_each(first, "x", [3])
            await publish_each(second, "x", [4])
            await eventually(lambda: admin.xlen(STREAM) == 4)
    assert numbers(envelopes(admin)) == [1, 2, 3, 4]


async def test_an_emptied_redis_is_filled_again_in_order_without_a_new_connection(runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", range(5))
    await eventually(lambda: admin.xlen(STREAM) == 5)
    before = admin.get(EPOCH)
    admin.flushdb()
    await publish_each(runtime, "x", [5])
    await eventually(lambda: admin.xlen(STREAM) == 6)
    assert numbers(envelopes(admin)) == list(range(6))
    assert admin.get(EPOCH) not in (None, before)


async def test_an_emptied_redis_is_filled_again_though_nothing_new_is_said(runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", range(5))
    await eventually(lambda: admin.xlen(STREAM) == 5)
    admin.flushdb()
    admin.xgroup_create(STREAM, "reader", "0", mkstream=True)  # as consumers do that find no stream
    await eventually(lambda: admin.xlen(STREAM) == 5)
    assert numbers(envelopes(admin)) == list(range(5))


async def test_what_redis_lost_at_the_end_of_the_stream_is_published_again(runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", range(6))
    await eventually(lambda: admin.xlen(STREAM) == 6)
    kept = admin.xrange(STREAM)[:4]
    epoch = admin.get(EPOCH)
    with admin.pipeline() as restore:  # as after a start with an old snapshot
        restore.delete(STREAM)
        for entry, fields in kept:
            restore.xadd(STREAM, fields, id=entry)
        restore.execute()
    await publish_each(runtime, "x", [6])
    await eventually(lambda: admin.xlen(STREAM) == 7)
    assert numbers(envelopes(admin)) == list(range(7))
    assert admin.get(EPOCH) == epoch


async def test_a_drainer_that_somebody_overtook_appends_nothing_before_it_has_looked(runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", [1])
    await eventually(lambda: admin.xlen(STREAM) == 1)
    admin.xadd(STREAM, {"event": '{"data": {"thing": "stranger", "number": 0}}'})
    await publish_each(runtime, "x", [2])
    await eventually(lambda: admin.xlen(STREAM) == 3)
    assert numbers(envelopes(admin), "x") == [1, 2]


async def test_an_event_has_arrived_when_the_hub_has_acknowledged_it(runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", range(3))
    await eventually(lambda: admin.xlen(STREAM) == 3)
    admin.xgroup_create(STREAM, "hub", id="0")
    ((_, entries),) = admin.xreadgroup("hub", "hub", {STREAM: ">"}, count=2)
    admin.xack(STREAM, "hub", entries[0][0])

    async def arrived() -> list[bool]:
        return [row.acknowledged_at is not None for row in await rows(runtime, outbox.c.acknowledged_at)]

    for _ in range(40):
        await asyncio.sleep(0.05)
        if any(await arrived()):
            break
    assert await arrived() == [True, False, False]


async def test_the_stream_is_trimmed_only_below_the_slowest_group(runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", range(10))
    await eventually(lambda: admin.xlen(STREAM) == 10)
    ids = [entry for entry, _ in admin.xrange(STREAM)]
    for group, done in (("hub", 10), ("slow", 4)):
        admin.xgroup_create(STREAM, group, id="0")
        admin.xreadgroup(group, group, {STREAM: ">"}, count=7 if group == "slow" else 10)
        admin.xack(STREAM, group, *ids[:done])
    await eventually(lambda: admin.xlen(STREAM) == 6)
    admin.xgroup_destroy(STREAM, "slow")
    await asyncio.sleep(0.5)
    assert admin.xlen(STREAM) == 6, "a group that was there lately must find all that is kept"
    admin.xgroup_create(STREAM, "slow", id="0")
    admin.xreadgroup("slow", "slow", {STREAM: ">"})
    admin.xack(STREAM, "slow", *ids)
    await eventually(lambda: admin.xlen(STREAM) == 0)
    await publish_each(runtime, "x", [10])
    await eventually(lambda: numbers(envelopes(admin)) == [10])


async def test_the_stream_is_not_trimmed_before_the_hub_reads_it(runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", range(3))
    await eventually(lambda: admin.xlen(STREAM) == 3)
    admin.xgroup_create(STREAM, "food", id="$")
    await asyncio.sleep(0.5)
    assert admin.xlen(STREAM) == 3


async def test_rows_are_kept_a_week_and_until_they_have_arrived(city: City, settings: Settings, runtime: Runtime, admin: Any) -> None:
    await publish_each(runtime, "x", range(4))
    await eventually(lambda: admin.xlen(STREAM) == 4)
    old = timedelta(days=8)
    city.sql(settings, "UPDATE outbox SET recorded_at = recorded_at - $1::interval WHERE sequence IN (1, 2)", old)
    city.sql(settings, "UPDATE outbox SET acknowledged_at = now() WHERE sequence IN (2, 3)")
    await eventually(lambda: len(city.sql(settings, "SELECT FROM outbox")) == 3)
    await asyncio.sleep(0.3)
    assert [row.sequence for row in await rows(runtime, outbox.c.sequence)] == [1, 3, 4]


async def test_a_lost_database_session_is_mended_and_nothing_is_lost(city: City, settings: Settings, runtime: Runtime, admin: Any) -> None:
    async def terminate() -> None:
        for _ in range(5):
            await asyncio.sleep(0.05)
            city.sql(settings, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '430300/probe drainer'", role="app")

    await asyncio.gather(publish_each(runtime, "x", range(100)), terminate())
    await eventually(lambda: len(set(numbers(envelopes(admin)))) == 100)
    first_seen = list(dict.fromkeys(numbers(envelopes(admin))))
    assert first_seen == list(range(100)), "repetitions may follow, but the first of each is in order"


async def test_while_redis_refuses_events_wait_and_readiness_says_so(city: City, settings: Settings, runtime: Runtime, admin: Any) -> None:
    await eventually(lambda: states("430300/probe").get("outbox") == "ok")
    admin.acl_setuser("probe-publish", enabled=False)
    admin.client_kill_filter(_type="normal", skipme=True)
    await publish_each(runtime, "x", range(3))
    await eventually(lambda: states("430300/probe")["outbox"].startswith("waiting"))
    assert admin.xlen(STREAM) == 0
    admin.acl_setuser("probe-publish", enabled=True)
    await eventually(lambda: admin.xlen(STREAM) == 3)
    await eventually(lambda: states("430300/probe")["outbox"] == "ok")


async def test_redis_users_can_only_do_their_part(city: City, settings: Settings, admin: Any) -> None:
    assert settings.redis_publish_url and settings.redis_consume_url
    admin.xadd(STREAM, {"event": "{}"})
    with Redis.from_url(settings.redis_publish_url.get_secret_value()) as publisher, Redis.from_url(settings.redis_consume_url.get_secret_value()) as consumer:
        publisher.xadd(STREAM, {"event": "{}"})
        consumer.xgroup_create(STREAM, "probe", id="0")
        refused = [
            lambda: publisher.xadd("events:430300/food", {"event": "{}"}),
            lambda: publisher.xreadgroup("probe", "probe", {STREAM: ">"}),
            lambda: publisher.delete(STREAM),
            lambda: consumer.xadd(STREAM, {"event": "{}"}),
            lambda: consumer.xadd("events:430300/food", {"event": "{}"}),
            lambda: consumer.xtrim(STREAM, maxlen=0),
            lambda: consumer.xgroup_destroy(STREAM, "probe"),
            lambda: consumer.set(EPOCH, "forged"),
            lambda: consumer.xreadgroup("probe", "probe", {"events:430100/food": ">"}),
            lambda: publisher.execute_command("EVAL", "return 1", 0),
            lambda: consumer.keys("*"),
        ]
        for attempt in refused:
            with pytest.raises(NoPermissionError):
                attempt()


async def test_a_batch_of_events_costs_one_statement(runtime: Runtime) -> None:
    async with runtime.sessions() as session, session.begin():
        record_all(session, [Noted(thing=str(n % 50), number=n) for n in range(1000)])
    async with runtime.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(outbox))).scalar_one() == 1000
