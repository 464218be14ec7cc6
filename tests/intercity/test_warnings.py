"""Warnings cross the border: signed, believed only of trusted issuers, acknowledged, sent again until they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.intercity.warnings.handlers import send_to_recipients
from shared.cap import Alert, Area, Info, Parameter, build
from shared.client import Answer
from shared.events.hub import WarningIssued
from shared.events.model import CloudEvent
from tests.intercity.cities import NORTH, SOUTH, TwoCities
from tests.services import until

SENDER = "hub@430100"
NOW = datetime.now(UTC).replace(microsecond=0)
ALERT = Alert(
    identifier="43010041600000_20261122080000",
    sender=SENDER,
    sent=NOW,
    status="Actual",
    kind="Alert",
    scope="Public",
    infos=(
        Info(
            event="chlorine release",
            categories=("CBRNE",),
            urgency="Immediate",
            severity="Extreme",
            certainty="Observed",
            language="zh-CN",
            headline="氯气泄漏红色预警",
            expires=NOW + timedelta(hours=6),
            areas=(Area(description="长沙", geocodes=(Parameter("GB/T 2260", "430102"),)),),
        ),
        Info(
            event="chlorine release",
            categories=("CBRNE",),
            urgency="Immediate",
            severity="Extreme",
            certainty="Observed",
            language="en-US",
            headline="Red warning: chlorine release",
            expires=NOW + timedelta(hours=6),
            areas=(Area(description="Changsha", geocodes=(Parameter("GB/T 2260", "430102"),)),),
        ),
    ),
)

RING = ((112.9, 27.8), (113.0, 27.8), (113.0, 27.9), (112.9, 27.8))


class Warned:
    """The north issues warnings; the south has agreed to be warned, and trusts the north's hub for its own area."""

    def __init__(self, cities: TwoCities) -> None:
        self.cities = cities
        self.documents: dict[str, bytes] = {}

    async def issue(self, warning: str, alert: Alert) -> str:
        """Issued by the north's hub, with the south among its recipients; the id of the delivery."""
        self.documents[warning] = build(alert)
        runtime = self.cities.gateway(NORTH).runtime
        event = WarningIssued(
            warning=warning,
            identifier=alert.identifier,
            sender=alert.sender,
            sent=alert.sent,
            status="Actual",
            kind="Alert",
            headline_zh="氯气泄漏",
            headline_en="Chlorine",
            expires=NOW + timedelta(hours=6),
            recipients=[SOUTH, NORTH],
        )
        envelope = CloudEvent(id=warning, source="/430100/hub", type=event.type, subject=event.subject, time=NOW, sequence="1", data=event.data())
        for _ in range(2):
            async with runtime.sessions() as session, session.begin():
                session.info["runtime"] = runtime
                await send_to_recipients(envelope, event, session)
        rows = self.cities.sql(NORTH, "SELECT id FROM deliveries WHERE subject = $1", warning)
        assert len(rows) == 1, "an event that comes twice is delivered once, and never to ourselves"
        found: str = rows[0]["id"]
        return found

    def delivery(self, message: str) -> Any:
        return self.cities.sql(NORTH, "SELECT * FROM deliveries WHERE id = $1", message)[0]

    async def becomes(self, message: str, state: str) -> Any:
        await until(lambda: self.delivery(message)["state"] == state, f"{message} is not {state}: {self.delivery(message)}")
        return self.delivery(message)

    def received(self, identifier: str) -> list[Any]:
        return self.cities.sql(SOUTH, "SELECT * FROM warnings WHERE identifier = $1", identifier)


@pytest.fixture(scope="module")
async def warned(cities: TwoCities) -> AsyncIterator[Warned]:
    await cities.agree(give={"warnings": True})
    trusted = {"peer": NORTH, "sender": SENDER, "events": ["*"], "areas": ["4301"]}
    answer = await cities.south.clients["intercity"].put("/warnings/issuers", json=trusted, headers=cities.south.headers("intercity", "intercity:write"))
    assert answer.status_code == 200, answer.text
    made = Warned(cities)
    calls = cities.gateway(NORTH).runtime.calls
    original = calls.ask

    async def from_the_hub(service: str, path: str, **rest: Any) -> Answer:
        warning = path.removeprefix("/warnings/").removesuffix(".xml")
        return Answer(200, httpx.Headers(), made.documents[warning], 1) if warning in made.documents else await original(service, path, **rest)

    calls.ask = from_the_hub  # type: ignore[method-assign]  # the hub's documents, without a hub that issues them
    yield made
    calls.ask = original  # type: ignore[method-assign]


async def test_a_warning_crosses_byte_for_byte_and_is_acknowledged(warned: Warned) -> None:
    message = await warned.issue("01W1", ALERT)
    await warned.becomes(message, "answered")
    found = warned.received(ALERT.identifier)[0]
    assert (found["origin"], found["status"], found["level"], found["area"]) == (NORTH, "Actual", 1, "430102")
    assert (found["headline_zh"], found["headline_en"]) == ("氯气泄漏红色预警", "Red warning: chlorine release")
    cities = warned.cities
    headers = cities.south.headers("intercity", "intercity:read")
    document = await cities.south.clients["intercity"].get(f"/warnings/received/{found['id']}.xml", headers=headers)
    assert document.content == warned.documents["01W1"]
    elsewhere = cities.south.headers("intercity", "intercity:read", areas=["430302"])
    hidden = await cities.south.clients["intercity"].get(f"/warnings/received/{found['id']}.xml", headers=elsewhere)
    listed = await cities.south.clients["intercity"].get("/warnings/received", headers=elsewhere)
    assert (hidden.status_code, listed.json()) == (404, []), "what lies outside the areas of a token does not exist for it"
    assert ALERT.identifier in {one["identifier"] for one in await cities.officer(SOUTH, "GET", "/warnings/received")}
    told = "SELECT envelope->'data' AS data, envelope->>'warninglevel' AS level FROM outbox WHERE envelope->>'type' = $1"
    assert any(ALERT.identifier in row["data"] and row["level"] == "I" for row in cities.sql(SOUTH, told, "intercity.warning.received.v1"))
    assert any("01W1" in row["data"] for row in cities.sql(NORTH, told, "intercity.warning.acknowledged.v1"))


async def test_an_exercise_stays_one_and_comes_once(warned: Warned) -> None:
    exercise = replace(ALERT, identifier="43010041600000_20261122090000", status="Exercise", note="drill")
    await warned.becomes(await warned.issue("01W2", exercise), "answered")
    await warned.becomes(await warned.issue("01W3", exercise), "answered")
    assert [row["status"] for row in warned.received(exercise.identifier)] == ["Exercise"]
    other = replace(exercise, note="other words under the same identifier")
    refused = await warned.becomes(await warned.issue("01W4", other), "refused")
    assert "warning-conflict" in refused["problem"]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("sender", {"sender": "somebody@430100"}),
        ("polygon", {"infos": tuple(replace(info, areas=(*info.areas, Area(description="x", polygons=(RING,)))) for info in ALERT.infos)}),
        ("area", {"infos": tuple(replace(info, areas=(Area(description="x", geocodes=(Parameter("GB/T 2260", "430302"),)),)) for info in ALERT.infos)}),
    ],
)
async def test_issuers_are_believed_for_what_they_are_trusted_for(warned: Warned, name: str, changed: dict[str, Any]) -> None:
    doubtful = replace(ALERT, identifier=f"4301004160000{len(name)}_20261122100000", **changed)
    message = await warned.issue(f"01X{name}", doubtful)
    await until(lambda: warned.delivery(message)["attempts"] > 0 or warned.delivery(message)["state"] == "refused", "nothing was tried")
    assert warned.received(doubtful.identifier) == []


async def test_a_warning_arrives_once_its_issuer_is_trusted(warned: Warned) -> None:
    """The refusal burns no id: the same bytes are taken as soon as an officer has believed the issuer."""
    unknown = replace(ALERT, identifier="43010041600000_20261122130000", sender="430100/newcomer")
    message = await warned.issue("01W7", unknown)
    await until(lambda: warned.delivery(message)["attempts"] > 0, "nothing was tried")
    assert (warned.delivery(message)["state"], warned.received(unknown.identifier)) == ("waiting", [])
    await warned.cities.officer(SOUTH, "PUT", "/warnings/issuers", {"peer": NORTH, "sender": unknown.sender, "events": ["*"], "areas": ["4301"]})
    await warned.becomes(message, "answered")
    assert len(warned.received(unknown.identifier)) == 1


async def test_it_is_sent_again_until_the_peer_has_it(warned: Warned) -> None:
    cities = warned.cities
    await cities.officer(SOUTH, "POST", f"/peers/{NORTH}/suspend", {"reason": "a test"})
    later = replace(ALERT, identifier="43010041600000_20261122110000")
    message = await warned.issue("01W5", later)
    await until(lambda: warned.delivery(message)["attempts"] > 0, "nothing was tried")
    wire = bytes(warned.delivery(message)["wire"])
    assert (warned.delivery(message)["state"], warned.received(later.identifier)) == ("waiting", [])
    await cities.officer(SOUTH, "POST", f"/peers/{NORTH}/resume")
    await warned.becomes(message, "answered")
    assert bytes(warned.delivery(message)["wire"]) == wire, "the same bytes each time"
    assert len(warned.received(later.identifier)) == 1


async def test_a_proxy_in_between_refuses_nothing_for_good(warned: Warned) -> None:
    async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    cities = warned.cities
    async with await asyncio.start_server(wrong, "127.0.0.1", 0) as proxy:
        cities.sql(NORTH, "UPDATE peers SET url = $2 WHERE city = $1", SOUTH, f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        cities.gateway(NORTH).peers.forget()
        try:
            message = await warned.issue("01W8", replace(ALERT, identifier="43010041600000_20261122140000"))
            await until(lambda: warned.delivery(message)["attempts"] > 0, "nothing was tried")
            assert warned.delivery(message)["state"] == "waiting"
        finally:
            cities.sql(NORTH, "UPDATE peers SET url = $2 WHERE city = $1", SOUTH, cities.south.url("intercity"))
            cities.gateway(NORTH).peers.forget()
    await warned.becomes(message, "answered")


async def test_a_warning_crosses_an_air_gap_as_a_file(warned: Warned) -> None:
    cities = warned.cities
    cities.sql(NORTH, "UPDATE peers SET url = 'http://127.0.0.1:9' WHERE city = $1", SOUTH)
    cities.gateway(NORTH).peers.forget()
    try:
        carried = replace(ALERT, identifier="43010041600000_20261122120000")
        message = await warned.issue("01W6", carried)
        await until(lambda: warned.delivery(message)["wire"] is not None, "it was not signed")
        file = await cities.north.clients["intercity"].get(f"/messages/{message}.jws", headers=cities.north.headers("intercity", "intercity:read"))
        assert (await cities.post(file.content, to=SOUTH)).status_code == 200
        answer = await cities.south.clients["intercity"].get(f"/messages/{message}.jws", headers=cities.south.headers("intercity", "intercity:read"))
        assert (await cities.post(answer.content, to=NORTH)).status_code == 200
        assert (await cities.post(answer.content, to=NORTH)).status_code == 200
        assert warned.delivery(message)["state"] == "answered"
        assert len(warned.received(carried.identifier)) == 1
    finally:
        cities.sql(NORTH, "UPDATE peers SET url = $2 WHERE city = $1", SOUTH, cities.south.url("intercity"))
        cities.gateway(NORTH).peers.forget()
