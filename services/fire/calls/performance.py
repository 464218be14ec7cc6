"""How responses kept to the standards, in one query over what the caller may see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Double, Select, and_, case, func, literal, select, true, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.fire.calls.domain import STANDARDS, Standard, is_met
from services.fire.calls.schemas import Performance
from services.fire.models import assignments, calls, incidents, responses, units

_FROM_DISPATCH = func.extract("epoch", responses.c.on_scene_at - responses.c.dispatched_at).cast(Double)
_FIRST_ENGINE = (
    select(responses.c.call, responses.c.travel_s, _FROM_DISPATCH.label("from_dispatch_s"))
    .ext(distinct_on(responses.c.call))
    .where(responses.c.unit_kind == "engine", responses.c.on_scene_at.is_not(None))
    .order_by(responses.c.call, responses.c.on_scene_at)
    .subquery("first_engine")
)
_ASSEMBLY = (
    select(incidents.c.call, func.max(responses.c.travel_s).label("travel_s"))
    .join(assignments, and_(assignments.c.incident == incidents.c.id, assignments.c.first))
    .join(responses, responses.c.id == incidents.c.call + ":" + assignments.c.unit)
    .where(incidents.c.assembled_at.is_not(None))
    .group_by(incidents.c.call)
    .having(func.count(responses.c.travel_s) == func.count())
    .subquery("assembly")
)


def of_station(station: str) -> ColumnElement[bool]:
    """Calls to which a unit of this station responded."""
    responded = select(responses.c.call).join(units, units.c.code == responses.c.unit).where(units.c.station == station)
    return calls.c.id.in_(responded)


async def performance(
    reader: AsyncConnection | AsyncSession, rows: ColumnElement[bool], since: datetime, until: datetime, standards: Sequence[Standard] = STANDARDS
) -> list[Performance]:
    """Each standard with the responses that count for it; `rows` says which calls exist for the caller, times are half-open."""
    within = and_(rows, calls.c.received_at >= since, calls.c.received_at < until)
    found = {row.code: row for row in await reader.execute(union_all(*(_counted(standard, within) for standard in standards)))}
    return [
        Performance(
            code=standard.code,
            source=standard.source,
            limit_s=standard.limit_s,
            required_share=standard.share,
            counted=found[standard.code].counted,
            within=found[standard.code].within,
            met=is_met(standard, found[standard.code].counted, found[standard.code].within),
        )
        for standard in standards
    ]


def _counted(standard: Standard, calls_within: ColumnElement[bool]) -> Select[str, int, int]:
    measured, source = {
        "handling": (calls.c.handling_s, calls),
        "turnout": (responses.c.turnout_s, calls.join(responses, responses.c.call == calls.c.id)),
        "first_engine_travel": (_FIRST_ENGINE.c.travel_s, calls.join(_FIRST_ENGINE, _FIRST_ENGINE.c.call == calls.c.id)),
        "assembly_travel": (_ASSEMBLY.c.travel_s, calls.join(_ASSEMBLY, _ASSEMBLY.c.call == calls.c.id)),
        "first_engine_from_dispatch": (_FIRST_ENGINE.c.from_dispatch_s, calls.join(_FIRST_ENGINE, _FIRST_ENGINE.c.call == calls.c.id)),
    }[standard.measure]
    spoken_of = calls.c.kind.in_(standard.kinds) if standard.kinds else true()
    kept = func.count(case((measured <= standard.limit_s, 1)))
    return (
        select(literal(standard.code).label("code"), func.count(measured).label("counted"), kept.label("within"))
        .select_from(source)
        .where(calls_within, spoken_of, measured >= 0)
    )
