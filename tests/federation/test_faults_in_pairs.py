"""Two sources fail at once, in every way, during mixed questions: no hang, no wrong number without a mark, no internal error."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.federation.fault_kinds import FAULTS
from tests.hub.federation.liar import Liar, lying
from tests.hub.federation.process import in_its_own_process
from tests.hub.federation.sectors import SERVICES, Federation, calls, federation, fill, readings, sector, settings_of

ROWS = {"430300/brigade": calls("f", 60), "430300/harbour": calls("p", 40)}
AIR = readings(30)
DEADLINE_MS = 600
LATE_S = 6.0
"""How late an answer may be on a machine that is busy with other tests; a hang lasts a minute."""
MEASURES = {
    "n": {"fn": "count"},
    "sum": {"fn": "sum", "field": "units"},
    "least": {"fn": "min", "field": "units"},
    "most": {"fn": "max", "field": "units"},
    "spread": {"fn": "stddev", "field": "units"},
    "p90": {"fn": "quantile", "field": "response_s", "q": 0.9},
    "kinds": {"fn": "distinct", "field": "kind"},
}
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Mixed:
    """A question, and how its answer is judged by the rows of the sources that it says it rests on."""

    method: str
    path: str
    body: dict[str, Any] | None
    judge: Callable[[dict[str, Any], Rows], bool]
    strict: bool = False


def by_kind(rows: Rows) -> dict[str, list[Any]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["kind"]].append(row)
    return {kind: [len(found), *(f(row["units"] for row in found) for f in (sum, min, max))] for kind, found in groups.items()}


def judged_by_kind(answer: dict[str, Any], rows: Rows) -> bool:
    return {row[0]: row[1:5] for row in answer["rows"]} == by_kind(rows)


def judged_by_district(answer: dict[str, Any], rows: Rows) -> bool:
    return {row[0]: row[1] for row in answer["rows"]} == Counter(row["area"] for row in rows)


def judged_across(answer: dict[str, Any], rows: Rows) -> bool:
    """Where nobody told of calls, or of air, there is nothing but nulls."""
    fires = {row[0]: row[1] for row in answer["rows"] if row[1]}
    air = {row[0]: row[2] for row in answer["rows"] if row[2]}
    breathed = any(entry["source"] == "430300/air" and entry["status"] in ("ok", "stale") for entry in answer["coverage"]["sources"])
    return fires == Counter(row["area"] for row in rows) and air == (Counter(row["area"] for row in AIR) if breathed else {})


def judged_page(answer: dict[str, Any], rows: Rows) -> bool:
    expected = sorted(-row["units"] for row in rows)[:20]
    found = [(-feature["properties"]["units"], feature["id"]) for feature in answer["features"]]
    return [units for units, _ in found] == expected[: len(found)] and {name for _, name in found} <= {row["id"] for row in rows} and len(found) > 0


def judged_sql(answer: dict[str, Any], rows: Rows) -> bool:
    return {row[0]: row[1] for row in answer["rows"]} == Counter(row["kind"] for row in rows)


AGGREGATE = {"dataset": "fire.calls", "measures": MEASURES, "by": {"kind": "kind"}, "deadline_ms": DEADLINE_MS}
ACROSS = {
    "across": {
        "fires": {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}},
        "air": {"dataset": "air.readings", "measures": {"n": {"fn": "count"}}},
    },
    "by": {"district": "area:district"},
    "deadline_ms": DEADLINE_MS,
}
MIXED = (
    Mixed("POST", "/aggregate", AGGREGATE, judged_by_kind),
    Mixed("POST", "/aggregate", {**AGGREGATE, "strict": True}, judged_by_kind, strict=True),
    Mixed("POST", "/aggregate", {**AGGREGATE, "max_age": 3600}, judged_by_kind),
    Mixed("GET", f"/collections/fire.calls/aggregate?measure=n:count&by=area:district&deadline_ms={DEADLINE_MS}", None, judged_by_district),
    Mixed("POST", "/aggregate", ACROSS, judged_across),
    Mixed("GET", f"/collections/fire.calls/items?sortby=-units&limit=20&deadline_ms={DEADLINE_MS}", None, judged_page),
)
SQL = Mixed("POST", "/sql", {"sql": "SELECT kind, count(*) FROM fire.calls GROUP BY kind", "deadline_ms": 4 * DEADLINE_MS}, judged_sql)
"""Computed in a process of its own, which takes its time to begin."""


@dataclass
class Hurt:
    """A hub whose two sources of calls are hurt on the way, beside an honest one."""

    made: Federation
    liars: dict[str, Liar]

    async def ask(self, mixed: Mixed, faults: dict[str, str]) -> str:
        """One question, judged; the outcome in a word."""
        started = time.monotonic()
        answered = await self.made.client.request(mixed.method, mixed.path, json=mixed.body, headers=self.made.headers())
        elapsed_s = time.monotonic() - started
        context = f"{faults} {mixed.method} {mixed.path} {mixed.body} → {answered.status_code} {answered.text[:1500]}"
        assert elapsed_s < (mixed.body or {}).get("deadline_ms", DEADLINE_MS) / 1000 + LATE_S, f"{elapsed_s:.1f} s: {context}"
        assert answered.status_code in (200, 502, 504), context
        if answered.status_code != 200:
            if "coverage" not in answered.json():
                assert mixed is SQL and answered.status_code == 504, context
                return "error"
            told = {entry["source"]: entry["status"] for entry in answered.json()["coverage"]["sources"]}
            failed = [told[name] for name in ROWS]
            assert any(word != "ok" for word in failed) if mixed.strict else "ok" not in failed, context
            return "error"
        self._check(mixed, answered, context)
        return "answer"

    def _check(self, mixed: Mixed, answered: httpx.Response, context: str) -> None:
        answer = answered.json()
        told = {entry["source"]: entry for entry in answer["coverage"]["sources"]}
        assert set(ROWS) <= set(told), f"a source is not named: {context}"
        given = [name for name in ROWS if told[name]["status"] in ("ok", "stale")]
        assert all("problem" in told[name] for name in ROWS if told[name]["status"] != "ok"), context
        assert answer["coverage"]["complete"] is all(entry["status"] == "ok" for entry in told.values()), context
        assert answer["coverage"]["complete"] or not mixed.strict, context
        assert mixed.judge(answer, [row for name in given for row in ROWS[name]]), f"a wrong number: {context}"

    async def hurt_by(self, first: str, second: str, questions: Sequence[Mixed]) -> Counter[str]:
        """Questions at once while both sources do what is named."""
        faults = dict(zip(ROWS, (first, second), strict=True))
        for name, fault in faults.items():
            self.made.app.state.runtime.own.client.forget(name)
            self.liars[name].spoil = FAULTS.get(fault)
        return Counter(await asyncio.gather(*(self.ask(mixed, faults) for mixed in questions)))

    def forget(self) -> None:
        self.made.app.state.runtime.own.kept.kept.clear()


@asynccontextmanager
async def hurting(city: City, behind: dict[str, str], apps: dict[str, FastAPI]) -> AsyncIterator[Hurt]:
    """Liars before the two sectors at these addresses."""
    async with AsyncExitStack() as stack:
        liars = {name: await stack.enter_async_context(lying(url)) for name, url in behind.items()}
        made = await stack.enter_async_context(federation(city, {"air": AIR}, {name: liar.url for name, liar in liars.items()}))
        made.apps.update(apps)
        await made.meet()
        for mixed in MIXED:  # the first answers load libraries
            patient = mixed.body and {**mixed.body, "deadline_ms": 20_000}
            await made.client.request(mixed.method, mixed.path.replace(str(DEADLINE_MS), "20000"), json=patient, headers=made.headers())
        yield Hurt(made, liars)


@pytest.fixture(scope="module")
async def hurt(city: City) -> AsyncIterator[Hurt]:
    async with AsyncExitStack() as stack:
        behind: dict[str, str] = {}
        apps: dict[str, FastAPI] = {}
        for name, rows in ROWS.items():
            apps[name.rpartition("/")[2]], behind[name], _ = await stack.enter_async_context(sector(city, name.rpartition("/")[2], rows))
        yield await stack.enter_async_context(hurting(city, behind, apps))


@pytest.mark.parametrize("seed", [11])
async def test_two_faults_at_once_change_no_number_without_a_mark(hurt: Hurt, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded sample: every fault once, paired with another, a few questions each."""
    monkeypatch.setattr("services.hub.federation.aggregates.STATES_BYTES", 1024 * 1024)
    monkeypatch.setattr("services.hub.federation.records.PAGE_BYTES", 1024 * 1024)
    chance = random.Random(seed)
    names = list(FAULTS)
    chance.shuffle(names)
    seen: Counter[str] = Counter()
    for first, second in zip(names[::2], names[1::2], strict=True):
        if chance.random() < 0.7:
            hurt.forget()
        seen += await hurt.hurt_by(first, second, chance.sample(MIXED, 4))
    seen += await hurt.hurt_by(names[0], names[1], [SQL])
    seen += await hurt.hurt_by("honest", "honest", [*MIXED, SQL])
    assert seen.total() == len(names) // 2 * 4 + len(MIXED) + 2
    assert min(seen["answer"], seen["error"]) > 3, "both kinds were judged; how many of each depends on how busy the machine is"


@pytest.mark.proof
async def test_every_fault_alone_and_in_every_pair_changes_no_number_without_a_mark(hurt: Hurt, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a thousand mixed questions."""
    monkeypatch.setattr("services.hub.federation.aggregates.STATES_BYTES", 1024 * 1024)
    monkeypatch.setattr("services.hub.federation.records.PAGE_BYTES", 1024 * 1024)
    chance = random.Random(7)
    alone = [(name, "honest") for name in FAULTS] + [("honest", name) for name in FAULTS]
    pairs = list(itertools.combinations(FAULTS, 2))
    seen: Counter[str] = Counter()
    for first, second in (*alone, *pairs):
        if chance.random() < 0.7:
            hurt.forget()
        seen += await hurt.hurt_by(first, second, chance.sample([*MIXED, SQL], 4 if "honest" in (first, second) else 2))
    assert seen.total() == 4 * len(alone) + 2 * len(pairs) >= 1000
    assert min(seen["answer"], seen["error"]) > 100, seen


@pytest.mark.proof
async def test_a_sector_that_is_really_stopped_or_killed_while_the_other_fails(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.hub.federation.aggregates.STATES_BYTES", 1024 * 1024)
    monkeypatch.setattr("services.hub.federation.records.PAGE_BYTES", 1024 * 1024)
    settings = settings_of(city, "harbour")
    filler = create_app(SERVICES["harbour"], settings)
    async with running(filler), AsyncExitStack() as stack:
        await fill(filler, ROWS["430300/harbour"])
        process, url = stack.enter_context(in_its_own_process(settings, tmp_path))
        brigade, honest, _ = await stack.enter_async_context(sector(city, "brigade", ROWS["430300/brigade"]))
        hurt = await stack.enter_async_context(hurting(city, {"430300/brigade": honest, "430300/harbour": url}, {"brigade": brigade, "harbour": filler}))
        seen: Counter[str] = Counter()
        for blow in (signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL):
            os.kill(process.pid, blow)
            for fault in FAULTS:
                hurt.forget()
                seen += await hurt.hurt_by(fault, "honest", [*MIXED[::2], SQL])
        assert seen.total() == 12 * len(FAULTS)
