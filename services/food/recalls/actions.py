"""Opens recalls, finds whom they concern by tracing, and follows their progress."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from services.food.lots.domain import in_unit_of_record
from services.food.models import notices, recall_lots, recall_premises, recalls
from services.food.premises.actions import identifier
from services.food.recalls.domain import is_news, out_of_order, start_by
from services.food.recalls.reading import read_recall, sees
from services.food.recalls.schemas import ProgressIn, RecallIn
from services.food.tracing.actions import balance, seen_lots
from services.food.tracing.reading import Graph, read_graph
from shared.caller import Caller
from shared.errors import Conflict, InvalidBody, NotFound
from shared.events.food import RecallOpened
from shared.outbox.record import record
from shared.row_models import misdated
from shared.service import Runtime

MAX_DEPTH, MOST_LOTS = 50, 20_000


async def open_recall(session: AsyncSession, asked: RecallIn, caller: Caller, runtime: Runtime, now: datetime) -> dict[str, Any]:
    """Record a recall with all lots made from those named and all premises they touched; tell of it. Raises `InvalidBody`, `Conflict`."""
    if fault := misdated(asked.known_since, now):
        raise InvalidBody(fault, pointer="/known_since")
    starts = sorted(set(asked.lots))
    graph = await read_graph(session, starts, ["forward"], max_depth=MAX_DEPTH, limit=MOST_LOTS)
    seen = seen_lots(graph, caller)
    for lot in starts:
        if lot not in graph.lots or lot not in seen:
            raise InvalidBody(f"There is no lot {lot!r}.", pointer="/lots")
    if asked.notice and not await session.scalar(select(notices.c.id).where(notices.c.id == asked.notice)):
        raise InvalidBody(f"There is no notice {asked.notice!r}.", pointer="/notice")
    area = await _area(asked, graph, starts[0], caller, runtime)
    number = asked.number or str(ULID())
    recall = identifier(runtime.settings.city, number)
    row = {"id": recall, "registry": runtime.settings.city, "number": number, "opened_at": now, "truncated": graph.truncated, "area": area}
    row |= asked.model_dump(include={"grade", "reason", "notice", "known_since"}) | {"start_by": start_by(asked.grade, asked.known_since)}
    if await session.scalar(select(recalls.c.id).where(recalls.c.id == recall)):
        raise Conflict(f"A recall with the number {number!r} is recorded already. Send no number for a new one.", pointer="/number")
    by = {"recorded_by": caller.subject}
    await session.execute(insert(recalls), [row | by])
    amounts = _amounts(graph, starts)
    inside = sorted(graph.depths["forward"])
    named = [{"recall": recall, "lot": lot, "asked": lot in starts, "amount": amounts.get(lot)} | by for lot in inside]
    await session.execute(insert(recall_lots), named)
    places = _places(graph)
    reached = [{"id": f"{recall}~{place}", "recall": recall, "premises": place, "lots": len(held)} | by for place, held in sorted(places.items())]
    await session.execute(insert(recall_premises), reached)
    if is_news(asked.known_since, now):
        told = {"recall": recall, "grade": asked.grade, "start_by": row["start_by"], "lots": starts[:50], "premises": len(reached), "opened_at": now}
        record(session, RecallOpened(area=area, **told))
    return await read_recall(session, recall, caller, now)


async def _area(asked: RecallIn, graph: Graph, first: str, caller: Caller, runtime: Runtime) -> str:
    area = asked.area or str(graph.premises[graph.lots[first].premises].area)
    if asked.area and asked.area not in await runtime.areas.known([asked.area]):
        raise InvalidBody(f"The area table has no {asked.area}.", pointer="/area")
    if not caller.sees_area(area):
        raise InvalidBody("A recall lies in an area of the token; state which.", pointer="/area")
    return area


def _amounts(graph: Graph, starts: list[str]) -> dict[str, float | None]:
    """How much of the named lots together is in each; unknown where these are counted in different units."""
    if len({graph.lots[lot].unit for lot in starts}) > 1:
        return {}
    found: dict[str, float | None] = defaultdict(float)
    for start in starts:
        for lot, amount in balance(graph, start).amounts["forward"].items():
            before = found[lot]
            found[lot] = None if amount is None or before is None else before + amount
    return dict(found)


def _places(graph: Graph) -> Mapping[str, set[str]]:
    """Premises with the lots that they made, held or sold."""
    places: dict[str, set[str]] = defaultdict(set)
    for lot in graph.depths["forward"]:
        places[graph.lots[lot].premises].add(lot)
    for move in graph.moves:
        if move.lot in graph.depths["forward"]:
            for place in (move.premises, move.partner):
                if place:
                    places[place].add(move.lot)
    return places


async def save_progress(session: AsyncSession, recall: str, place: str, progress: ProgressIn, caller: Caller, now: datetime) -> dict[str, Any]:
    """What was done at one of the premises. Raises `NotFound` where the caller sees none, `InvalidBody` for what cannot be."""
    given = progress.model_dump(exclude_unset=True)
    for name, value in given.items():
        if isinstance(value, datetime) and (fault := misdated(value, now)):
            raise InvalidBody(fault, pointer=f"/{name}")
    if (progress.returned is None) != (progress.unit is None):
        raise InvalidBody("returned and unit come together.", pointer="/unit")
    if progress.returned is not None and progress.unit is not None:
        given["returned"], given["unit"] = in_unit_of_record(progress.returned, progress.unit)
    mine = (recall_premises.c.id == f"{recall}~{place}") & sees(caller, recall_premises.c.premises)
    known = (await session.execute(select(recall_premises).where(mine).with_for_update())).mappings().one_or_none()
    if known is None:
        raise NotFound("There is no such recall at these premises.")
    if await session.scalar(select(recalls.c.closed_at).where(recalls.c.id == recall).with_for_update(read=True)):
        raise Conflict("The recall is closed. Open another one.")
    if fault := out_of_order({**known, **given}):
        raise InvalidBody("It would have been finished before that.", pointer=f"/{fault}")
    if given:
        await session.execute(update(recall_premises).where(mine).values(**given, recorded_by=caller.subject))
    return await read_recall(session, recall, caller, now)


async def close_recall(session: AsyncSession, recall: str, caller: Caller, now: datetime) -> dict[str, Any]:
    """End a recall of the caller's areas. Raises `NotFound`, or `Conflict` if some premises are not finished."""
    found = await read_recall(session, recall, caller, now)
    await session.execute(select(recalls.c.id).where(recalls.c.id == recall).with_for_update())  # a report of progress waits
    if not caller.sees_area(found["area"]):
        raise NotFound(f"There is no recall {recall[:100]!r}.")
    unfinished = recall_premises.c.finished_at.is_(None)
    left = await session.scalar(select(func.count()).select_from(recall_premises).where(recall_premises.c.recall == recall, unfinished))
    if left:
        raise Conflict(f"The recall is not finished at {left} premises.")
    await session.execute(update(recalls).where(recalls.c.id == recall, recalls.c.closed_at.is_(None)).values(closed_at=now, recorded_by=caller.subject))
    return await read_recall(session, recall, caller, now)
