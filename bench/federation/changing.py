"""First questions after a change: what no source can have kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

import asyncpg
from sqlalchemy import make_url

from bench.federation.measure import Work
from bench.federation.sector import tables_of
from bench.federation.stand import Stand


async def first_questions(made: Stand, works: Mapping[str, Work], rounds: int, first: int) -> dict[str, float]:
    """Median seconds of each work, named by the table that it asks for, when that was changed in every source just before."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(first, first + rounds):
        for table, work in works.items():
            await _change(made, table)
            started = time.perf_counter()
            await work(number)
            times[table].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


async def _change(made: Stand, table: str) -> None:
    """One row of the table is recorded again, as it was."""
    for sector in made.sectors:
        if table in tables_of(sector):
            url = make_url(made.admin_url).set(database=sector).render_as_string(hide_password=False)
            owner = await asyncpg.connect(url)
            try:
                await owner.execute(f"UPDATE {table} SET recorded_by = recorded_by WHERE id = (SELECT min(id) FROM {table})")
            finally:
                await owner.close()
