"""What is to be done for an incident, kept as a row; units reserved so that no two incidents have the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, BindParameter, Boolean, DateTime, Double, Integer, Row, SmallInteger, Text, bindparam, func, literal, select, text, update
from sqlalchemy import case as when
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from services.fire.calls.actions import identifier, sum_up
from services.fire.calls.domain import GOOD, Response, summed_up
from services.fire.dispatch.client import Travel
from services.fire.dispatch.domain import Candidate
from services.fire.dispatch.reading import Case
from services.fire.models import incident_work, unit_status
from services.fire.state import Told
from services.fire.stations.domain import AVAILABLE
from shared.outbox.record import when_committed
from shared.runtime import Runtime


def _typed(names: str, kind: Any) -> list[BindParameter[Any]]:
    return [bindparam(name, type_=kind) for name in names.split()]


LEASE_S = 6.0
"""How long a claim holds; a little longer than the work may take. A dead process's work is found again after it."""
_WANT = text("""
    INSERT INTO incident_work AS kept (incident, dispatch, needs, wanted, reroute, outline_until, claimed_by, claimed_until)
    SELECT :incident, :dispatch, :needs, 1, :reroute,
        clock_timestamp() + make_interval(secs => :patience_s), :me, clock_timestamp() + make_interval(secs => :lease_s)
    WHERE :make OR EXISTS (SELECT FROM incident_work WHERE incident = :incident)
    ON CONFLICT (incident) DO UPDATE SET
        dispatch = kept.dispatch OR excluded.dispatch, needs = coalesce(excluded.needs, kept.needs), wanted = kept.wanted + 1, attempts = 0,
        reroute = kept.reroute OR excluded.reroute, outline_until = coalesce(kept.outline_until, excluded.outline_until),
        claimed_by = CASE WHEN kept.claimed_until > clock_timestamp() THEN kept.claimed_by ELSE excluded.claimed_by END,
        claimed_until = CASE WHEN kept.claimed_until > clock_timestamp() THEN kept.claimed_until ELSE excluded.claimed_until END
    RETURNING claimed_by = :me AS mine, kept.*
""").bindparams(
    bindparam("needs", type_=JSONB(none_as_null=True)),
    *_typed("incident me", Text),
    *_typed("dispatch reroute make", Boolean),
    *_typed("patience_s lease_s", Double),
)
CLAIMED = 16
"""Most incidents that a process claims at once; the others are found by the next look, or by another process."""
_CLAIM = text("""
    UPDATE incident_work SET claimed_by = :me, claimed_until = clock_timestamp() + make_interval(secs => :lease_s) WHERE incident IN (
        SELECT incident FROM incident_work
        WHERE (served < wanted AND retry_at IS NULL OR retry_at <= clock_timestamp() OR retry_at IS NOT NULL AND dispatch AND :short)
            AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
        ORDER BY incident LIMIT :most FOR UPDATE SKIP LOCKED
    ) RETURNING incident
""").bindparams(*_typed("me", Text), *_typed("lease_s", Double), *_typed("short", Boolean), *_typed("most", Integer))
_SEND = text("""
    WITH called AS (
        INSERT INTO calls (id, registry, number, incident, kind, priority, received_at, area, lon, lat, units, dispatched_at, handling_s, quality, recorded_by)
        SELECT :call, :registry, :number, id, kind, priority, opened_at, area, lon, lat, cardinality(:units), :now, :handling_s, :quality, :by
        FROM incidents WHERE id = :incident AND :new
        ON CONFLICT DO NOTHING RETURNING id
    ), joined AS (
        INSERT INTO incident_calls (call, incident) SELECT :call, :incident WHERE :new ON CONFLICT DO NOTHING
    ), sent AS (
        INSERT INTO assignments (incident, unit, assigned_at, first, travel_s, travel_times)
        SELECT :incident, given.unit, :now, :first, given.travel_s, :source FROM unnest(:units, CAST(:travel_s AS float8[])) AS given (unit, travel_s)
    ), told AS (
        INSERT INTO unit_reports (unit, at, state, incident, recorded_by) SELECT unit, :now, 'dispatched', :incident, :by FROM unnest(:units) AS unit
        ON CONFLICT DO NOTHING
    ), answered AS (
        INSERT INTO responses (id, call, unit, unit_kind, dispatched_at, quality, recorded_by)
        SELECT :call || ':' || given.unit, :call, given.unit, given.kind, :now, 1, :by FROM unnest(:units, :kinds) AS given (unit, kind)
        ON CONFLICT (id) DO NOTHING
    ), moved AS (
        UPDATE unit_status SET state = 'dispatched', state_at = :now, incident = :incident, recorded_by = :by WHERE unit = ANY(:units)
    )
    UPDATE incidents SET units = units + cardinality(:units), dispatched_at = coalesce(dispatched_at, :now),
        state = CASE state WHEN 'open' THEN 'dispatched' ELSE state END, call = :call, recorded_by = :by
    WHERE id = :incident RETURNING EXISTS (SELECT FROM called)
""").bindparams(
    *_typed("units kinds", ARRAY(Text)),
    *_typed("incident call by source registry number", Text),
    *_typed("now", DateTime(timezone=True)),
    *_typed("first new", Boolean),
    *_typed("handling_s", Double),
    *_typed("quality", SmallInteger),
)
"""A release is reported by another sector, not called in; its units' times need a call all the same (`new`). Units were locked before: `reserve`."""


async def want(
    session: AsyncSession,
    runtime: Runtime,
    incident: str,
    *,
    dispatch: bool = False,
    needs: Sequence[dict[str, Any]] | None = None,
    reroute: bool = False,
    patience_s: float | None = None,
    release: Mapping[str, Any] | None = None,
) -> None:
    """Say that the incident must be looked at again. A first look is made only for `dispatch`. `release`: columns of the release, if they are all that is new.

    The process that says so also claims the work, unless another is at it: after the commit it begins at once.
    """
    dispatcher = runtime.own.dispatcher
    found = await _want(session, runtime, incident, dispatch=dispatch, needs=needs, reroute=reroute, patience_s=patience_s)
    if found is not None:
        told = Told(found.wanted, release) if release else None
        when_committed(session, lambda: dispatcher.begin(incident, mine=found.mine, told=told))


async def want_first(session: AsyncSession, runtime: Runtime, incident: Mapping[str, Any], release: Mapping[str, Any], patience_s: float) -> None:
    """Want the first look at an incident that this transaction opened for a release, both given as rows: the look need not read them again."""
    found = await _want(session, runtime, incident["id"], dispatch=True, patience_s=patience_s)
    if found is not None:
        work = {**found._mapping, "needs": None}
        case = Case(incident, work, release, said=None, sent=(), left=(), patience_s=patience_s) if found.mine and found.wanted == 1 else None
        when_committed(session, lambda: runtime.own.dispatcher.begin(incident["id"], mine=found.mine, case=case))


async def _want(
    session: AsyncSession,
    runtime: Runtime,
    incident: str,
    *,
    dispatch: bool,
    needs: Sequence[dict[str, Any]] | None = None,
    reroute: bool = False,
    patience_s: float | None = None,
) -> Row[*tuple[Any, ...]] | None:
    values = {"incident": incident, "dispatch": dispatch, "needs": list(needs) if needs is not None else None, "reroute": reroute, "make": dispatch}
    return (await session.execute(_WANT, {**values, "patience_s": patience_s, "me": runtime.own.dispatcher.name, "lease_s": LEASE_S})).one_or_none()


_FREE = (
    select(unit_status.c.unit)
    .where(unit_status.c.unit == func.any(bindparam("names", type_=ARRAY(Text))), unit_status.c.state.in_(AVAILABLE), unit_status.c.incident.is_(None))
    .order_by(unit_status.c.unit)
    .with_for_update()
)


async def reserve(session: AsyncSession, names: Sequence[str]) -> set[str]:
    """Those of the units that can still be sent, locked until the transaction ends; all dispatches lock in one order."""
    return set(await session.scalars(_FREE, {"names": list(names)}))


async def send(session: AsyncSession, runtime: Runtime, case: Case, going: Sequence[Candidate], found: Travel, now: datetime) -> None:
    """Assign reserved units to the incident, with their responses, in one statement."""
    by, city, known = runtime.settings.audience, runtime.settings.city, case.incident["call"]
    number = f"release-{case.incident['release'] or case.id}"
    call = known or identifier(city, number)
    sums = summed_up(case.incident["opened_at"], None, [Response(now, None, None, GOOD)])
    values = {
        "incident": case.id,
        "call": call,
        "registry": city,
        "number": number,
        "new": known is None,
        "handling_s": sums.handling_s,
        "quality": sums.quality,
        "by": by,
        "now": now,
        "first": not (case.sent or case.left),
        "source": found.source,
        "units": [one.unit for one in going],
        "kinds": [one.kind for one in going],
        "travel_s": [one.travel_s for one in going],
    }
    made = await session.scalar(_SEND, values)
    if not made:
        await sum_up(session, [call], by)


async def served(session: AsyncSession, dispatcher_name: str, case: Case) -> bool | None:
    """Mark the work as done as far as `case` saw it; None if somebody else has taken it over; True if more was wanted meanwhile, which is then ours."""
    found: bool | None = await session.scalar(_SERVED, {"case": case.id, "me": dispatcher_name, "seen": case.wanted})
    return found


def _served() -> ReturningUpdate[tuple[bool]]:
    more = incident_work.c.wanted > bindparam("seen", type_=BigInteger)
    mine = (incident_work.c.incident == bindparam("case"), incident_work.c.claimed_by == bindparam("me"))
    values: dict[str, Any] = {
        "served": bindparam("seen", type_=BigInteger),
        "dispatch": when((more, incident_work.c.dispatch), else_=literal(False)),
        "reroute": when((more, incident_work.c.reroute), else_=literal(False)),
        "attempts": incident_work.c.attempts + 1,
        "retry_at": None,
        "claimed_until": when((more, _soon(LEASE_S)), else_=None),
    }
    return update(incident_work).where(*mine).values(**values).returning(more)


async def try_again(session: AsyncSession, incident: str, wait_s: float, *, short: bool) -> None:
    """Something was missing: look again later, and send what is short then."""
    dispatch = {"dispatch": True} if short else {}
    await session.execute(update(incident_work).where(incident_work.c.incident == incident).values(retry_at=_soon(wait_s), **dispatch))


async def give_back(session: AsyncSession, dispatcher_name: str, incident: str) -> None:
    """A look failed: its claim ends, and it is tried again in a moment."""
    mine = (incident_work.c.incident == incident, incident_work.c.claimed_by == dispatcher_name)
    values = {"claimed_until": None, "attempts": incident_work.c.attempts + 1, "retry_at": _soon(1.0)}
    await session.execute(update(incident_work).where(*mine).values(**values))


async def claim_due(session: AsyncSession, dispatcher_name: str, *, retry_short: bool) -> list[str]:
    """Claim what is wanted and nobody is at: undone work of the dead, and what was to be tried again; `retry_short`: a unit has become free."""
    due = {"me": dispatcher_name, "lease_s": LEASE_S, "short": retry_short, "most": CLAIMED}
    return list(await session.scalars(_CLAIM, due))


def _soon(seconds: float) -> Any:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


_SERVED = _served()
