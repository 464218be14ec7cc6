"""Makes a furnished city live: a process of its own beside the services, which asks them as any sector's system would."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from ops.demo.crews import HANDLING_S, Task, Unit, next_report, wait_s
from ops.demo.facts import Batch
from ops.demo.happenings import Happening, Life, Request
from ops.demo.measuring import Instruments
from ops.demo.rhythms import gap_s
from ops.demo.sending import ANSWERS_WITHIN_S, Sender
from ops.place import Place
from ops.secretfiles import write_private_json

WEATHER_S, GAS_S, WATER_S, CREWS_S = 30.0, 20.0, 60.0, 5.0
"""Pauses at speed 1. Means over an interval are due when it is over, whatever the speed."""
TRAFFIC_S, AIR_S = 20.0, 60.0
LEAST_PAUSE_S = 0.5
TOLD_EVERY_S = 5.0
MOST_INCIDENTS = 60
"""That crews look after at once; the newest wait."""


class Living:
    """One city's life."""

    def __init__(self, sender: Sender, instruments: Instruments, life: Life, seed: str) -> None:
        self.sender, self.instruments, self.life, self.seed = sender, instruments, life, seed
        self.speed = life.speed
        self._asked: dict[str, datetime] = {}
        """Incidents for which units were asked, while they are open."""

    async def run(self) -> None:
        """All rhythms at once, until cancelled."""
        look = self.instruments
        instants = [(look.weather, WEATHER_S), (look.gas, GAS_S), (look.water, WATER_S)]
        async with asyncio.TaskGroup() as group:
            for read, pause in instants:
                group.create_task(self._every(pause / self.speed, lambda read=read: self._measure(read)))  # type: ignore[misc]  # bound at once
            group.create_task(self._means(look.traffic, TRAFFIC_S))
            group.create_task(self._means(look.air, AIR_S))
            for happening in self.life.happenings():
                group.create_task(self._happens(happening))
            group.create_task(self._every(CREWS_S / self.speed, self._crews))

    async def _every(self, pause_s: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await work()
            await asyncio.sleep(max(LEAST_PAUSE_S, pause_s))

    async def _measure(self, read: Callable[[datetime], Batch]) -> bool:
        """Whether the service took it."""
        batch = read(now())
        return not batch.rows or await self._send(Request(batch.service, batch.method, batch.path, batch.rows)) is not None

    async def _means(self, read: Callable[[datetime, datetime | None], Batch], pause_s: float) -> None:
        """Means over intervals: each once, and those that a service missed as soon as it is back."""
        taken: datetime | None = None
        while True:
            moment = now()
            if await self._measure(lambda _, moment=moment, since=taken: read(moment, since)):  # type: ignore[misc]  # bound at once
                taken = moment
            await asyncio.sleep(pause_s)

    async def _happens(self, happening: Happening) -> None:
        chance = random.Random(f"{self.seed}/{happening.name}")
        await asyncio.sleep(chance.uniform(0, min(20.0, happening.mean_s / 5)) / self.speed)
        while True:
            for request in happening.make(now(), chance):
                await self._send(request)
            await asyncio.sleep(gap_s(chance, happening.mean_s, happening.shape, now()) / self.speed)

    async def _send(self, request: Request) -> Any:
        return await self.sender.send(request) if request.service in self.sender.counts else None

    async def _crews(self) -> None:
        """Dispatch what waits, and let every unit report what it has come to. All is read from the service: a restart forgets nothing."""
        found = await self._items("fire.incidents", "state <> 'closed'", sortby="opened_at", limit=MOST_INCIDENTS)
        units = await self._items("fire.units", "state <> 'in_quarters' AND state <> 'out_of_service'", limit=500)
        if found is None or units is None:
            return
        incidents = {each["id"]: each for each in found}
        self._asked = {name: at for name, at in self._asked.items() if name in incidents}
        await self._dispatch(incidents)
        busy = {row["incident"] for row in units if row.get("incident") and row["state"] in ("en_route", "on_scene")}
        tasks = {name: await self._task(name) for name in busy}
        moment = now()
        for row in units:
            report = next_report(Unit(row["code"], row["kind"], row["state"], datetime.fromisoformat(row["state_at"])), *self._of(row, tasks), self.speed)
            if report and report[1] <= moment:
                await self._send(Request("fire", "POST", f"/units/{row['code']}/state", {"state": report[0], "at": report[1].isoformat()}))

    @staticmethod
    def _of(row: dict[str, Any], tasks: dict[str, tuple[Task, dict[str, float | None]]]) -> tuple[Task | None]:
        if row.get("incident") not in tasks:
            return (None,)
        task, travel = tasks[row["incident"]]
        return (Task(task.kind, travel.get(row["code"]), task.goes_on),)

    async def _dispatch(self, incidents: dict[str, dict[str, Any]]) -> None:
        for name, incident in incidents.items():
            opened = datetime.fromisoformat(incident["opened_at"])
            due = opened + timedelta(seconds=wait_s(name, HANDLING_S) / self.speed)
            if incident["units"] == 0 and not incident.get("release") and name not in self._asked and due <= now():
                self._asked[name] = now()
                await self.sender.ask("fire", "POST", f"/incidents/{name}/dispatch", {})

    async def _task(self, incident: str) -> tuple[Task, dict[str, float | None]]:
        """What an incident's crews have before them; while nobody knows, they stay."""
        shown = await self.sender.ask("fire", "GET", f"/incidents/{incident}")
        if shown is None:
            return Task("other", None, goes_on=True), {}
        goes_on = False
        if shown["release"]:
            release = await self.sender.ask("worksafety", "GET", f"/releases/{shown['release']}")
            goes_on = release is None or release["ended_at"] is None
        return Task(shown["kind"], None, goes_on), {unit["unit"]: unit["travel_s"] for unit in shown["units"]}

    async def _items(self, dataset: str, filter_: str, **params: Any) -> list[dict[str, Any]] | None:
        answer = await self.sender.ask("fire", "GET", f"/collections/{dataset}/items", filter=filter_, **params)
        return None if answer is None else [{"id": each.get("id"), **each["properties"]} for each in answer["features"]]


def now() -> datetime:
    return datetime.now(UTC)


async def _tell(place: Place, sender: Sender, since: datetime) -> None:
    """Keep `demo.json` up to date, for `liandong status`."""
    while True:
        told = {"pid": os.getpid(), "since": since.isoformat(), "speed": place.demo_speed, "seed": place.demo_seed, "services": sender.counts}
        try:
            await asyncio.to_thread(write_private_json, place.demo_file, told)
        except OSError as error:
            sys.stdout.write(f"{place.demo_file} cannot be written: {error.strerror}\n")
        await asyncio.sleep(TOLD_EVERY_S)


async def live(place: Place, run: dict[str, Any], life: Life) -> None:
    """Until SIGTERM or SIGINT."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with httpx.AsyncClient(timeout=ANSWERS_WITHIN_S, trust_env=False) as client:
        sender = Sender(run, client)
        seed = f"{place.demo_seed}/{place.city}"
        living = Living(sender, Instruments(life.city, place.demo_seed), life, seed)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(living.run())
                group.create_task(_tell(place, sender, now()))
        except asyncio.CancelledError:
            return
