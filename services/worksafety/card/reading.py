"""The on-site card's one query: sites by the index on their points, then by distance, with all that hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import CTE, ColumnElement, Select, Table, Text, cast, func, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from services.worksafety.card.domain import EARTH_M, Around, around
from services.worksafety.models import enterprises, grades, inventories, outlines, releases, sites, substances, units
from shared.caller import Caller
from shared.places import covers

MOST = 200
"""Most sites and most releases that a card lists, the nearest."""
_SUBSTANCE = ("code", "cas", "un", "name_zh", "name_en", "classes", "guide", "dense_gas")
_HELD = ("id", "site", "unit", "substance", "q_now", "q_design", "counted_at")
_RELEASE = ("site", "substance", "un", "name_zh", "name_en", "rate_kg_s", "amount_kg", "began_at", "revision")
_OUTLINE = (
    *("revision", "method", "source", "valid", "isolation_m", "protective_m", "wind_from_deg", "wind_speed_m_s"),
    *("geometry", "computed_at", "lifted_at"),
)


async def near(connection: AsyncConnection, lon: float, lat: float, radius_m: float, caller: Caller) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sites and open releases within the radius, nearest first, one more than `MOST` if there are more; in one query."""
    lists = _lists(lon, lat, radius_m, caller)
    row = (await connection.execute(_one_row(lists))).one()
    found = {name: [dict(zip(rows.selected_columns.keys(), each, strict=True)) for each in row._mapping[name] or ()] for name, rows in lists.items()}
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
    return _one_row(_lists(lon, lat, radius_m, caller))


def _lists(lon: float, lat: float, radius_m: float, caller: Caller) -> dict[str, Select[Any]]:
    box = around(lon, lat, radius_m)
    near_by = _sites(lon, lat, radius_m, box, caller)
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
        "releases": _releases(lon, lat, radius_m, box, caller),
    }


def _one_row(lists: Mapping[str, Select[Any]]) -> Select[Any]:
    return select(*(_listed(rows, name) for name, rows in lists.items()))


def _listed(rows: Select[Any], name: str) -> ColumnElement[Any]:
    """The rows of a query as an array of records."""
    row = f"shown_{name}"
    return select(func.array_agg(literal_column(row), type_=NullType())).select_from(rows.subquery(row)).scalar_subquery().label(name)


def _within(table: Table, box: Around) -> ColumnElement[bool]:
    corners = func.box(func.point(box.west, box.south), func.point(box.east, box.north))
    return func.point(table.c.lon, table.c.lat).op("<@")(corners)


def _distance(table: Table, lon: float, lat: float) -> ColumnElement[float]:
    """Haversine, metres."""
    half = func.power(func.sind((table.c.lat - lat) / 2.0), 2) + func.power(func.sind((table.c.lon - lon) / 2.0), 2) * func.cosd(table.c.lat) * func.cosd(
        literal(lat)
    )
    return 2 * EARTH_M * func.asin(func.sqrt(func.least(half, 1)))


def _sites(lon: float, lat: float, radius_m: float, box: Around, caller: Caller) -> CTE:
    columns = [sites.c[name] for name in ("id", "name", "enterprise", "exposed", "area", "lon", "lat")]
    found = select(*columns, _distance(sites, lon, lat).label("distance_m")).where(_within(sites, box), covers(caller, sites.c.area)).subquery("found")
    nearest = select(found).where(found.c.distance_m <= radius_m).order_by(found.c.distance_m, found.c.id).limit(MOST + 1)
    return nearest.cte("near_by").prefix_with("MATERIALIZED")


def _releases(lon: float, lat: float, radius_m: float, box: Around, caller: Caller) -> Select[Any]:
    distance = _distance(releases, lon, lat).label("distance_m")
    columns = [releases.c[name] for name in (*_RELEASE, "lon", "lat")]
    open_ones = select(releases.c.id.label("release"), *columns, distance).where(
        releases.c.ended_at.is_(None), _within(releases, box), covers(caller, releases.c.area)
    )
    found = open_ones.subquery("escaping")
    newest = select(*(outlines.c[name] for name in _OUTLINE)).where(outlines.c.release == found.c.release).correlate(found).lateral("newest")
    return (
        select(found, cast(func.to_json(literal_column("newest")), Text).label("outline"))
        .outerjoin(newest, literal(True))
        .where(found.c.distance_m <= radius_m)
        .order_by(found.c.distance_m, found.c.release)
        .limit(MOST + 1)
    )
