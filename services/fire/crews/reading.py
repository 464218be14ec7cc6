"""Puts a message to the crews together from what was gathered, and finds messages that were written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Row, Select, Text, any_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.crews.client import Card
from services.fire.crews.domain import Missing, for_terminal, texts
from services.fire.dispatch.client import Travel
from services.fire.dispatch.domain import Candidate, Need
from services.fire.dispatch.reading import Case
from services.fire.models import crew_messages, units
from services.fire.stations.schemas import HydrantNear
from shared.caller import Caller
from shared.errors import NotFound
from shared.places import covers, lies_in
from shared.vocabulary import DataGrade, Personal

_INCIDENT = ("id", "kind", "priority", "area", "lon", "lat", "opened_at", "regarding")
Place = tuple[float, float]
Messages = Select[*tuple[Any, ...]]


def inside_of(outline: Mapping[str, Any] | None) -> Callable[[float, float], bool]:
    """Whether a point lies in the outline; nothing does while there is none."""
    if outline is None:
        return lambda _lon, _lat: False
    import orjson
    import shapely

    shape = shapely.from_geojson(orjson.dumps(outline["geometry"]), on_invalid="ignore")
    if shape is None:
        return lambda _lon, _lat: False
    shapely.prepare(shape)
    return lambda lon, lat: bool(shapely.intersects_xy(shape, lon, lat))


def compose(
    case: Case,
    card: Card,
    found: Travel,
    going: Sequence[Candidate],
    short: Sequence[Need],
    hydrants: Sequence[HydrantNear],
    gather: Place | None,
) -> dict[str, Any]:
    """The message's content, with its words."""
    outline = None
    if case.release is not None and case.release["outline"] is not None:
        outline = {**case.release["outline"], "lifted_at": _time(case.release["lifted_at"])}
    release = None
    if case.release is not None and case.release["report"] is not None:
        release = {**case.release["report"], "concluded_at": _time(case.release["concluded_at"])}
    crews = [_crew(one, found.times.get(one.unit, one.travel_s), found, arrived=False) for one in going]
    crews += [_crew(each.unit, found.times.get(each.unit.unit, each.travel_s), found, arrived=each.arrived) for each in case.sent]
    content: dict[str, Any] = {
        "incident": {name: _time(case.incident[name]) for name in _INCIDENT},
        "release": release,
        "outline": outline,
        "card": card.content,
        "units": sorted(crews, key=lambda crew: str(crew["unit"])),
        "gather_at": None if gather is None else {"lon": round(gather[0], 6), "lat": round(gather[1], 6)},
        "hydrants": [each.model_dump() for each in hydrants],
        "travel_times": found.source,
        "network": {"version": found.network, "as_of": found.as_of},
        "short": [{"unit_kinds": list(need.kinds), "count": need.count, "capability": need.capability} for need in short],
        "missing": [each.as_dict() for each in _missing(case, card, found, crews)],
    }
    return {**content, "texts": texts(content)}


def _time(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _crew(unit: Candidate, travel_s: float | None, found: Travel, *, arrived: bool) -> dict[str, Any]:
    """One unit's part: its way, and where it must stop."""
    route = None if arrived else found.routes.get(unit.unit)
    stop = (route or {}).get("ends_at")
    return {"unit": unit.unit, "kind": unit.kind, "arrived": arrived, "travel_s": None if arrived else travel_s, "route": route, "stop_at": stop}


def _missing(case: Case, card: Card, found: Travel, crews: Sequence[Mapping[str, Any]]) -> list[Missing]:
    missing = []
    if card.content is None:
        missing.append(Missing("card", "未能及时取得。", card.reason or "unknown"))
    if case.incident["release"] is not None and not case.over and (case.release is None or case.release["outline"] is None):
        missing.append(Missing("outline", "环境部门尚未给出；从上风向接近，保持距离。", "not computed yet; approach from upwind and keep away."))
    under_way = [crew for crew in crews if not crew["arrived"]]
    if under_way and any(crew["route"] is None for crew in under_way):
        why = found.reason or "no way was found for some units."
        missing.append(Missing("routes", "部分或全部单位没有路线。", why))
    return missing


def messages_of(incident: str, caller: Caller) -> Messages:
    """The incident's messages that a caller may see."""
    return select(crew_messages).where(crew_messages.c.incident == incident, covers(caller, crew_messages.c.area))


async def found_message(session: AsyncSession, incident: str, revision: int | None, caller: Caller) -> Row[*tuple[Any, ...]]:
    """One revision, the newest if none is named."""
    query = messages_of(incident, caller)
    query = query.where(crew_messages.c.revision == revision) if revision is not None else query.order_by(crew_messages.c.revision.desc()).limit(1)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NotFound(f"There is no message to the crews of incident {incident[:100]!r}{f' with revision {revision}' if revision else ''}.")
    return found


async def messages_for(session: AsyncSession, unit: str, caller: Caller, after: int, limit: int) -> list[Row[*tuple[Any, ...]]]:
    """What a unit's terminal has not had yet, in the order in which it was said."""
    asked = {"after": after, "unit": unit, "most": limit}
    return list(await session.execute(_said_since(caller.areas), asked))


@lru_cache(maxsize=100)
def _said_since(areas: tuple[str, ...]) -> Messages:
    """Put together once for terminals of the same areas: each looks whenever something was said."""
    query = select(crew_messages).where(crew_messages.c.position > bindparam("after", type_=BigInteger), lies_in(areas, crew_messages.c.area))
    query = query.where(bindparam("unit", type_=Text) == any_(crew_messages.c.units))
    return query.order_by(crew_messages.c.position).limit(bindparam("most", type_=BigInteger))


async def check_unit(session: AsyncSession, unit: str, caller: Caller) -> None:
    """`NotFound` unless the caller sees the unit."""
    if (await session.scalar(select(units.c.code).where(units.c.code == unit, covers(caller, units.c.area)))) is None:
        raise NotFound(f"There is no unit {unit[:100]!r}.")


def shown_message(row: Any, caller: Caller) -> dict[str, Any]:
    """A message as this caller may have it: the on-site card only with clearance for important data."""
    content = for_terminal(row.content, important=caller.clearance.covers(DataGrade.IMPORTANT, Personal.NONE))
    missing = sorted({each["what"] for each in content["missing"]})
    return {"incident": row.incident, "revision": row.revision, "created_at": row.created_at, "units": row.units, "missing": missing, "content": content}
