"""A hostile peer: each kind of message that must be refused has its own problem, is in the log, and nothing is read for it."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.intercity.agreements.domain import fields_named
from services.intercity.agreements.reading import Agreement
from services.intercity.agreements.schemas import Grant
from services.intercity.messages.client import new_message
from services.intercity.messages.domain import MESSAGE_BYTES
from services.intercity.messages.wire import Message, message_of, read
from services.intercity.peers.keyring import Keyring
from tests.intercity.cities import FIELDS, NORTH, SOUTH, TwoCities, grant

FIRST: dict[str, Any] = {"dataset": "fire.calls", "limit": 5}


@pytest.fixture(scope="module")
async def agreement(cities: TwoCities) -> str:
    return await cities.agree(give=grant(rows_per_answer=50))


@asynccontextmanager
async def asked_of_the_hub(cities: TwoCities) -> AsyncIterator[list[dict[str, Any]]]:
    """What the north's gateway asks its own hub meanwhile."""
    calls = cities.gateway(NORTH).runtime.calls
    asked: list[dict[str, Any]] = []
    original = calls.ask

    async def spy(service: str, path: str, **rest: Any) -> Any:
        asked.append({"path": path, "params": dict(rest.get("params") or ()), "json": rest.get("json")})
        return await original(service, path, **rest)

    calls.ask = spy  # type: ignore[method-assign]  # a spy at the gateway's only way to data
    try:
        yield asked
    finally:
        calls.ask = original  # type: ignore[method-assign]


def last_refusal(cities: TwoCities) -> str | None:
    rows = cities.sql(NORTH, "SELECT problem FROM log_entries WHERE problem IS NOT NULL ORDER BY number DESC LIMIT 1")
    return rows[0]["problem"] if rows else None


async def refused(cities: TwoCities, content: bytes, slug: str, status: int) -> dict[str, Any]:
    """It is refused as it should be, in the log, and nothing was read."""
    cities.gateway(NORTH).told.clear()
    async with asked_of_the_hub(cities) as asked:
        answer = await cities.post(content)
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["type"]) == (status, f"/problems/{slug}"), found
    assert asked == [], "nothing is read for what is refused"
    assert last_refusal(cities) == slug
    return found


def question(**changed: Any) -> bytes:
    return orjson.dumps(FIRST | changed)


async def test_what_cannot_be_read_is_malformed(cities: TwoCities) -> None:
    for content in (b"", b"x\ny", b"a.b.c\n{}", b"." * 20_000, b"eyJhIjoxfQ.eyJhIjoxfQ.AA\n{}"):
        await refused(cities, content, "message-malformed", 400)


async def test_too_large_messages_are_not_read(cities: TwoCities, agreement: str) -> None:
    await refused(cities, cities.message("records", b"x" * MESSAGE_BYTES, agreement).wire, "message-too-large", 413)
    await refused(cities, b"x" * (3 * 1024 * 1024), "message-too-large", 413)


async def test_unknown_cities_and_unconfirmed_keys_are_refused(cities: TwoCities, agreement: str, tmp_path: Path) -> None:
    gateway = cities.gateway(SOUTH)
    stranger = Keyring(tmp_path / "stranger")
    own, gateway.keys = gateway.keys, stranger
    try:
        forged = cities.message("records", question(), agreement)
    finally:
        gateway.keys = own
    await refused(cities, forged.wire, "signature-invalid", 403)
    gateway.runtime.__dict__["settings"], settings = gateway.runtime.settings.model_copy(update={"city": "999999"}), gateway.runtime.settings
    try:
        foreign = new_message(gateway, NORTH, "records", question(), agreement=agreement, purpose="analysis", expires=datetime.now(UTC) + timedelta(minutes=1))
    finally:
        gateway.runtime.__dict__["settings"] = settings
    await refused(cities, foreign.wire, "unknown-peer", 403)


async def test_altered_messages_are_refused(cities: TwoCities, agreement: str) -> None:
    message = cities.message("records", question(), agreement)
    await refused(cities, message.wire.replace(b'"limit":5', b'"limit":9'), "signature-invalid", 403)
    head, body, signature = message.signed.split(".")
    envelope = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).replace(b"analysis", b"elephant")
    altered = f"{head}.{base64.urlsafe_b64encode(envelope).decode().rstrip('=')}.{signature}"
    await refused(cities, altered.encode() + b"\n" + message.payload, "signature-invalid", 403)
    answer = await cities.post(message.wire)
    assert answer.status_code == 200, "what others altered has not burnt the id"


async def test_replayed_messages_get_the_same_answer_and_nothing_more(cities: TwoCities, agreement: str) -> None:
    message = cities.message("records", question(), agreement)
    first = await cities.post(message.wire)
    async with asked_of_the_hub(cities) as asked:
        again = await cities.post(message.wire)
        assert (again.status_code, again.content) == (200, first.content)
        assert asked == []
    other = cities.message("records", question(limit=6), agreement, id_=message.envelope.id)
    await refused(cities, other.wire, "message-replayed", 409)


async def test_messages_for_others_or_another_time_are_refused(cities: TwoCities, agreement: str) -> None:
    await refused(cities, cities.message("records", question(), agreement, recipient="430200").wire, "foreign-recipient", 421)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await refused(cities, cities.message("records", question(), agreement, expires=past).wire, "message-expired", 400)
    distant = datetime.now(UTC) + timedelta(days=30)
    await refused(cities, cities.message("records", question(), agreement, expires=distant).wire, "message-expired", 400)


async def test_without_an_agreement_nothing_is_answered(cities: TwoCities, agreement: str) -> None:
    for named in (None, "0" * 64):
        await refused(cities, cities.message("records", question(), named).wire, "agreement-not-in-force", 403)
    over = await cities.agree(give=grant(), ends=(datetime.now(UTC) + timedelta(seconds=60)).isoformat())
    await cities.officer(NORTH, "POST", f"/agreements/{over}/end", {"reason": "no longer needed"})
    await refused(cities, cities.message("records", question(), over).wire, "agreement-not-in-force", 403)
    await cities.state(SOUTH, over, "ended")


async def test_other_purposes_are_refused(cities: TwoCities, agreement: str) -> None:
    await refused(cities, cities.message("records", question(), agreement, purpose="marketing").wire, "purpose-not-agreed", 403)


@pytest.mark.parametrize(
    ("operation", "payload"),
    [
        ("records", question(properties=["id", "response_s"])),
        ("records", question(filter={"op": ">", "args": [{"property": "response_s"}, 1]})),
        ("records", question(sortby=[{"field": "lon"}])),
        ("records", question(bbox="112,27,113,28")),
        ("records", question(dataset="fire.responses")),
        ("records", question(after=["i1", "sx", "sy"])),
        ("aggregate", orjson.dumps({"dataset": "fire.calls", "question": {"measures": {"a": {"fn": "avg", "field": "response_s"}}}})),
        ("aggregate", orjson.dumps({"dataset": "fire.calls", "question": {"measures": {"a": {"fn": "quantile", "field": "units", "q": 0.5}}}})),
        ("aggregate", orjson.dumps({"dataset": "fire.calls", "question": {"measures": {"a": {"fn": "count"}}, "by": {"n": "number"}}})),
        ("everything", question()),
    ],
)
async def test_what_is_outside_the_agreement_is_never_read(cities: TwoCities, agreement: str, operation: str, payload: bytes) -> None:
    await cities.told(cities.message("describe", b'{"dataset":"fire.calls"}', agreement))
    await refused(cities, cities.message(operation, payload, agreement).wire, "outside-agreement", 400)


async def test_data_of_other_cities_are_not_ours_to_pass_on(cities: TwoCities, agreement: str) -> None:
    await refused(cities, cities.message("records", question(origin="430200"), agreement).wire, "foreign-origin", 403)


async def test_data_go_onward_only_by_every_agreement_in_force(cities: TwoCities, agreement: str) -> None:
    """One that is over, or one of two that says nothing of the recipient, lets nothing pass."""
    gateway = cities.gateway(NORTH)
    known = dict(await gateway.agreements.known())
    now = datetime.now(UTC)

    def third(name: str, ends: datetime, *onward: str) -> Agreement:
        given = Grant.model_validate({"from": "430200", "to": NORTH, "datasets": [grant()["datasets"][0]], "onward": onward})
        document = known[agreement].document.model_copy(
            update={"parties": (NORTH, "430200"), "grants": (given,), "begins": now - timedelta(days=2), "ends": ends}
        )
        return Agreement(name, "430200", "in_force", document, {})

    over, lasting = third("over", now - timedelta(days=1), SOUTH), now + timedelta(days=1)
    for made in ([over], [third("silent", lasting)], [third("one", lasting, SOUTH), third("silent", lasting)]):
        gateway.agreements._known = known | {one.id: one for one in made}  # what is kept in memory for a moment
        await refused(cities, cities.message("records", question(origin="430200"), agreement).wire, "foreign-origin", 403)
    gateway.agreements.forget()


async def test_more_than_the_agreed_rate_waits(cities: TwoCities) -> None:
    slow = await cities.agree(give=grant(rate_per_minute=2))
    for _ in range(2):
        await cities.told(cities.message("records", question(), slow))
    message = cities.message("records", question(), slow)
    await refused(cities, message.wire, "agreed-rate-exceeded", 429)
    answer = await cities.post(message.wire)
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    cities.gateway(NORTH).rates.clear()
    assert (await cities.post(message.wire)).status_code == 200, "a message that came too early has not burnt its id"


async def test_a_refusal_is_signed_as_an_answer_is(cities: TwoCities, agreement: str) -> None:
    message = cities.message("records", question(properties=["lon"]), agreement)
    answer = await cities.post(message.wire)
    signed: Message = message_of(answer.headers["liandong-answer"].encode(), answer.content)
    assert signed.envelope.reply is not None
    assert (signed.envelope.reply.id, signed.envelope.reply.status, signed.envelope.reply.digest) == (message.envelope.id, 400, message.digest)
    again = await cities.post(message.wire)
    assert (again.status_code, again.content) == (400, answer.content)


async def test_a_flood_of_refusals_does_not_fill_the_log(cities: TwoCities) -> None:
    cities.gateway(NORTH).told.clear()
    malformed = "SELECT count(*) FROM log_entries WHERE problem = 'message-malformed'"
    before = cities.sql(NORTH, malformed)[0][0]
    started = time.monotonic()
    for number in range(60):
        await cities.post(b"nonsense %d\n" % number)
    more = (time.monotonic() - started) / 2
    assert 30 <= cities.sql(NORTH, malformed)[0][0] - before <= 31 + more
    events = cities.sql(NORTH, "SELECT count(*) FROM outbox WHERE envelope->>'type' = 'intercity.message.refused.v1'")[0][0]
    assert events > 0


async def test_the_log_cannot_be_changed(cities: TwoCities) -> None:
    for statement in ("UPDATE log_entries SET problem = NULL", "DELETE FROM log_entries", "DELETE FROM log_nodes", "TRUNCATE log_entries"):
        for role in ("app", "owner"):
            with pytest.raises(Exception, match=r"append-only|permission denied"):
                cities.city.sql(cities.north.settings["intercity"], statement, role=role)


async def test_whatever_a_peer_asks_only_agreed_fields_and_rows_are_asked_for_and_answered(cities: TwoCities, agreement: str) -> None:
    chance = random.Random(20261122)
    names = [*FIELDS, "response_s", "lon", "number"]
    shared = {f"n{number:04d}" for number in range(90) if number % 3 != 1}
    answered = 0
    async with asked_of_the_hub(cities) as asked:
        for _ in range(40):
            picked = [chance.choice(names[: chance.choice((5, 8))]) for _ in range(3)]
            condition: Any = {"op": chance.choice(["=", "<", ">", "<>"]), "args": [{"property": picked[0]}, chance.choice(["medical", "rescue", 2])]}
            condition = chance.choice([None, condition, {"op": "not", "args": [condition]}, {"op": "or", "args": [condition, {"op": "=", "args": [1, 1]}]}])
            payload = question(
                properties=chance.choice([None, picked[:2]]),
                filter=condition,
                sortby=chance.choice([[], [{"field": picked[2], "descending": True}]]),
                limit=chance.choice([3, 5000]),
            )
            answer = await cities.post(cities.message("records", payload, agreement).wire)
            if answer.status_code == 200:
                answered += 1
                found = orjson.loads(read(answer.content).payload)
                assert {row["id"] for row in found["features"]} <= shared
                assert all(set(row["properties"]) <= set(FIELDS) and row["geometry"] is None for row in found["features"])
                assert len(found["features"]) <= 50
    assert answered >= 5
    for one in asked:
        if one["path"].endswith("/items"):
            assert set(one["params"]["properties"].split(",")) <= set(FIELDS)
            assert fields_named(orjson.loads(one["params"]["filter"])) <= set(FIELDS)
