"""Looks at incidents of which something is wanted: gathers, sends units, informs crews; one transaction at the end of each look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.crews.actions import inform
from services.fire.crews.client import Card, ask_card
from services.fire.crews.reading import compose, inside_of
from services.fire.dispatch.actions import LEASE_S, claim_due, give_back, reserve, send, served, try_again
from services.fire.dispatch.client import OFF_ROAD, Place, Travel, travel
from services.fire.dispatch.domain import Candidate, Need, choose, outstanding, staging, worth_asking
from services.fire.dispatch.reading import RELEASE, Case, Known, read_case, read_known
from services.fire.state import Ahead, News
from services.fire.stations.schemas import HydrantNear
from shared.events.fire import UnitsDispatched
from shared.outbox.record import record
from shared.runtime import Runtime

POLL_S = 1.0
"""How long work may go unnoticed whose process died."""
JOB_S = LEASE_S - 1.0
RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""When what was missing is tried again."""
GIVE_UP = 60
_log = structlog.get_logger("dispatch")
Closures = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a look has brought together before it decides."""

    card: Card
    travel: Travel
    candidates: Sequence[Candidate]
    """With their times."""
    needs: Sequence[Need]
    hydrants: Sequence[HydrantNear]
    gather_at: tuple[float, float] | None


async def keep_dispatching(runtime: Runtime) -> None:
    """Do what is wanted until cancelled; what a dead process left undone is found within seconds."""
    dispatcher = runtime.own.dispatcher
    while True:
        try:
            async with runtime.sessions() as session, session.begin():
                due = await claim_due(session, dispatcher.name, retry_short=dispatcher.take_freed())
            dispatcher.ready.update(due)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("work cannot be read", error=repr(error))
        looked = time.monotonic()
        while time.monotonic() - looked < POLL_S and not dispatcher.freed:
            for incident in dispatcher.startable():
                dispatcher.run(incident, look_at(runtime, incident))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, looked + POLL_S - time.monotonic())):
                    await dispatcher.woken.wait()
            dispatcher.woken.clear()


async def look_at(runtime: Runtime, incident: str) -> None:
    """Look until nothing more is wanted; what fails is left for the next look."""
    try:
        async with asyncio.timeout(JOB_S):
            while await _look(runtime, incident):
                pass
    except Exception as error:  # noqa: BLE001 - whatever it is, the work must be found again
        _log.warning("incident not served", incident=incident, error=repr(error))
        with suppress(SQLAlchemyError, OSError, TimeoutError):
            async with runtime.sessions() as session, session.begin():
                await give_back(session, runtime.own.dispatcher.name, incident)


async def _look(runtime: Runtime, incident: str) -> bool:
    """One look; whether another one is wanted at once. The card is asked for while everything else goes on."""
    news = runtime.own.dispatcher.news(incident)
    case: Case | None = runtime.own.dispatcher.take_opened(incident)
    ahead = runtime.own.dispatcher.ahead.pop(case.incident["release"], None) if case else None
    if case is None:
        async with _reads(runtime) as session:
            case = await read_case(session, incident)
        if case is None or case.settled:
            return False
        ahead = runtime.own.dispatcher.ahead.pop(case.incident["release"], None)
    card = ahead.card if ahead else asyncio.create_task(_card(runtime, case))
    try:
        known = await _known(runtime, case, ahead)
        return await _conclude(runtime, *await _gather(runtime, case, known, card, news))
    finally:
        card.cancel()


@asynccontextmanager
async def _reads(runtime: Runtime) -> AsyncIterator[AsyncSession]:
    """A session that only reads, each statement what is committed by then."""
    async with runtime.sessions() as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session


async def _known(runtime: Runtime, case: Case, ahead: Ahead | None) -> Known:
    """What our own database tells: read ahead if nobody has been at the incident before."""
    if ahead is not None and ahead.known is not None and case.incident["kind"] == RELEASE and not case.incident["units"] and case.work["needs"] is None:
        found: Known | None = await ahead.known
        if found is not None:
            return found
    async with _reads(runtime) as session:
        return await read_known(session, case.incident["kind"], case.point, case.work["needs"], dispatch=case.work["dispatch"])


async def _gather(runtime: Runtime, case: Case, known: Known, card: asyncio.Task[Card], news: News) -> tuple[Case, Gathered]:
    """Wait for the outline, then ask for the ways around it, then see whether the card has come."""
    case = await _with_outline(runtime, case, news)
    left = [] if case.over or not case.work["dispatch"] else outstanding(known.needs, case.counted)
    gather_at = _gathering(case)
    asked = _asked(case, left, known.candidates)
    found = await _travel(runtime, case, asked, [gather_at, case.point], known.closures, sum(need.count for need in left))
    timed = [replace(one, travel_s=found.times.get(one.unit)) for one in asked]
    return case, Gathered(await card, found, timed, known.needs, known.hydrants, gather_at)


async def _travel(runtime: Runtime, case: Case, asked: Sequence[Candidate], places: Sequence[Place | None], closures: Closures, wanted: int) -> Travel:
    """Times and ways to the first of the places that roads lead to."""
    found = Travel("traffic")
    avoid = case.outline["geometry"] if case.outline else None
    for place in places:
        if place is not None and asked:
            found = await travel(runtime, asked, place, avoid, closures, wanted, patient=case.patient)
            if found.reason != OFF_ROAD:
                break
    return found


async def _card(runtime: Runtime, case: Case) -> Card:
    if case.point is None:
        return Card(None, "The incident has no place.")
    return await ask_card(runtime, *case.point, patient=case.patient)


async def _with_outline(runtime: Runtime, case: Case, news: News) -> Case:
    """The case with the outline, waited for as long as there is patience; it ends at once when it arrives."""
    until = time.monotonic() + case.patience_s
    while case.awaits_outline() and (left := until - time.monotonic()) > 0:
        said = await news.wait(left)
        if said and case.release and all(told is not None and told.wanted == case.wanted + place for place, told in enumerate(said, start=1)):
            for told in said:
                case = case.as_told(told.wanted, told.release) if told else case
        else:
            async with runtime.sessions() as session:
                case = await read_case(session, case.id) or case
    return case


def _gathering(case: Case) -> tuple[float, float] | None:
    if case.outline is None:
        return None
    outline = case.outline
    return staging(outline["lon"], outline["lat"], outline["wind_from_deg"], outline["isolation_m"], inside_of(outline))


def _asked(case: Case, left: Sequence[Need], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Units whose ways are wanted: those that might go, and those that are on their way."""
    under_way = [each.unit for each in case.sent if not each.arrived and each.unit.lon is not None]
    return [*under_way, *(worth_asking(left, candidates, *case.point) if case.point else ())]


async def _conclude(runtime: Runtime, case: Case, found: Gathered) -> bool:
    """Send and inform in one transaction, which ends the work that was seen; whether more was wanted meanwhile."""
    async with runtime.sessions() as session, session.begin():
        more = await served(session, runtime.own.dispatcher.name, case)
        if more is None:
            return False  # somebody else has taken it over
        now = datetime.now(UTC)
        sending = bool(case.work["dispatch"]) and not case.over
        going = await _send(session, runtime, case, found, now) if sending else []
        short = outstanding(found.needs, (*case.counted, *going)) if sending else []
        content = compose(case, found.card, found.travel, going, short, found.hydrants, found.gather_at)
        if case.said is not None or not case.over:
            await inform(session, runtime, case, content, now)
        if (short or content["missing"]) and not case.over and case.work["attempts"] < GIVE_UP:
            await try_again(session, case.id, RETRY_S[min(case.work["attempts"], len(RETRY_S) - 1)], short=bool(short))
    return more


async def _send(session: AsyncSession, runtime: Runtime, case: Case, found: Gathered, now: datetime) -> list[Candidate]:
    """Choose among the units that are still free, and assign them."""
    candidates = [one for one in found.candidates if one.unit not in case.kept_back]
    free = await reserve(session, [one.unit for one in candidates]) if candidates else set()
    left = outstanding(found.needs, case.counted)
    going = choose(left, (one for one in candidates if one.unit in free))
    if going:
        await send(session, runtime, case, going, found.travel, now)
        told = {"incident": case.id, "area": case.incident["area"], "regarding": case.incident["regarding"]}
        times = {"travel_s": [one.travel_s for one in going], "travel_times": found.travel.source}
        record(session, UnitsDispatched(**told, **times, units=[one.unit for one in going]))
    return going
