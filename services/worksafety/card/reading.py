"""The on-site card's one query: sites by the index on their points, then by distance, with all that hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import CTE, ColumnElement, Double, Select, Table, Text, bindparam, cast, func, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from services.worksafety.card.domain import EARTH_M, around
from services.worksafety.models import enterprises, grades, inventories, outlines, releases, sites, substances, units
from shared.caller import Caller
from shared.places import lies_in

MOST = 200
"""Most sites and most releases that a card lists, the nearest."""
_LON, _LAT, _RADIUS, _WEST, _SOUTH, _EAST, _NORTH = (bindparam(name, type_=Double) for name in ("lon", "lat", "radius_m", "west", "south", "east", "north"))
_SUBSTANCE = ("code", "cas", "un", "name_zh", "name_en", "classes", "guide", "dense_gas")
_HELD = ("id", "site", "unit", "substance", "q_now", "q_design", "counted_at")
_RELEASE = ("site", "substance", "un", "name_zh", "name_en", "rate_kg_s", "amount_kg", "began_at", "revision")
_OUTLINE = (
    *("revision", "method", "source", "valid", "isolation_m", "protective_m", "wind_from_deg", "wind_speed_m_s"),
    *("geometry", "computed_at", "lifted_at"),
)


async def near(connection: AsyncConnection, lon: float, lat: float, radius_m: float, caller: Caller) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sites and open releases within the radius, nearest first, one more than `MOST` if there are more; in one query."""
    query, columns = _card(caller.areas)
    row = (await connection.execute(query, _asked(lon, lat, radius_m))).one()
    found = {name: [dict(zip(names, each, strict=True)) for each in row._mapping[name] or ()] for name, names in columns.items()}
    escaping = [release | {"outline": orjson.loads(release["outline"]) if release["outline"] else None} for release in found["releases"]]
    return put_together(found["sites"], found["units"], found["held"], found["substances"]), escaping


def put_together(
    sites: Sequence[Mapping[str, Any]], units: Sequence[Mapping[str, Any]], held: Sequence[Mapping[str, Any]], substances: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The sites with their `units` and `substances`, each in the order of ids."""
    described = {each["code"]: each for each in substances}
    units_of: dict[str, list[dict[str, Any]]] = {site["id"]: [] for site in sites}
    held_of: dict[str, list[dict[str, Any]]] = {site["id"]: [] for site in sites}
    for unit in sorted(units, key=itemgetter("unit")):
        units_of[unit["site"]].append(_without(unit, "site"))
    for each in sorted(held, key=itemgetter("id")):
        held_of[each["site"]].append(dict(described[each["substance"]]) | _without(each, "site", "id", "substance"))
    return [{**site, "units": units_of[site["id"]], "substances": held_of[site["id"]]} for site in sites]


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def card_query(lon: float, lat: float, radius_m: float, caller: Caller) -> Select[Any]:
    """One row of arrays of rows, null where there is nothing: `sites`, their `units` and what they `held`, its `substances`, and `releases`.

    Flat lists, put together afterwards, and as rows, not JSON: that costs half as much as lists within lists.
    """
    return _card(caller.areas)[0].params(_asked(lon, lat, radius_m))


def _asked(lon: float, lat: float, radius_m: float) -> dict[str, float]:
    return {"lon": lon, "lat": lat, "radius_m": radius_m, **asdict(around(lon, lat, radius_m))}


@lru_cache(maxsize=100)
def _card(areas: tuple[str, ...]) -> tuple[Select[Any], dict[str, list[str]]]:
    """The query for callers of these areas, and the columns of its lists. To put it together takes longer than to run it."""
    lists = _lists(areas)
    query = select(*(_listed(rows, name) for name, rows in lists.items()))
    return query, {name: list(rows.selected_columns.keys()) for name, rows in lists.items()}


def _lists(areas: tuple[str, ...]) -> dict[str, Select[Any]]:
    near_by = _sites(areas)
    owned = select(near_by, enterprises.c.name.label("enterprise_name")).outerjoin(enterprises, enterprises.c.id == near_by.c.enterprise)
    graded = select(units.c.site, units.c.id.label("unit"), units.c.name, units.c.kind, grades.c.grade, grades.c.r, grades.c.edition)
    graded = graded.join(near_by, units.c.site == near_by.c.id).outerjoin(grades, grades.c.unit == units.c.id)
    stored = select(*(inventories.c[name] for name in _HELD)).join(near_by, inventories.c.site == near_by.c.id).cte("stored").prefix_with("MATERIALIZED")
    known = select(*(substances.c[name] for name in _SUBSTANCE)).where(substances.c.code.in_(select(stored.c.substance)))
    return {
        "sites": owned.order_by(near_by.c.distance_m, near_by.c.id),
        "units": graded,
        "held": select(stored),
        "substances": known,
        "releases": _releases(areas),
    }


def _listed(rows: Select[Any], name: str) -> ColumnElement[Any]:
    """The rows of a query as an array of records."""
    row = f"shown_{name}"
    return select(func.array_agg(literal_column(row), type_=NullType())).select_from(rows.subquery(row)).scalar_subquery().label(name)


def _within(table: Table) -> ColumnElement[bool]:
    corners = func.box(func.point(_WEST, _SOUTH), func.point(_EAST, _NORTH))
    return func.point(table.c.lon, table.c.lat).op("<@")(corners)


def _distance(table: Table) -> ColumnElement[float]:
    """Haversine, metres."""
    half = func.power(func.sind((table.c.lat - _LAT) / 2.0), 2) + func.power(func.sind((table.c.lon - _LON) / 2.0), 2) * func.cosd(table.c.lat) * func.cosd(
        _LAT
    )
    return 2 * EARTH_M * func.asin(func.sqrt(func.least(half, 1)))


def _sites(areas: tuple[str, ...]) -> CTE:
    columns = [sites.c[name] for name in ("id", "name", "enterprise", "exposed", "area", "lon", "lat")]
    found = select(*columns, _distance(sites).label("distance_m")).where(_within(sites), lies_in(areas, sites.c.area)).subquery("found")
    nearest = select(found).where(found.c.distance_m <= _RADIUS).order_by(found.c.distance_m, found.c.id).limit(MOST + 1)
    return nearest.cte("near_by").prefix_with("MATERIALIZED")


def _releases(areas: tuple[str, ...]) -> Select[Any]:
    distance = _distance(releases).label("distance_m")
    columns = [releases.c[name] for name in (*_RELEASE, "lon", "lat")]
    open_ones = select(releases.c.id.label("release"), *columns, distance).where(
        releases.c.ended_at.is_(None), _within(releases), lies_in(areas, releases.c.area)
    )
    found = open_ones.subquery("escaping")
    newest = select(*(outlines.c[name] for name in _OUTLINE)).where(outlines.c.release == found.c.release).correlate(found).lateral("newest")
    return (
        select(found, cast(func.to_json(literal_column("newest")), Text).label("outline"))
        .outerjoin(newest, literal(True))
        .where(found.c.distance_m <= _RADIUS)
        .order_by(found.c.distance_m, found.c.release)
        .limit(MOST + 1)
    )
