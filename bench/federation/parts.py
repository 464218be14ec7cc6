"""The parts of the benchmark: groups, roll-ups, small questions, spread over sources, a join."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import asyncpg
import httpx
import pyarrow as pa

from bench.federation.cases import CASES, COUNT, DUCK_HOUR, FDW_HOUR, JOIN, MEAN, Case, by_hand
from bench.federation.changing import first_questions
from bench.federation.data import DAY, JOINED
from bench.federation.duck import Duck
from bench.federation.fdw import rows_of
from bench.federation.measure import Table, in_turn, require_equal
from bench.federation.sector import SIX, SPREADS
from bench.federation.stand import Stand

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


async def answer_of(client: httpx.AsyncClient, path: str, question: Mapping[str, Any]) -> pa.Table:
    """The answer to a question, as a table in the client's hands."""
    answer = await client.post(path, json=question, headers=ARROW)
    if answer.status_code != httpx.codes.OK:
        raise SystemExit(f"{path}: {answer.status_code} {answer.text[:600]}")
    return pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()


async def groups(made: Stand, duck: Duck, fdw: asyncpg.Connection | None, table: Table, rounds: int, part: str) -> None:
    """Cross-sector groups by district and hour."""
    async with made.client() as client:
        asked = [case for case in CASES if case.part == part]
        for case in asked:
            await _case(case, client, duck, fdw, table, rounds)
        for case in (case for case in asked if case.served_from == "rows"):
            await _case_after_change(case, made, client, table)


async def _case(case: Case, client: httpx.AsyncClient, duck: Duck, fdw: asyncpg.Connection | None, table: Table, rounds: int) -> None:
    path = f"/collections/{case.dataset}/aggregate"
    tried = await client.post(path, json=case.asked(900))
    if tried.status_code != httpx.codes.OK:
        table.note(case.name, f"refused: {tried.text[:300]}")
        table.reached = False
        return
    sources = tried.json()["coverage"]["sources"]
    served = sorted({source.get("served_from", "?") for source in sources})
    found = await answer_of(client, path, case.asked(901))
    rows = [list(row.values()) for row in found.to_pylist()]
    require_equal(f"{case.name}, DuckDB", rows, duck.ask(case.sql(901, DUCK_HOUR, check=True), rows=True)[1], case.error)
    works = {"hub": lambda number: answer_of(client, path, case.asked(number)), "duck": lambda number: duck.ask(case.sql(number, DUCK_HOUR))[0]}
    if case.fdw and fdw:
        require_equal(f"{case.name}, postgres_fdw", rows, await rows_of(fdw, case.sql(901, FDW_HOUR)), case.error)
        require_equal(f"{case.name}, postgres_fdw by hand", rows, [[*row[:2], int(row[2]), row[3]] for row in await rows_of(fdw, by_hand(901))], case.error)
        works |= {"fdw": lambda number: fdw.fetch(case.sql(number, FDW_HOUR)), "by hand": lambda number: fdw.fetch(by_hand(number))}
    middle = await in_turn(works, rounds)
    name = f"{case.name}, {found.num_rows:,} groups"
    table.faster(name, "DuckDB ATTACH", middle["hub"], middle["duck"], case.duck)
    if case.fdw and fdw:
        table.faster(name, "postgres_fdw", middle["hub"], middle["fdw"], case.fdw)
        table.faster(name, "postgres_fdw, groups by hand", middle["hub"], middle["by hand"], None)
    again = await in_turn({"again": lambda _: answer_of(client, path, case.asked(900))}, rounds)
    table.note(case.name, f"served from {', '.join(served)} (meant: {case.served_from}); the same question again {again['again'] * 1000:,.1f} ms")


async def _case_after_change(case: Case, made: Stand, client: httpx.AsyncClient, table: Table) -> None:
    path = f"/collections/{case.dataset}/aggregate"
    source = case.dataset.partition(".")[2]
    took = await first_questions(made, {source: lambda number: answer_of(client, path, case.asked(number))}, 3, 910)
    table.note(case.name, f"the first question after a change of every source, which reads all rows, {took[source] * 1000:,.1f} ms")


def small_question(number: int) -> dict[str, Any]:
    """One day, one district."""
    day = date.fromisoformat(DAY) + timedelta(days=number % 90)
    times = {"from": f"{day}T00:00:00+08:00", "until": f"{day + timedelta(days=1)}T00:00:00+08:00"}
    return {"measures": {"n": COUNT, "mean": MEAN}, "by": {"category": "category"}, "tz": "Asia/Shanghai", "filter": "area LIKE '430302%'", **times}


def small_page(number: int) -> dict[str, str]:
    day = date.fromisoformat(DAY) + timedelta(days=number % 90)
    return {"filter": "area LIKE '430302%'", "datetime": f"{day}T00:00:00+08:00/{day + timedelta(days=1)}T00:00:00+08:00", "sortby": "time", "limit": "100"}


async def small(made: Stand, table: Table, rounds: int) -> None:
    """Small questions, beside a bare client that asks the same six sources at once."""
    headers = {name: made.headers(name) for name in SIX}
    path = "/collections/bench.events"
    async with made.client() as hub, httpx.AsyncClient(timeout=60, trust_env=False) as bare:

        async def all_sources(number: int, *, page: bool) -> list[Any]:
            asked = (
                ((bare.get(f"{made.sectors[name]}{path}/items", params=small_page(number), headers=headers[name])) for name in SIX)
                if page
                else ((bare.post(f"{made.sectors[name]}{path}/aggregate", json=small_question(number), headers=headers[name])) for name in SIX)
            )
            return [answer.raise_for_status().json() for answer in await asyncio.gather(*asked)]

        async def one_hub(number: int, *, page: bool) -> Any:
            asked = hub.get(f"{path}/items", params=small_page(number)) if page else hub.post(f"{path}/aggregate", json=small_question(number))
            return (await asked).raise_for_status().json()

        _require_small(await one_hub(0, page=False), await all_sources(0, page=False))
        for name, page in (("small: groups of one day and district", False), ("small: the first 100 rows of them", True)):
            works = {"hub": lambda number, page=page: one_hub(number, page=page), "bare": lambda number, page=page: all_sources(number, page=page)}
            await in_turn(works, 10, 80)
            middle = await in_turn(works, max(30, 6 * rounds))
            table.within(name, "bare concurrent client", middle["hub"], middle["bare"], 1.5)


def _require_small(mine: Any, theirs: Sequence[Any]) -> None:
    counts: dict[str, int] = {}
    for category, number, _ in (row for answer in theirs for row in answer["rows"]):
        counts[category] = counts.get(category, 0) + number
    if {row[0]: row[1] for row in mine["rows"]} != counts or not mine["coverage"]["complete"]:
        raise SystemExit(f"small: {mine['rows']} instead of {counts}.")


async def spread(made: Stand, table: Table, rounds: int, rows: int) -> None:
    """The same rows, so many in all, over more and more sources."""
    times: dict[int, float] = {}
    case = CASES[0]
    async with made.client() as client:
        works = {str(many): lambda number, many=many: answer_of(client, f"/collections/bench.spread{many}/aggregate", case.asked(number)) for many in SPREADS}
        await in_turn(works, 1, 500)
        times = {int(many): seconds for many, seconds in (await in_turn(works, rounds)).items()}
        _curve(f"the same {rows:,} rows over 12 sources", times, table)
        asked = {f"spread{many}": works[str(many)] for many in SPREADS}
        first = await first_questions(made, asked, rounds, 600)
        _curve("the same over 12, first questions after a change", {int(name.removeprefix("spread")): seconds for name, seconds in first.items()}, table)


def _curve(name: str, times: Mapping[int, float], table: Table) -> None:
    longest = max(times.values())
    for many, seconds in times.items():
        print(f"  {many:2} sources {seconds * 1000:9,.1f} ms {'#' * round(50 * seconds / longest)}")
    table.within(name, "over 1 source", times[12], times[1], 2)
    table.note(f"{name}: 1, 2, 4, 8, 12", ", ".join(f"{seconds * 1000:,.0f} ms" for seconds in times.values()))


async def join(made: Stand, duck: Duck, table: Table, rounds: int) -> None:
    """Two datasets of a million rows each, of two sectors."""
    body = {"sql": JOIN.format(left="bench", right="bench")}
    async with made.client() as client:

        async def ask(number: int) -> Any:
            answer = await client.post("/sql", json={**body, "sql": f"{body['sql']} -- {number}"})
            return answer.raise_for_status().json()

        tried = await client.post("/sql", json=body)
        if tried.status_code != httpx.codes.OK:
            table.note(f"join of two datasets of {JOINED:,} rows", f"not there: {tried.status_code} {tried.text[:200]}")
            table.reached = False
            return
        theirs = duck.ask(JOIN.format(left="s01", right="s02"), rows=True)[1]
        if [row[:2] for row in tried.json()["rows"]] != [row[:2] for row in theirs]:
            raise SystemExit(f"join: {tried.json()['rows']} instead of {theirs}.")
        middle = await in_turn({"hub": ask, "duck": lambda _: duck.ask(JOIN.format(left="s01", right="s02"))[0]}, rounds)
    table.within(f"join of two datasets of {JOINED:,} rows", "DuckDB ATTACH", middle["hub"], middle["duck"], 1.5)
