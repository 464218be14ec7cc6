"""A province over two cities over their sectors: three hubs and six services on loopback ports, each administration with an issuer of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from ops.launching import free_port
from ops.secretfiles import private_folder, write_private_json
from services.hub.catalog.heartbeat import listen
from shared.testing import Issuer
from tests.city import City
from tests.hub.federation.liar import Liar, lying
from tests.hub.federation.sectors import Federation, calls, federation, readings, sector

PROVINCE, NORTH, SOUTH = "430000", "430100", "430300"
Rows = list[dict[str, Any]]


def northern(rows: Rows) -> Rows:
    """The same rows in the districts of the northern city."""
    return [{**row, "area": row["area"].replace("4303", "4301")} for row in rows]


ROWS: dict[str, Rows] = {
    f"{NORTH}/brigade": northern(calls("n", 120)),
    f"{SOUTH}/brigade": calls("s", 90),
    f"{SOUTH}/harbour": calls("h", 60),
    f"{NORTH}/air": northern(readings(40)),
    f"{SOUTH}/air": readings(55),
}
"""What each leaf holds."""


@dataclass
class Levels:
    """The three hubs; `harbour` stands before that sector and may spoil its answers."""

    issuer: Issuer
    province: Federation
    north: Federation
    south: Federation
    harbour: Liar

    def headers(self, *, scope: str = "hub:query", **claims: Any) -> dict[str, str]:
        """Somebody at the province."""
        claims.setdefault("clearance", {"grade": "important", "personal": "none"})
        return {"Authorization": f"Bearer {self.issuer.token(f'{PROVINCE}/hub', scope=scope, **claims)}"}

    async def get(self, path: str, **claims: Any) -> httpx.Response:
        return await self.province.client.get(path, headers=self.headers(**claims))

    async def ask(self, question: dict[str, Any], **claims: Any) -> dict[str, Any]:
        """The answer to an aggregate at the province, which must succeed."""
        answer = await self.province.client.post("/aggregate", json={"deadline_ms": 20_000, **question}, headers=self.headers(**claims))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def meet(self) -> None:
        """Let each hub hear its sources, from the lowest level upwards."""
        for hub in (self.north, self.south, self.province):
            await hub.meet()

    async def hear(self, hub: Federation, name: str) -> None:
        await listen(hub.app.state.runtime, hub.source(name), describe=True)


def trust(issuer: Issuer, *, pinned: bool, **bounds: Any) -> dict[str, Any]:
    """A hub of this issuer as superior; keys that are not pinned are fetched from it."""
    return {"issuer": issuer.url, **({"keys": issuer.trust()["keys"]} if pinned else {}), **bounds}


@asynccontextmanager
async def three_levels(city: City, folder: Path) -> AsyncIterator[Levels]:
    port = free_port()
    issuer = Issuer(f"http://127.0.0.1:{port}")
    write_private_json(private_folder(folder / "signing") / f"{issuer.key.kid}.jwk", issuer.signing_key())
    held = {leaf: rows for leaf, rows in ROWS.items() if leaf != f"{SOUTH}/harbour"}
    of: dict[str, dict[str, Sequence[dict[str, Any]]]] = {
        code: {leaf.partition("/")[2]: rows for leaf, rows in held.items() if leaf.startswith(code)} for code in (NORTH, SOUTH)
    }
    bounds = {"areas": ["4303"], "grade": "important"}
    async with AsyncExitStack() as stack:
        _, harbour_url, _ = await stack.enter_async_context(sector(city, "harbour", ROWS[f"{SOUTH}/harbour"]))
        harbour = await stack.enter_async_context(lying(harbour_url))
        north = await stack.enter_async_context(
            federation(city, of[NORTH], code=NORTH, superiors={f"{PROVINCE}/hub": trust(issuer, pinned=True, grade="important")})
        )
        south = await stack.enter_async_context(
            federation(city, of[SOUTH], {f"{SOUTH}/harbour": harbour.url}, superiors={f"{PROVINCE}/hub": trust(issuer, pinned=False, **bounds)})
        )
        below = {f"{NORTH}/hub": str(north.client.base_url).rstrip("/"), f"{SOUTH}/hub": str(south.client.base_url).rstrip("/")}
        own = {"issuer": issuer.url, "signing_keys": folder / "signing", "superiors": {f"{SOUTH}/hub": trust(city.issuer, pinned=True)}}
        province = await stack.enter_async_context(federation(city, {}, below, code=PROVINCE, port=port, **own))
        yield Levels(issuer, province, replace(north), replace(south), harbour)
