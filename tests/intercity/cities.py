"""Two cities, each with a hub, a fire service and a gateway on loopback ports, that have registered each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from services.hub.catalog.heartbeat import listen
from services.intercity.messages.client import new_message
from services.intercity.messages.wire import Message, read
from services.intercity.state import Gateway
from shared.testing import Issuer
from tests.city import City
from tests.services import Served, served, until

NORTH, SOUTH = "430100", "430300"
WRITE = "intercity:read intercity:write"
START = datetime(2026, 11, 1, tzinfo=UTC)
KINDS = ("structure_fire", "medical", "rescue")
FIELDS = ["id", "kind", "received_at", "area", "units"]
CALLS = """
    INSERT INTO calls (id, registry, number, kind, priority, received_at, area, lon, lat, units, response_s, recorded_by)
    SELECT $1 || lpad(i::text, 4, '0'), 'test', i::text, (ARRAY['structure_fire', 'medical', 'rescue'])[1 + i % 3], 'emergency',
        '2026-11-01 00:00+00'::timestamptz + i * interval '7 minutes', $2 || (ARRAY['02', '04', '21'])[1 + i % 3], 112.9, 27.8, 1 + i % 4, 100.5 + i, 'test'
    FROM generate_series(0, $3 - 1) i
"""
AREAS = """
    INSERT INTO areas (code, level, name_en, kind, province, city, district, recorded_by)
    SELECT code, CASE length(code) WHEN 4 THEN 'city' ELSE 'district' END, code, 'administrative', left(code, 2), left(code, 4),
        CASE WHEN length(code) = 6 THEN code END, 'test'
    FROM unnest(ARRAY['4301', '430102', '430104', '430121', '4303', '430302', '430304', '430321']) AS code
"""


def grant(**changed: Any) -> dict[str, Any]:
    """Structure fires of fire.calls: records and aggregates."""
    dataset: dict[str, Any] = {"id": "fire.calls", "fields": FIELDS, "filter": "kind <> 'medical'", "operations": ["records", "aggregate"]}
    given: dict[str, Any] = {name: changed.pop(name) for name in ("rate_per_minute", "rows_per_answer", "onward", "warnings") if name in changed}
    return {"datasets": [dataset | changed], "rate_per_minute": 5000, **given}


@dataclass
class TwoCities:
    city: City
    north: Served
    south: Served
    province: Issuer
    """Whose hub 430000/hub both cities' hubs answer as their superior."""

    def gateway(self, code: str) -> Gateway:
        found: Gateway = self.of(code).apps["intercity"].state.runtime.own
        return found

    def of(self, code: str) -> Served:
        return self.north if code == NORTH else self.south

    async def officer(self, code: str, method: str, path: str, body: Any = None, *, fails: int | None = None) -> Any:
        """What an officer of a city asks of its gateway."""
        served_city = self.of(code)
        answer = await served_city.clients["intercity"].request(method, path, json=body, headers=served_city.headers("intercity", WRITE))
        assert answer.status_code == fails if fails else answer.is_success, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def register(self) -> None:
        """Both officers register the other city, its fingerprint read out over the telephone."""
        for here, there in ((NORTH, SOUTH), (SOUTH, NORTH)):
            identity = (await self.of(there).clients["intercity"].get("/identity")).json()
            await self.officer(
                here, "POST", "/peers", {"city": there, "url": self.of(there).url("intercity"), "key": identity["key"], "fingerprint": identity["spoken"]}
            )

    async def agree(self, *, give: dict[str, Any] | None = None, take: dict[str, Any] | None = None, **changed: Any) -> str:
        """The north proposes, the south signs; the agreement's id, in force on both sides."""
        proposal = {"peer": SOUTH, "give": give, "take": take, "purposes": ["operations", "analysis"], "legal_basis": "Decree 809", **changed}
        proposal.setdefault("begins", (datetime.now(UTC) - timedelta(days=1)).isoformat())
        proposal.setdefault("ends", (datetime.now(UTC) + timedelta(days=30)).isoformat())
        made: str = (await self.officer(NORTH, "POST", "/agreements", proposal))["id"]
        await self.state(SOUTH, made, "received")
        await self.officer(SOUTH, "POST", f"/agreements/{made}/sign")
        await self.state(NORTH, made, "in_force")
        return made

    async def meet(self, code: str) -> None:
        """Let a city's hub hear its gateway and then its peer now, instead of at the next heartbeats."""
        runtime = self.of(code).apps["hub"].state.runtime
        for name in (f"{code}/intercity", f"{NORTH if code == SOUTH else SOUTH}/hub"):
            await listen(runtime, runtime.own.registry.sources[name], describe=True)

    async def state(self, code: str, agreement: str, wanted: str) -> None:
        def reached() -> bool:
            rows = self.city.sql(self.of(code).settings["intercity"], "SELECT state FROM agreements WHERE id = $1", agreement)
            return bool(rows) and rows[0]["state"] == wanted

        await until(reached, f"the agreement is not {wanted} in {code}")
        self.gateway(code).agreements.forget()

    def message(
        self, operation: str, payload: bytes, agreement: str | None, *, sender: str = SOUTH, purpose: str | None = "analysis", **changed: Any
    ) -> Message:
        """A message from the south to the north, unless told otherwise."""
        changed.setdefault("expires", datetime.now(UTC) + timedelta(minutes=1))
        recipient = changed.pop("recipient", NORTH if sender == SOUTH else SOUTH)
        return new_message(self.gateway(sender), recipient, operation, payload, agreement=agreement, purpose=purpose, **changed)

    async def post(self, content: bytes, to: str = NORTH) -> httpx.Response:
        return await self.of(to).clients["intercity"].post("/messages", content=content)

    async def told(self, message: Message, to: str = NORTH) -> Message:
        """The answer to a message, which must succeed."""
        answer = await self.post(message.wire, to)
        assert answer.status_code == 200, answer.text
        return read(answer.content)

    def sql(self, code: str, statement: str, *arguments: Any) -> list[Any]:
        return self.city.sql(self.of(code).settings["intercity"], statement, *arguments)


@asynccontextmanager
async def two_cities(city: City, folder: Path, *, calls: tuple[int, int] = (90, 60)) -> AsyncIterator[TwoCities]:
    names = ["hub", "fire", "intercity"]
    province = Issuer("http://127.0.0.1:11")
    trusting = {"hub": {"superiors": {"430000/hub": {"issuer": province.url, "keys": province.trust()["keys"]}}}}
    async with AsyncExitStack() as stack:
        north = await stack.enter_async_context(served(city, folder, names, code=NORTH, overrides=trusting))
        south = await stack.enter_async_context(served(city, folder, names, code=SOUTH, overrides=trusting))
        for there, prefix, count in ((north, "n", calls[0]), (south, "s", calls[1])):
            city.sql(there.settings["fire"], AREAS)
            city.sql(there.settings["fire"], CALLS, prefix, there.code[:4], count)
        found = TwoCities(city, north, south, province)
        await found.register()
        yield found
