"""The on-site card's one query: sites by the index on their points, then by distance, with all that hangs on them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.worksafety.card.domain import EARTH_M, Around, around
from services.worksafety.models import enterprises, grades, inventories, outlines, releases, sites, substances, units
from shared.caller import Caller
from shared.places import covers

MOST = 200
"""Most sites and most releases that a card lists, the nearest."""
_SUBSTANCE = ("code", "cas", "un", "name_zh", "name_en", "classes", "guide", "dense_gas")
_RELEASE = ("site", "substance", "un", "name_zh", "name_en", "rate_kg_s", "amount_kg", "began_at", "revision")
_OUTLINE = (
    *("revision", "method", "source", "valid", "isolation_m", "protective_m", "wind_from_deg", "wind_speed_m_s"),
    *("geometry", "computed_at", "lifted_at"),
)


async def near(connection: AsyncConnection, lon: float, lat: float, radius_m: float, caller: Caller) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sites and open releases within the radius, nearest first, one more than `MOST` if there are more; in one query."""
    row = (await connection.execute(card_query(lon, lat, radius_m, caller))).one()
    return row.sites or [], row.releases or []


def card_query(lon: float, lat: float, radius_m: float, caller: Caller) -> Select[Any]:
    """One row: `sites` and `releases` as JSON, null where there are none."""
    box = around(lon, lat, radius_m)
    shown_sites = _sites(lon, lat, radius_m, box, caller).subquery("shown_sites")
    shown_releases = _releases(lon, lat, radius_m, box, caller).subquery("shown_releases")
    return select(
        select(func.json_agg(literal_column("shown_sites"))).select_from(shown_sites).scalar_subquery().label("sites"),
        select(func.json_agg(literal_column("shown_releases"))).select_from(shown_releases).scalar_subquery().label("releases"),
    )


def _within(table: Table, box: Around) -> ColumnElement[bool]:
    corners = func.box(func.point(box.west, box.south), func.point(box.east, box.north))
    return func.point(table.c.lon, table.c.lat).op("<@")(corners)


def _distance(table: Table, lon: float, lat: float) -> ColumnElement[float]:
    """Haversine, metres."""
    half = func.power(func.sind((table.c.lat - lat) / 2), 2) + func.power(func.sind((table.c.lon - lon) / 2), 2) * func.cosd(table.c.lat) * func.cosd(
        literal(lat)
    )
    return 2 * EARTH_M * func.asin(func.sqrt(func.least(half, 1)))


def _sites(lon: float, lat: float, radius_m: float, box: Around, caller: Caller) -> Select[Any]:
    columns = [sites.c[name] for name in ("id", "name", "enterprise", "exposed", "area", "lon", "lat")]
    found = select(*columns, _distance(sites, lon, lat).label("distance_m")).where(_within(sites, box), covers(caller, sites.c.area)).subquery("found")
    graded = select(units.c.id.label("unit"), units.c.name, units.c.kind, grades.c.grade, grades.c.r, grades.c.edition)
    graded = graded.outerjoin(grades, grades.c.unit == units.c.id).where(units.c.site == found.c.id).order_by(units.c.id).correlate(found)
    held = select(inventories.c.unit, *(substances.c[name] for name in _SUBSTANCE), *(inventories.c[name] for name in ("q_now", "q_design", "counted_at")))
    held = held.join(substances, substances.c.code == inventories.c.substance).where(inventories.c.site == found.c.id).order_by(inventories.c.id)
    return (
        select(
            found,
            select(enterprises.c.name).where(enterprises.c.id == found.c.enterprise).scalar_subquery().label("enterprise_name"),
            _listed(graded, "graded").label("units"),
            _listed(held.correlate(found), "held").label("substances"),
        )
        .where(found.c.distance_m <= radius_m)
        .order_by(found.c.distance_m, found.c.id)
        .limit(MOST + 1)
    )


def _releases(lon: float, lat: float, radius_m: float, box: Around, caller: Caller) -> Select[Any]:
    distance = _distance(releases, lon, lat).label("distance_m")
    columns = [releases.c[name] for name in (*_RELEASE, "lon", "lat")]
    open_ones = select(releases.c.id.label("release"), *columns, distance).where(
        releases.c.ended_at.is_(None), _within(releases, box), covers(caller, releases.c.area)
    )
    found = open_ones.subquery("escaping")
    newest = select(*(outlines.c[name] for name in _OUTLINE)).where(outlines.c.release == found.c.release).correlate(found).lateral("newest")
    return (
        select(found, func.to_json(literal_column("newest")).label("outline"))
        .outerjoin(newest, literal(True))
        .where(found.c.distance_m <= radius_m)
        .order_by(found.c.distance_m, found.c.release)
        .limit(MOST + 1)
    )


def _listed(rows: Select[Any], name: str) -> ColumnElement[Any]:
    """The rows of a correlated query as a JSON array."""
    return select(func.coalesce(func.json_agg(literal_column(name)), literal_column("'[]'::json"))).select_from(rows.subquery(name)).scalar_subquery()
