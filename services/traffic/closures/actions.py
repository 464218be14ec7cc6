"""Opens, revises and ends closures, and tells of each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import ColumnElement, Float, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from services.traffic.closures.schemas import ClosureIn, Revised
from services.traffic.models import closures
from services.traffic.routing.reading import Roads
from shared.caller import Caller
from shared.errors import Conflict, InvalidBody, NotFound
from shared.events.env import OutlineComputed
from shared.events.traffic import ClosureEnded, ClosureOpened
from shared.outbox.record import record, when_committed
from shared.places import covers
from shared.row_models import EARLIEST
from shared.runtime import Runtime

SHOWN = tuple(column.name for column in closures.columns if column.name not in ("extent", "recorded_at", "recorded_by", "outline"))
COLUMNS = tuple(closures.c[name] for name in SHOWN)
LATEST = timedelta(days=3660)
"""Nothing is planned further ahead."""
MOST_LOCATED = 1_000
"""Closed arcs whose area is looked at."""


async def open_closure(session: AsyncSession, given: ClosureIn, caller: Caller, runtime: Runtime, now: datetime, closure_id: str) -> RowMapping:
    """Close roads now or at a time to come. Raises `InvalidBody` for times, areas and geometries that cannot be."""
    begins_at, geometry = given.begins_at or now, given.geometry.model_dump()
    _check_times(begins_at, given.ends_at, now)
    measured = await _measured(runtime.own.roads, geometry)
    area = await _area(runtime, caller, given.area, measured["middle"])
    await _check_reach(runtime, caller, measured["reached"])
    row = {"id": closure_id, "revision": 1, "reason": given.reason, "note": given.note, "begins_at": begins_at, "ends_at": given.ends_at}
    row |= {"regarding": given.regarding, "area": area, "geometry": geometry, "arcs": measured["arcs"], "network": measured["network"]}
    made = insert(closures).values(**row, extent=_box(measured["box"]), recorded_by=caller.subject).returning(*COLUMNS)
    return _told(session, (await session.execute(made)).mappings().one(), runtime)


async def revise_closure(session: AsyncSession, known: RowMapping, given: Revised, caller: Caller, runtime: Runtime, now: datetime) -> RowMapping:
    """Put other times or another geometry in the place of the present ones."""
    _refuse_unless_open(known)
    changes: dict[str, Any] = given.model_dump(exclude_unset=True, exclude={"geometry"})
    if changes.get("begins_at", now) is None:
        raise InvalidBody("A closure has a beginning.", pointer="/begins_at")
    _check_times(changes.get("begins_at") or known["begins_at"], changes.get("ends_at", known["ends_at"]), now)
    if given.geometry is not None:
        geometry = given.geometry.model_dump()
        measured = await _measured(runtime.own.roads, geometry)
        await _check_reach(runtime, caller, measured["reached"])
        changes |= {"geometry": geometry, "extent": _box(measured["box"]), "arcs": measured["arcs"], "network": measured["network"]}
    return _told(session, await _updated(session, known["id"], changes, caller.subject), runtime)


async def end_closure(session: AsyncSession, known: RowMapping, caller: Caller, runtime: Runtime, now: datetime) -> RowMapping:
    """Open the roads again. Ended twice, it stays as it was."""
    if known["ended_at"] is not None:
        return known
    _refuse_unless_open(known)
    return _ended(session, await _updated(session, known["id"], {"ended_at": now}, caller.subject), runtime)


async def found_closure(connection: AsyncSession | AsyncConnection, closure_id: str, caller: Caller, *, lock: bool = False) -> RowMapping:
    """A closure with geometry that exists for the caller. Raises `NotFound`."""
    query = select(*COLUMNS).where(closures.c.id == closure_id, closures.c.geometry.is_not(None), covers(caller, closures.c.area))
    found = (await connection.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    if found is None:
        raise NotFound(f"There is no closure {closure_id[:100]!r}.")
    return found


def _outlined() -> ReturningInsert[tuple[Any, ...]]:
    changing = ("outline", "geometry", "extent", "arcs", "network", "recorded_by")
    new: dict[str, Any] = {name: bindparam(name) for name in ("id", "reason", "release", "begins_at", "regarding", "area", *changing)}
    merged = insert(closures).values(**new, revision=1)
    newer = merged.on_conflict_do_update(
        index_elements=["release"],
        set_={name: merged.excluded[name] for name in changing} | {"revision": closures.c.revision + 1},
        where=(closures.c.outline < merged.excluded.outline) & closures.c.ended_at.is_(None),
    )
    return newer.returning(*COLUMNS)


_OUTLINED = _outlined()


async def close_outline(session: AsyncSession, event: OutlineComputed, by: str) -> None:
    """One closure for each release, as large as its newest outline. An older outline, or one of a release that is over, changes nothing."""
    runtime: Runtime = session.info["runtime"]
    roads: Roads = runtime.own.roads
    measured = await asyncio.to_thread(_closing, await roads.first_network(), roads.masks, event.geometry)
    west, south, east, north = measured["box"]
    row = {"id": f"release-{event.release}", "reason": "release", "release": event.release, "begins_at": event.computed_at, "outline": event.revision}
    row |= {"regarding": event.regarding or f"releases/{event.release}", "area": event.area or runtime.settings.city[:4], "geometry": event.geometry}
    row |= {"extent": asyncpg.Box((east, north), (west, south)), "arcs": measured["arcs"], "network": measured["network"], "recorded_by": by}
    found = (await session.execute(_OUTLINED, row)).mappings().one_or_none()
    if found is not None:
        _told(session, found, runtime)


async def open_outline(session: AsyncSession, release: str, lifted_at: datetime, area: str | None, by: str) -> None:
    """The release is over. If its outline has not come yet, it will close nothing when it does."""
    runtime: Runtime = session.info["runtime"]
    over = {"ended_at": lifted_at, "recorded_by": by}
    unseen = {"id": f"release-{release}", "revision": 1, "reason": "release", "release": release, "begins_at": lifted_at, "arcs": 0}
    unseen |= {"regarding": f"releases/{release}", "area": area or runtime.settings.city[:4]}
    merged = insert(closures).values(**unseen, **over)
    again = {**over, "revision": closures.c.revision + 1}
    merged = merged.on_conflict_do_update(index_elements=["release"], set_=again, where=closures.c.ended_at.is_(None))
    found = (await session.execute(merged.returning(*COLUMNS))).mappings().one_or_none()
    if found is not None and found["geometry"] is not None:
        _ended(session, found, runtime)


async def end_due(session: AsyncSession, now: datetime, runtime: Runtime) -> int:
    """End the closures whose time has come; how many."""
    due = select(closures.c.id).where(closures.c.ended_at.is_(None), closures.c.ends_at <= now).order_by(closures.c.id).limit(500)
    ending = update(closures).where(closures.c.id.in_(due.with_for_update(skip_locked=True)))
    values = {"ended_at": closures.c.ends_at, "revision": closures.c.revision + 1, "recorded_by": f"service:{runtime.service.name}"}
    found = (await session.execute(ending.values(values).returning(*COLUMNS))).mappings().all()
    for row in found:
        _ended(session, row, runtime)
    return len(found)


def _check_times(begins_at: datetime, ends_at: datetime | None, now: datetime) -> None:
    for name, at in (("begins_at", begins_at), ("ends_at", ends_at)):
        if at is not None and not EARLIEST <= at <= now + LATEST:
            raise InvalidBody(f"{at.isoformat()} is too far from now.", pointer=f"/{name}")
    if ends_at is not None and ends_at <= begins_at:
        raise InvalidBody("ends_at comes after begins_at.", pointer="/ends_at")


def _refuse_unless_open(known: RowMapping) -> None:
    if known["ended_at"] is not None:
        raise Conflict("The closure is over. Open another one.")
    if known["release"] is not None:
        raise Conflict("The closure follows the outline of a release and ends with it. Conclude the release.")


async def _measured(roads: Roads, geometry: Mapping[str, Any]) -> dict[str, Any]:
    """What a geometry closes on the network as last known, points of that, its box and its middle. Raises `InvalidBody`."""
    return await asyncio.to_thread(_measure, await roads.first_network(), roads.masks, geometry)


def _closing(network: Any, masks: Any, geometry: Mapping[str, Any]) -> dict[str, Any]:
    import shapely

    from shared.roads import BadGeometry
    from shared.roads.closing import geometry_of

    try:
        shape = geometry_of(geometry)
        closed = masks.of(network, geometry).nonzero()[0] if network is not None else ()
    except BadGeometry as error:
        raise InvalidBody(str(error), pointer="/geometry") from error
    version = network.version if network is not None else None
    return {"arcs": len(closed), "network": version, "box": shapely.bounds(shape).tolist(), "shape": shape, "closed": closed}


def _measure(network: Any, masks: Any, geometry: Mapping[str, Any]) -> dict[str, Any]:
    import shapely

    found = _closing(network, masks, geometry)
    middle = shapely.get_coordinates(shapely.point_on_surface(found["shape"]))[0].tolist()
    return {**found, "middle": tuple(middle), "reached": _points_of(network, found["closed"])}


def _points_of(network: Any, arcs: Any) -> list[tuple[float, float]]:
    """Middles of the straight lines between the ends of some of these arcs, spread over all of them."""
    if not len(arcs):
        return []
    some = arcs[:: len(arcs) // MOST_LOCATED + 1]
    lon, lat = ((each[network.tail[some]] + each[network.head[some]]) / 2 for each in (network.lon, network.lat))
    return list(zip(lon.tolist(), lat.tolist(), strict=True))


def _box(bounds: list[float]) -> ColumnElement[Any]:
    west, south, east, north = (literal(each, Float) for each in bounds)
    return func.box(func.point(west, south), func.point(east, north))


async def _area(runtime: Runtime, caller: Caller, stated: str | None, middle: tuple[float, float]) -> str:
    area = stated or (await runtime.areas.locate([middle]))[0]
    if area is None:
        raise InvalidBody("No area of the table holds the middle of this geometry. State its area.", pointer="/area")
    if not await runtime.areas.known([area]):
        raise InvalidBody(f"The area table has no {area}. The hub's GET /areas lists what it has.", pointer="/area")
    city = runtime.settings.areas
    if not (caller.sees_area(area) and ("*" in city or area.startswith(tuple(city)))):
        raise InvalidBody(f"The area {area} is not among those of this city that the token covers.", pointer="/area")
    return area


async def _check_reach(runtime: Runtime, caller: Caller, reached: list[tuple[float, float]]) -> None:
    """Whoever is there for some areas closes no roads elsewhere; what lies in no shape, or in one that holds an area of the token, passes."""
    if caller.everywhere or not reached:
        return
    for area in await runtime.areas.locate(reached):
        if area is not None and not caller.sees_area(area) and not any(own.startswith(area) for own in caller.areas):
            raise InvalidBody(f"It closes roads in the area {area}, which the token does not cover.", pointer="/geometry")


async def _updated(session: AsyncSession, closure_id: str, changes: Mapping[str, Any], by: str) -> RowMapping:
    values = {**changes, "revision": closures.c.revision + 1, "recorded_by": by}
    changed = update(closures).where(closures.c.id == closure_id).values(values).returning(*COLUMNS)
    return (await session.execute(changed)).mappings().one()


def _told(session: AsyncSession, row: RowMapping, runtime: Runtime) -> RowMapping:
    names = ("revision", "reason", "begins_at", "ends_at", "geometry", "arcs", "network", "area", "regarding")
    record(session, ClosureOpened(closure=row["id"], **{name: row[name] for name in names}))
    when_committed(session, runtime.own.roads.changed)
    return row


def _ended(session: AsyncSession, row: RowMapping, runtime: Runtime) -> RowMapping:
    ended_at = row["ended_at"].astimezone(UTC)
    record(session, ClosureEnded(closure=row["id"], ended_at=ended_at, area=row["area"], regarding=row["regarding"]))
    when_committed(session, runtime.own.roads.changed)
    return row
