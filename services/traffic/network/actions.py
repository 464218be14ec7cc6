"""Puts a road network in force: its content, its row and its arcs in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.traffic.models import ROADS, network_contents, networks
from services.traffic.network.client import Parsed
from shared.events.traffic import NetworkReplaced
from shared.outbox.record import record

LONGEST_S = 300
"""Seconds that a statement of an import may take."""
_ONE_AT_A_TIME = 0x6E6574
_STAGED = ("id", "from_node", "to_node", "way", "name", "road_class", "length_m", "car_s", "siren_s", "lanes", "geometry", "west", "south", "east", "north")
_STAGE = """
    CREATE TEMPORARY TABLE incoming_roads (
        id text COLLATE "C", from_node text, to_node text, way text, name text, road_class text, length_m double precision, car_s double precision,
        siren_s double precision, lanes smallint, geometry text, west double precision, south double precision, east double precision, north double precision
    ) ON COMMIT DROP
"""
_PLAIN = ("from_node", "to_node", "way", "name", "road_class", "length_m", "car_s", "siren_s", "lanes")
_LISTED = ", ".join(_PLAIN)
_INCOMING = ", ".join(f"i.{name}" for name in _PLAIN)
_MADE = "i.geometry::jsonb, box(point(i.west, i.south), point(i.east, i.north))"
_DELETE = "DELETE FROM roads WHERE NOT EXISTS (SELECT FROM incoming_roads i WHERE i.id = roads.id)"
_UPDATE = text(f"""
    UPDATE roads SET ({_LISTED}, geometry, extent, area, recorded_by) = ROW ({_INCOMING}, {_MADE}, :area, :by) FROM incoming_roads i WHERE i.id = roads.id
    AND ({", ".join(f"roads.{name}" for name in _PLAIN)}, roads.geometry, roads.area) IS DISTINCT FROM ({_INCOMING}, i.geometry::jsonb, :area)
""")
_INSERT = text(f"""
    INSERT INTO roads (id, {_LISTED}, geometry, extent, area, recorded_by) SELECT i.id, {_INCOMING}, {_MADE}, :area, :by FROM incoming_roads i
    ON CONFLICT (id) DO NOTHING
""")


async def replace_network(session: AsyncSession, parsed: Parsed, *, source: str, area: str, notes: str | None, by: str) -> bool:
    """Put the network in force; False if it is already. One import waits for another."""
    await session.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    found = parsed.report
    row = {"version": found["version"], "source": source, "form": parsed.form, "nodes": found["nodes"], "arcs": found["arcs"]}
    row |= {"length_km": round(found["length_km"], 3), "notes": notes, "area": area}
    before = (await session.execute(select(*(networks.c[name] for name in row)))).mappings().one_or_none()
    if before is not None and dict(before) == row:
        return False
    await session.execute(text(f"SET LOCAL statement_timeout = '{LONGEST_S}s'"))
    await _keep_content(session, found["version"], parsed.content, before["version"] if before else None)
    put = insert(networks).values(id=ROADS, **row, recorded_by=by)
    await session.execute(put.on_conflict_do_update(index_elements=["id"], set_={**row, "recorded_by": by}))
    await _replace_roads(session, parsed.arcs, area, by)
    if before is None or before["version"] != row["version"]:
        record(session, NetworkReplaced(area=area, version=row["version"], nodes=row["nodes"], arcs=row["arcs"], source=source))
    return True


async def _keep_content(session: AsyncSession, version: str, content: bytes, before: str | None) -> None:
    """The new content and the one before; older ones go."""
    await session.execute(insert(network_contents).values(version=version, content=content).on_conflict_do_nothing())
    await session.execute(delete(network_contents).where(network_contents.c.version.not_in([version, before or version])))


async def _replace_roads(session: AsyncSession, arcs: bytes, area: str, by: str) -> None:
    """Bring the table of arcs in step: what is the same stays as it is."""
    await session.execute(text(_STAGE))
    raw = (await (await session.connection()).get_raw_connection()).driver_connection
    assert raw is not None
    await raw.copy_records_to_table("incoming_roads", columns=_STAGED, records=_rows(arcs))
    await session.execute(text("ANALYZE incoming_roads"))
    await session.execute(text(_DELETE))
    for statement in (_UPDATE, _INSERT):
        await session.execute(statement, {"area": area, "by": by})


def _rows(arcs: bytes) -> Iterator[tuple[Any, ...]]:
    import pyarrow as pa

    with pa.ipc.open_stream(pa.BufferReader(arcs)) as reader:
        for batch in reader:
            for start in range(0, batch.num_rows, 2_000):
                part = batch.slice(start, 2_000)
                yield from zip(*(part.column(name).to_pylist() for name in _STAGED), strict=True)
