"""Real files of traffic and roads: every row accounted for, every road file in force once, routes on them as networkx has them."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.routes import read_jemss
from ops.commands.network import import_network
from ops.hub import Refused
from ops.load.engine import Load
from ops.load.mapping import read_mapping
from ops.load.sending import Sender
from ops.load.tally import Report
from shared.roads import Network, closed_arcs, from_bytes
from tests.city import City
from tests.services import Served, served
from tests.shared.roads.test_routing import agree_with_networkx
from tests.traffic.conftest import Traffic

ROADS: dict[str, tuple[tuple[str, ...], dict[str, int], int]] = {
    "helsinki-pbf": (("roads_helsinki_centre_2019.osm.pbf",), {"ways": 5130, "taken": 846}, 1449),
    "helsinki-edges": (("roads_helsinki_edges.csv",), {"edges": 1130, "taken": 1130}, 1751),
    "manhattan": (("roads_manhattan_nodes.csv.gz", "roads_manhattan_arcs.csv.gz"), {"nodes": 16811, "arcs": 24437, "taken": 24437}, 24437),
    "manhattan-osm": (("roads_manhattan_2019.osm.gz",), {"ways": 16384, "taken": 16149}, 48484),
    "edmonton": (("roads_edmonton_nodes.csv.gz", "roads_edmonton_arcs.csv.gz"), {"nodes": 51331, "arcs": 71241, "taken": 71241}, 71241),
}


async def put_in_force(traffic: Traffic, data: Path, name: str) -> Network:
    """Import a road file; what the service serves then."""
    files, rows, arcs = ROADS[name]
    content = [(data / "traffic" / file).read_bytes() for file in files]
    if len(files) == 2:
        answer = await traffic.put_network(files={part: (part, each) for part, each in zip(("nodes", "arcs"), content, strict=True)})
    else:
        headers = traffic.headers() | {"Content-Type": "text/csv" if files[0].endswith("csv") else "application/octet-stream"}
        answer = await traffic.client.put("/network", params={"source": name}, headers=headers, content=content[0], timeout=120)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["rows"], found["arcs"]) == (rows, arcs)
    assert sum(found["left_out"].values()) == rows.get("ways", 0) - (rows["taken"] if "ways" in rows else 0)
    served_whole = await traffic.client.get("/network", headers=traffic.headers())
    network = from_bytes(served_whole.content)
    assert network.version == found["version"]
    assert traffic.sql("SELECT count(*) AS n FROM roads")[0]["n"] == arcs
    return network


async def way_across(traffic: Traffic, network: Network) -> dict[str, Any]:
    """The way between the two nodes that lie farthest west and east of those that can be entered."""
    there = network.access_nodes
    ends = [int(there[each]) for each in (np.argmin(network.lon[there]), np.argmax(network.lon[there]))]
    start, end = ((float(network.lon[each]), float(network.lat[each])) for each in ends)
    found: dict[str, Any] = (await traffic.way(start, end))["route"]
    return found


async def test_road_files_come_in_force_one_after_another(traffic: Traffic, shared_data: Path) -> None:
    for name in ("helsinki-pbf", "helsinki-edges"):
        network = await put_in_force(traffic, shared_data, name)
        across = await way_across(traffic, network)
        assert 800 < across["length_m"] < 4000 and 60 < across["travel_s"] < 900
    roads = await traffic.call("GET", "/collections/traffic.roads/items", filter="name = 'Mannerheimintie'", limit=50)
    assert len(roads["features"]) > 10 and roads["features"][0]["properties"]["road_class"] == "primary"
    told = [event["data"]["version"] for event in traffic.events("traffic.network.replaced.v1")]
    assert len(told) == 2
    again = await put_in_force(traffic, shared_data, "helsinki-edges")
    assert again.version == told[-1] and len(traffic.events("traffic.network.replaced.v1")) == 2


@pytest.mark.proof
@pytest.mark.parametrize("name", ["manhattan", "manhattan-osm", "edmonton"])
async def test_large_road_files_come_in_force(traffic: Traffic, shared_data: Path, name: str) -> None:
    assert (await way_across(traffic, await put_in_force(traffic, shared_data, name)))["length_m"] > 5000


def streets(data: Path, name: str) -> Network:
    return read_jemss(*(data / "traffic" / file for file in ROADS[name][0]))


def middle_closed(network: Network) -> Any:
    """The arcs that a square of a kilometre around the middle of the network closes."""
    west, south, east, north = (
        float(each) for each in (*network.plane.degrees(np.array([[-500.0, -500]]))[0], *network.plane.degrees(np.array([[500.0, 500]]))[0])
    )
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    closed = closed_arcs(network, [{"type": "Polygon", "coordinates": [ring]}])
    assert closed.any()
    return closed


def test_routes_in_manhattan_equal_networkx_with_and_without_closures(shared_data: Path) -> None:
    network = streets(shared_data, "manhattan")
    agree_with_networkx(network, 25, 1)
    agree_with_networkx(network, 25, 2, middle_closed(network), "ambulance")


@pytest.mark.proof
@pytest.mark.parametrize("name", ["manhattan", "edmonton"])
@pytest.mark.parametrize("closing", [False, True])
def test_a_thousand_routes_equal_networkx(shared_data: Path, name: str, closing: bool) -> None:
    network = streets(shared_data, name)
    agree_with_networkx(network, 1000, 3, middle_closed(network) if closing else None)


@pytest.fixture
async def two(city: City, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(city, tmp_path, ["hub", "traffic"]) as found:
        yield found


def run_of(city: Served) -> dict[str, Any]:
    """What `run.json` says of a running city."""
    return {"city": city.code, "services": {name: {"url": city.url(name)} for name in city.clients}, "clients": city.accounts}


async def load(city: Served, mapping: str, path: Path) -> Report:
    made = read_mapping(mapping)
    return await asyncio.to_thread(Load(made, Sender(run_of(city), made.target.service)).run, [path])


def beginning(path: Path, folder: Path, lines: int | None) -> Path:
    """The file, or its header and first lines."""
    if lines is None:
        return path
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    cut = folder / path.name.removesuffix(".gz")
    cut.write_text("".join(text.splitlines(keepends=True)[: lines + 1]), "utf-8")
    return cut


async def accounted_for(two: Served, data: Path, folder: Path, share: dict[str, int | None]) -> dict[str, dict[str, int]]:
    """Load every file of traffic, or its beginning, twice; what the first load counted."""
    files = {
        "traffic-areas": "metr_la_sensor_locations.csv",
        "metr-la-detectors": "metr_la_sensor_locations.csv",
        "metr-la-adjacency": "metr_la_adj.csv",
        "metr-la-speeds": "metr_la_speed_7d.csv.gz",
        "i94-detector": "i94_traffic_hourly_2016_2018.csv",
        "i94-volumes": "i94_traffic_hourly_2016_2018.csv",
        "west-hartford-crashes": "west_hartford_crashes_2015_2023.csv",
    }
    counted = {}
    for mapping, name in files.items():
        path = beginning(data / "traffic" / name, folder, share.get(mapping))
        first = await load(two, mapping, path)
        again = await load(two, mapping, path)
        tally, later = first.files[0], again.files[0]
        assert (first.stopped, again.stopped, tally.unsent) == (None, None, 0), (first.stopped, again.stopped)
        assert sum(tally.counts.values()) == tally.rows and tally.lines * max(1, tally.values_per_line) == tally.rows - tally.added + tally.empty
        assert later.counts["taken"] == 0 and later.counts["rejected"] == tally.counts["rejected"], mapping
        assert later.counts["duplicates"] == tally.counts["taken"] + tally.counts["duplicates"], mapping
        assert sum(reason.rows for reason in tally.reasons.values()) == tally.counts["rejected"], mapping
        counted[mapping] = tally.counts
    return counted


async def adjacency_as_published(two: Served, data: Path, counted: dict[str, int]) -> None:
    """Every cell of the matrix that is not zero is a row under the names of its line and its column, and nothing else is."""
    with (data / "traffic" / "metr_la_sensor_locations.csv").open(encoding="utf-8") as file:
        names = [f"metr-la-{row['sensor_id']}" for row in csv.DictReader(file)]
    cells = np.loadtxt(data / "traffic" / "metr_la_adj.csv", delimiter=",")
    expected = {(names[line], names[column]): cells[line, column] for line, column in np.argwhere(cells)}
    assert counted == {"taken": len(expected), "corrected": 0, "duplicates": 0, "rejected": 0} and len(expected) == 2833
    answer = await two.get("traffic", "/collections/traffic.adjacency/items", limit=10000)
    rows = [each["properties"] for each in answer["features"]]
    assert {(row["from_detector"], row["to_detector"]): row["weight"] for row in rows} == expected
    assert len(rows) == len(expected) and {row["area"] for row in rows} == {"us-06037"}


async def by_the_command_line(two: Served, edges: Path, folder: Path) -> None:
    """`liandong network FILE` puts a network in force, and says why it cannot."""
    found = await asyncio.to_thread(import_network, run_of(two), [edges], source="OpenStreetMap, ODbL")
    assert (found["replaced"], found["arcs"]) == (True, 1751)
    state = await two.get("traffic", "/network/state")
    assert state["version"] == found["version"]
    (folder / "none.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(Refused, match="no column"):
        await asyncio.to_thread(import_network, run_of(two), [folder / "none.csv"], source="x")


async def test_traffic_files_load_with_every_row_accounted_for(two: Served, shared_data: Path, tmp_path: Path) -> None:
    share: dict[str, int | None] = {"metr-la-speeds": 24, "i94-detector": 10, "i94-volumes": 500, "west-hartford-crashes": 200}
    counted = await accounted_for(two, shared_data, tmp_path, share)
    assert counted["metr-la-detectors"]["taken"] == 207
    await adjacency_as_published(two, shared_data, counted["metr-la-adjacency"])
    await by_the_command_line(two, shared_data / "traffic" / "roads_helsinki_edges.csv", tmp_path)
    assert counted["metr-la-speeds"]["taken"] == 24 * 207
    assert counted["i94-detector"] == {"taken": 1, "corrected": 0, "duplicates": 9, "rejected": 0}
    assert counted["west-hartford-crashes"]["taken"] == 200
    crash = await two.get("traffic", "/incidents/uconn-ctcdr:2000")
    assert (crash["severity"], crash["occurred_at"], crash["lat"]) == ("none", "2015-01-02T14:41:00Z", 41.754402)
    rows = await two.get("traffic", "/collections/traffic.observations/items", filter="detector = 'metr-la-773869'", limit=1)
    first = rows["features"][0]["properties"]
    assert (first["time"], round(first["value"], 4)) == ("2012-03-01T08:00:00Z", round(64.375 * 1.609344, 4))


@pytest.mark.proof
async def test_whole_traffic_files_load_with_every_row_accounted_for(two: Served, shared_data: Path, tmp_path: Path) -> None:
    counted = await accounted_for(two, shared_data, tmp_path, {})
    assert counted["metr-la-speeds"]["taken"] == 2016 * 207
    assert counted["west-hartford-crashes"] == {"taken": 15051, "corrected": 0, "duplicates": 0, "rejected": 0}
