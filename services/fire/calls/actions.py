"""Merges calls and responses, sums up what the responses to a call add up to, and tells of new calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Text, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.calls.domain import Response, UnitTimes, durations, is_news, summed_up
from services.fire.calls.schemas import CallIn, ResponseIn, UnitReport
from services.fire.models import calls, responses
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.events.fire import CallReceived
from shared.loads import conflict, merge
from shared.outbox.record import record_all
from shared.places import Place, covers, place_rows
from shared.row_models import Checked, misdated
from shared.service import Runtime

_STATED = {"number", "incident", "kind", "priority", "alarms", "received_at", "entered_at"}
_MOMENTS = ("dispatched_at", "en_route_at", "on_scene_at", "transport_at", "hospital_at", "available_at")
_SUM_UP = text("""
    UPDATE calls SET (units, dispatched_at, on_scene_at, closed_at, handling_s, response_s, quality, recorded_by) = ROW
        (summed.units, summed.dispatched_at, summed.on_scene_at, summed.closed_at, summed.handling_s, summed.response_s, summed.quality, :recorded_by)
    FROM unnest(
        CAST(:id AS text[]), CAST(:units AS integer[]), CAST(:dispatched_at AS timestamptz[]), CAST(:on_scene_at AS timestamptz[]),
        CAST(:closed_at AS timestamptz[]), CAST(:handling_s AS double precision[]), CAST(:response_s AS double precision[]), CAST(:quality AS smallint[])
    ) AS summed (id, units, dispatched_at, on_scene_at, closed_at, handling_s, response_s, quality)
    WHERE calls.id = summed.id AND
        (calls.units, calls.dispatched_at, calls.on_scene_at, calls.closed_at, calls.handling_s, calls.response_s, calls.quality) IS DISTINCT FROM
        (summed.units, summed.dispatched_at, summed.on_scene_at, summed.closed_at, summed.handling_s, summed.response_s, summed.quality)
""")


def identifier(registry: str, number: str) -> str:
    """How a call is named everywhere: numbers are unique within the registry that gave them."""
    return f"{registry}:{number}"


async def save_responses(
    session: AsyncSession, batch: Checked[ResponseIn], caller: Caller, runtime: Runtime, now: datetime, *, correct: bool, historic: bool
) -> LoadAnswer:
    """Take units' responses and the calls that they state; a row counts as corrected if its call was."""
    saved = await _save_calls(session, batch, caller, runtime, now, correct=correct, historic=historic)
    rows = {number: _response(call, batch.rows[number], batch.rows[number].received_at) for call, members in saved.by_call.items() for number in members}
    merged = await merge(session, responses, rows, key=("id",), recorded_by=caller.subject, correct=correct)
    merged.explain(batch, "unit's response to the call")
    await sum_up(session, {rows[number]["call"] for number in (*merged.taken, *merged.corrected)} | saved.corrected, caller.subject)
    with_call = {number for call in saved.corrected for number in saved.by_call[call]}
    corrected = {*merged.corrected, *(number for number in merged.duplicates if number in with_call)}
    return batch.answer(merged.taken, corrected, set(merged.duplicates) - corrected)


async def save_calls(
    session: AsyncSession, batch: Checked[CallIn], caller: Caller, runtime: Runtime, now: datetime, *, correct: bool = False, historic: bool = False
) -> LoadAnswer:
    """Take calls to which no unit has responded yet, or whose responses come separately."""
    saved = await _save_calls(session, batch, caller, runtime, now, correct=correct, historic=historic)
    await sum_up(session, saved.corrected, caller.subject)
    of = {kind: [number for call in kept for number in saved.by_call[call][:1]] for kind, kept in (("taken", saved.taken), ("corrected", saved.corrected))}
    rest = set(batch.rows) - set(of["taken"]) - set(of["corrected"])
    return batch.answer(of["taken"], of["corrected"], rest)


class _Saved:
    """Which calls a batch states, by which of its rows, and what became of them."""

    def __init__(self) -> None:
        self.by_call: dict[str, list[int]] = defaultdict(list)
        self.taken: set[str] = set()
        self.corrected: set[str] = set()


async def _save_calls(session: AsyncSession, batch: Checked[Any], caller: Caller, runtime: Runtime, now: datetime, *, correct: bool, historic: bool) -> _Saved:
    """Merge the calls that the rows state; rows whose call cannot stand are rejected."""
    _refuse_misdated(batch, now)
    settings = runtime.settings
    places = await place_rows(batch, runtime.areas, caller, settings.areas, day=lambda row: row.received_at.date())
    saved = _Saved()
    stated = {number: _call(batch.rows[number], place, settings.city) for number, place in places.items()}
    for number, row in stated.items():
        saved.by_call[row["id"]].append(number)
    first = _agreeing(batch, saved, stated)
    await _lock(session, saved.by_call)
    mine = covers(caller, calls.c.area)
    merged = await merge(session, calls, first, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    for number, columns in merged.conflicts.items():
        for member in saved.by_call.pop(first[number]["id"]):
            batch.reject(member, "", "conflict", conflict("call", columns))
    saved.taken, saved.corrected = ({first[number]["id"] for number in of} for of in (merged.taken, merged.corrected))
    news = [row for row in first.values() if row["id"] in saved.taken and is_news(row["received_at"], now) and not historic]
    record_all(session, [_event(row) for row in news])
    return saved


def _agreeing(batch: Checked[Any], saved: _Saved, stated: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """The first row of each call; calls that the batch states in different ways are out with all their rows."""
    first = {}
    for call, members in list(saved.by_call.items()):
        if all(stated[number] == stated[members[0]] for number in members[1:]):
            first[members[0]] = stated[members[0]]
            continue
        del saved.by_call[call]
        for number in members:
            batch.reject(number, "", "contradictory", "The rows of this call state the call in different ways. Send them alike.")
    return first


async def _lock(session: AsyncSession, ids: Iterable[str]) -> None:
    """One load of a call after another, so that each sums up what the others have committed."""
    wanted = calls.c.id == any_(literal(list(ids), ARRAY(Text)))
    await session.execute(select(calls.c.id).where(wanted).order_by(calls.c.id).with_for_update(key_share=True))


async def sum_up(session: AsyncSession, ids: Iterable[str], recorded_by: str) -> None:
    """Bring what the responses to these calls add up to up to date."""
    wanted = literal(sorted(set(ids)), ARRAY(Text))
    found = (await session.execute(select(calls.c.id, calls.c.received_at, calls.c.entered_at).where(calls.c.id == any_(wanted)))).all()
    if not found:
        return
    by_call = defaultdict(list)
    columns = (responses.c.call, responses.c.dispatched_at, responses.c.on_scene_at, responses.c.available_at, responses.c.quality)
    for call, *times in await session.execute(select(*columns).where(responses.c.call == any_(wanted))):
        by_call[call].append(Response(*times))
    sums = [{"id": row.id, **asdict(summed_up(row.received_at, row.entered_at, by_call[row.id]))} for row in found]
    await session.execute(_SUM_UP, {name: [each[name] for each in sums] for name in sums[0]} | {"recorded_by": recorded_by})


def _call(row: CallIn, place: Place, city: str) -> dict[str, Any]:
    registry = row.registry or city
    stated = row.model_dump(include=_STATED)
    return {"id": identifier(registry, row.number), "registry": registry, **stated, "area": place.area, "lon": place.lon, "lat": place.lat}


def _response(call: str, row: UnitReport, received_at: datetime) -> dict[str, Any]:
    return response_values(call, row.unit, row.unit_kind, received_at, {name: getattr(row, name) for name in _MOMENTS})


def response_values(call: str, unit: str, unit_kind: str, received_at: datetime, moments: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of responses, with what follows from its times."""
    measured = durations(UnitTimes(received_at, **moments))
    return {"id": f"{call}:{unit}", "call": call, "unit": unit, "unit_kind": unit_kind, **moments, **asdict(measured)}


def _refuse_misdated(batch: Checked[Any], now: datetime) -> None:
    names = ("received_at", "entered_at", *_MOMENTS)
    for number, row in list(batch.rows.items()):
        for name in names:
            at = getattr(row, name, None)
            fault = misdated(at, now) if at else None
            if fault:
                batch.reject(number, name, "time-out-of-range", fault)
                break


def _event(row: Mapping[str, Any]) -> CallReceived:
    return CallReceived(call=row["id"], **{name: row[name] for name in ("area", "kind", "priority", "received_at", "lon", "lat")})
