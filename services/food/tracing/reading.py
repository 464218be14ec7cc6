"""Reads what a trace needs: the lots within reach by one recursive statement, then their movements and places, each by one."""

from __future__ import annotations

import gc
from collections import namedtuple
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any, TypeVar

from sqlalchemy import CTE, CompoundSelect, Integer, Select, Table, Text, and_, any_, collate, func, literal, select, text, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.food.models import lots, movements, premises
from services.food.tracing.domain import Direction, Move
from shared.datasets.history import as_known

ROWS = 500_000
"""Most steps that the recursion takes; a lot that is reached at several depths counts each time."""
_KEYS = ARRAY(Text)
_ALONE = text("SELECT set_config('max_parallel_workers_per_gather', '0', true)")
"""For this transaction: starting helpers would take longer than the few thousand index look-ups of a trace."""
Made = TypeVar("Made", bound=tuple[Any, ...])
Asker = AsyncConnection | AsyncSession


@dataclass(slots=True)
class Graph:
    """Lots around one, whoever asks; rights are looked at afterwards."""

    depths: dict[Direction, dict[str, int]]
    """How many transformations each lot is away, by direction; the start is 0."""
    lots: dict[str, Any] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    premises: dict[str, Any] = field(default_factory=dict)
    truncated: bool = False


async def read_graph(
    asker: Asker, starts: Collection[str], directions: Collection[Direction], *, max_depth: int, limit: int, known_at: datetime | None = None
) -> Graph:
    """The lots within `max_depth` transformations of the starts, at most `limit` in each direction, the nearest first, with all their movements."""
    graph = Graph({})
    await asker.execute(_ALONE)
    for direction in directions:
        found = (await asker.execute(_within_reach(starts, direction, max_depth, limit, known_at))).all()
        graph.depths[direction] = {row.lot: row.depth for row in found[:limit]}
        graph.truncated |= len(found) > limit or any(row.depth == max_depth + 1 for row in found)
        for beyond in [row.lot for row in found if row.depth > max_depth]:
            graph.depths[direction].pop(beyond, None)
    ids = sorted({lot for depths in graph.depths.values() for lot in depths})
    graph.moves = _made(Move, await _fetched(asker, _moves(ids, known_at)))
    graph.lots = await _by_id(asker, lots, {*ids, *[move[2] for move in graph.moves]}, known_at)
    places = {row.premises for row in graph.lots.values()} | {move[3] for move in graph.moves} | {move[4] for move in graph.moves if move[4]}
    graph.premises = await _by_id(asker, premises, places, known_at)
    return graph


def reach(starts: Collection[str], direction: Direction, max_depth: int, known_at: datetime | None = None) -> CTE:
    """Lots and their depths: WITH RECURSIVE … UNION, which ends at `max_depth` also where a lot is part of itself."""
    one, other = (_of(movements, known_at).alias(name) for name in ("one", "other"))
    into, out = ("input", "output") if direction == "forward" else ("output", "input")
    begun = select(collate(func.unnest(literal(sorted(starts), _KEYS)), "C").label("lot"), literal(0, Integer).label("depth")).cte(
        f"reach_{direction}", recursive=True
    )
    step = (
        select(other.c.lot, begun.c.depth + 1)
        .select_from(begun)
        .join(one, and_(one.c.lot == begun.c.lot, one.c.kind == into))
        .join(other, and_(other.c.event == one.c.event, other.c.kind == out))
        .where(begun.c.depth < max_depth)
    )
    return begun.union(step)


def _within_reach(starts: Collection[str], direction: Direction, max_depth: int, limit: int, known_at: datetime | None) -> Select[Any]:
    found = select(reach(starts, direction, max_depth + 1, known_at)).limit(ROWS).subquery()
    return select(found.c.lot, func.min(found.c.depth).label("depth")).group_by(found.c.lot).order_by(func.min(found.c.depth), found.c.lot).limit(limit + 1)


def _moves(ids: Collection[str], known_at: datetime | None) -> CompoundSelect[Any]:
    """All that happened to these lots, and the other halves of the transformations they were in; deliveries and sales summed up by kind and places.

    The lots' movements are read once. The events go into the last part as an array, which is looked up in the index; of a subselect, the planner would
    rather read the whole table.
    """
    all_moves, changed = _of(movements, known_at), ("input", "output")
    columns = [all_moves.c[name] for name in ("kind", "event", "lot", "premises", "partner", "quantity", "at")]
    mine = select(*columns).where(all_moves.c.lot == any_(literal(list(ids), _KEYS))).cte("mine").prefix_with("MATERIALIZED")
    keys = mine.c.kind, mine.c.lot, mine.c.premises, mine.c.partner
    sums = func.sum(mine.c.quantity), func.min(mine.c["at"]), func.max(mine.c["at"])
    moved = select(mine.c.kind, literal("", Text), *keys[1:], *sums).where(mine.c.kind.notin_(changed)).group_by(*keys)
    events = func.array(select(mine.c.event).where(mine.c.kind.in_(changed)).distinct().scalar_subquery())
    made = select(*columns, all_moves.c["at"].label("last_at")).where(all_moves.c.event == any_(events), all_moves.c.kind.in_(changed))
    return union_all(moved, made)


async def _by_id(asker: Asker, table: Table, ids: Collection[str], known_at: datetime | None) -> dict[str, Any]:
    source = _of(table, known_at)
    names = [column.name for column in table.columns if column.name not in ("recorded_at", "recorded_by", "registry", "number", "address", "postal_code")]
    found = await _fetched(asker, select(*(source.c[name] for name in names)).where(source.c.id == any_(literal(sorted(ids), _KEYS))))
    made: Any = namedtuple("made", names)  # type: ignore[misc]  # the names are those of the table
    return dict(zip((row[0] for row in found), _made(made, found), strict=True))


async def _fetched(asker: Asker, statement: Select[Any] | CompoundSelect[Any]) -> list[Any]:
    """The rows of a statement as the driver gives them, in the transaction under way: a third of the time that thousands of rows take otherwise."""
    connection = await asker.connection() if isinstance(asker, AsyncSession) else asker
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    rows: list[Any] = await driver.fetch(compiled.string, *(compiled.params[name] for name in compiled.positiontup or ()))
    return rows


def _made(kind: type[Made], rows: list[Any]) -> list[Made]:
    """Named tuples of rows."""
    return list(map(tuple.__new__, repeat(kind), rows))  # as `_make` does, without a Python call for each


class Uncollected:
    """While any trace is under way the collector rests: of tens of thousands of new objects none is garbage, and it would walk the whole process for them.

    Traces are bounded in rows and, by the statement timeout, in time.
    """

    under_way = 0

    def __enter__(self) -> None:
        Uncollected.under_way += 1
        gc.disable()

    def __exit__(self, *_: object) -> None:
        Uncollected.under_way -= 1
        if not Uncollected.under_way:
            gc.enable()


def _of(table: Table, known_at: datetime | None) -> Any:
    return table if known_at is None else as_known(table, known_at)
