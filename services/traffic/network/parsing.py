"""Reads a road file in a process of its own, with bounds on memory and time: `python -m services.traffic.network.parsing FORM FOLDER`.

In FOLDER lie `roads` (or `nodes` and `arcs`); it writes `network` and `arcs-of-network` beside them, and `report.json`: what was found or what is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from services.traffic.network.assembling import Assembled, Ways, assemble, drawn
from services.traffic.network.domain import SIREN_PART, driving
from shared.roads.encoding import to_bytes
from shared.roads.network import BadNetwork, make_network

MEMORY_BYTES = 6 * 1024**3
"""Address space; some of it is libraries' and never touched."""
CPU_S = 240
FILE_BYTES = 1024**3
MOST_POINTS = 20_000_000
OSM_FORMS = {"osm-pbf": "pbf", "osm-xml": "osm", "osm-xml-gz": "osm.gz"}
_NODES = {"node": pa.int64(), "lon": pa.float64(), "lat": pa.float64(), "off_road_access": pa.string()}
_ARCS = {"from": pa.int64(), "to": pa.int64(), "length_m": pa.float64(), "t_regular_s": pa.float64(), "t_sirens_s": pa.float64()}


def main() -> None:
    form, folder = sys.argv[1], Path(sys.argv[2])
    _limit()
    if hasattr(os, "nice"):
        os.nice(10)  # whoever waits for a route comes first
    try:
        report = parsed(form, folder)
    except (BadNetwork, pa.ArrowException, ValueError, RuntimeError, KeyError, OSError, MemoryError) as error:
        report = {"fault": str(error)[:500] or type(error).__name__}
    (folder / "report.json").write_text(json.dumps(report), "utf-8")


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the caller's time limit holds there as well
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_FSIZE, FILE_BYTES), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))


def parsed(form: str, folder: Path) -> dict[str, Any]:
    """Read the file in this process; what was found. Raises what its reader raises."""
    left_out: Counter[str] = Counter()
    if form == "nodes-arcs-csv":
        network, facts, rows = _nodes_and_arcs(folder)
    else:
        ways, rows = _osm(folder / "roads", OSM_FORMS[form], left_out) if form in OSM_FORMS else _edges(folder / "roads")
        found = assemble(ways)
        network, facts = found.network, _facts(ways, found)
    (folder / "network").write_bytes(to_bytes(network))
    rows_of_arcs = drawn(network, facts)
    with pa.OSFile(str(folder / "arcs-of-network"), "wb") as sink, pa.ipc.new_stream(sink, rows_of_arcs.schema) as writer:
        writer.write_table(rows_of_arcs)
    both = {"version": network.version, "nodes": network.nodes, "arcs": network.arcs, "reachable": int(network.access.sum())}
    return {**both, "length_km": float(network.length_m.sum(dtype=np.float64)) / 1000, "rows": rows, "left_out": dict(left_out)}


def _osm(path: Path, form: str, left_out: Counter[str]) -> tuple[Ways, dict[str, int]]:
    """The drivable ways of an OpenStreetMap file whose nodes come before its ways, as they do in every published one."""
    import osmium

    ways, read = Ways(), 0
    source = osmium.FileProcessor(osmium.io.File(str(path), form)).with_locations().with_filter(osmium.filter.EntityFilter(osmium.osm.WAY))
    for way in cast("Iterable[osmium.osm.Way]", source):
        read += 1
        tags = {tag.k: tag.v for tag in way.tags}
        how = driving(tags)
        if isinstance(how, str):
            left_out[how] += 1
            continue
        parts = _located(way.nodes)
        if not parts:
            left_out["without-nodes"] += 1
        for points in parts:
            facts = (str(way.id), _text(tags.get("name")), how.road_class, how.lanes)
            ways.add(points, (how.forward_kmh, how.backward_kmh), facts, no_stop=how.car_only)
        if len(ways.refs) > MOST_POINTS:
            raise BadNetwork(f"The file has more than {MOST_POINTS} points of roads. Cut it to the city.")
    return ways, {"ways": read, "taken": read - left_out.total()}


def _located(nodes: Any) -> list[list[tuple[int, float, float]]]:
    """The points of a way whose places are known, in pieces where some are missing (at the edge of an extract), without repeated ones."""
    parts: list[list[tuple[int, float, float]]] = [[]]
    for node in nodes:
        if not node.location.valid():
            parts.append([])
        elif not parts[-1] or parts[-1][-1][0] != node.ref:
            parts[-1].append((node.ref, node.location.lon, node.location.lat))
    return [part for part in parts if len(part) > 1]


def _edges(path: Path) -> tuple[Ways, dict[str, int]]:
    """A CSV of edges split at junctions: osm_way, from_node, to_node, highway, name, maxspeed_kmh, lanes, oneway, wkt."""
    import shapely

    texts = ("osm_way", "highway", "name", "maxspeed_kmh", "lanes", "oneway", "wkt")
    table = _csv(path, {"from_node": pa.int64(), "to_node": pa.int64()} | dict.fromkeys(texts, pa.string()))
    ways, made = Ways(), 0
    for row in table.to_pylist():
        tags = {key: row[name] for key, name in (("highway", "highway"), ("maxspeed", "maxspeed_kmh"), ("lanes", "lanes"), ("oneway", "oneway")) if row[name]}
        how, line = driving(tags), shapely.get_coordinates(shapely.from_wkt(row["wkt"], on_invalid="ignore"))
        if isinstance(how, str) or len(line) < 2:
            raise BadNetwork(f"The edge from {row['from_node']} to {row['to_node']} is no road ({how if isinstance(how, str) else 'no line'}).")
        inner = [(-1 - made - number, *point) for number, point in enumerate(line[1:-1].tolist())]
        made += len(inner)
        points = [(row["from_node"], *line[0].tolist()), *inner, (row["to_node"], *line[-1].tolist())]
        ways.add(points, (how.forward_kmh, how.backward_kmh), (row["osm_way"], _text(row["name"]), how.road_class, how.lanes), no_stop=how.car_only)
    return ways, {"edges": table.num_rows, "taken": table.num_rows}


def _nodes_and_arcs(folder: Path) -> tuple[Any, pa.Table, dict[str, int]]:
    """The form of JEMSS: directed arcs with calibrated times of a car and of an ambulance with siren."""
    nodes, arcs = _csv(folder / "nodes", _NODES, optional=("off_road_access",)), _csv(folder / "arcs", _ARCS, optional=("t_sirens_s",))
    ids = nodes["node"].to_numpy()
    order = np.argsort(ids, kind="stable")
    if len(ids) and bool(np.any(np.diff(ids[order]) == 0)):
        raise BadNetwork("Two nodes have one id.")
    ends = [order[np.minimum(np.searchsorted(ids[order], arcs[side].to_numpy()), len(ids) - 1)] for side in ("from", "to")]
    for side, place in zip(("from", "to"), ends, strict=True):
        lost = ids[place] != arcs[side].to_numpy()
        if bool(lost.any()):
            raise BadNetwork(f"An arc's `{side}` names the node {arcs[side][int(np.argmax(lost))]}, which is not there.")
    car = arcs["t_regular_s"].to_numpy()
    sirens = arcs["t_sirens_s"].to_numpy() if "t_sirens_s" in arcs.column_names else car * SIREN_PART
    access = ~np.isin(nodes["off_road_access"].to_numpy(zero_copy_only=False), ("0", "false")) if "off_road_access" in nodes.column_names else None
    network, _ = make_network(
        node_ids=ids,
        lon=nodes["lon"].to_numpy(),
        lat=nodes["lat"].to_numpy(),
        tail=ends[0],
        head=ends[1],
        length_m=arcs["length_m"].to_numpy(),
        car_s=car,
        siren_s=sirens,
        access=access,
    )
    nothing = pa.nulls(network.arcs, pa.string())
    facts = pa.table({"way": nothing, "name": nothing, "road_class": nothing, "lanes": pa.nulls(network.arcs, pa.int16())})
    return network, facts, {"nodes": nodes.num_rows, "arcs": arcs.num_rows, "taken": arcs.num_rows}


def _csv(path: Path, types: dict[str, pa.DataType], optional: tuple[str, ...] = ()) -> pa.Table:
    with pa.input_stream(str(path), compression="detect" if path.read_bytes()[:2] != b"\x1f\x8b" else "gzip") as stream:
        table = csv.read_csv(stream, convert_options=csv.ConvertOptions(column_types=types))
    lost = [name for name in types if name not in table.column_names and name not in optional]
    if lost:
        raise BadNetwork(f"The table has no column {lost[0]!r}; it has {', '.join(table.column_names)[:200]}.")
    kept = table.select([name for name in types if name in table.column_names])
    for name, kind in types.items():
        if kind != pa.string() and name in kept.column_names and kept[name].null_count:
            raise BadNetwork(f"The column {name!r} has empty cells.")
    return kept


def _facts(ways: Ways, found: Assembled) -> pa.Table:
    way, name, road_class, lanes = zip(*ways.facts, strict=True)
    table = pa.table({"way": pa.array(way, pa.string()), "name": pa.array(name, pa.string()), "road_class": road_class, "lanes": pa.array(lanes, pa.int16())})
    return table.take(pa.array(found.way))


def _text(name: str | None) -> str | None:
    clean = "".join(each for each in name if each.isprintable()).strip()[:200] if name else ""
    return clean or None


if __name__ == "__main__":
    main()
