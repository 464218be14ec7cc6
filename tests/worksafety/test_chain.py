"""From a reported release through the environment service to the on-site card, over the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from services.env.app import service as env
from shared.service import create_app
from shared.testing import running
from tests.worksafety.conftest import AREAS, SITE, Safety

Found = dict[str, Any]


async def _until(ask: Callable[[], Awaitable[Found]], reached: Callable[[Found], Any]) -> Found:
    for _ in range(500):
        if reached(found := await ask()):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not reached: {found}")


async def test_a_reported_release_is_outlined_shown_on_the_card_and_lifted(safety: Safety) -> None:
    settings = safety.city.settings("env")
    safety.city.sql(settings, AREAS)
    async with running(create_app(env, settings)) as outlining:
        await safety.depot()
        made = await safety.send("/releases", {"site": "430300:S1", "cas": "7782-50-5", "rate_kg_s": 0.8}, 201)

        async def release() -> Found:
            found: Found = await safety.get(f"/releases/{made['id']}")
            return found

        first = (await _until(release, lambda found: found["outline"]))["outline"]
        assert first["revision"] == 1
        assert await _outline(safety, outlining, made["id"]) == first["geometry"]
        await safety.send(f"/releases/{made['id']}", {"amount_kg": 50_000})
        second = (await _until(release, lambda found: found["outline"]["revision"] == 2))["outline"]
        assert second["isolation_m"] > first["isolation_m"]
        card = await safety.get("/on-site-card", lon=SITE[0], lat=SITE[1])
        assert [(shown["release"], shown["outline"]["revision"]) for shown in card["releases"]] == [(made["id"], 2)]
        await safety.send(f"/releases/{made['id']}/conclude", {})
        assert (await _until(release, lambda found: found["outline"]["lifted_at"]))["ended_at"]
        assert (await safety.get("/on-site-card", lon=SITE[0], lat=SITE[1]))["releases"] == []


async def _outline(safety: Safety, client: httpx.AsyncClient, release: str) -> Any:
    answer = await client.get("/outlines", params={"release": release}, headers=safety.city.headers("env", scope="env:read"))
    return answer.json()["outlines"][0]["geometry"]
