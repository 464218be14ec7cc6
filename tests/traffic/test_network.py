"""Road networks: imported whole or not at all, served with their version."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

from services.traffic.network import client, parsing
from services.traffic.network.domain import driving
from shared.errors import InvalidBody
from shared.roads import from_bytes
from tests.shared.roads.grid import at
from tests.traffic.conftest import SIDE, Traffic, grid_csv


async def test_an_imported_network_is_served_whole_and_once_kept_not_again(traffic: Traffic) -> None:
    answer = await traffic.client.get("/network", headers=traffic.headers("hub:query"))
    network = from_bytes(answer.content)
    assert (network.nodes, network.arcs) == (SIDE * SIDE, 4 * SIDE * (SIDE - 1))
    assert answer.headers["etag"] == f'"{network.version}"'
    again = await traffic.client.get("/network", headers=traffic.headers() | {"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    state = await traffic.call("GET", "/network/state")
    assert (state["version"], state["closures"]) == (network.version, [])


async def test_travel_times_of_many_come_with_the_ways_of_the_soonest(traffic: Traffic) -> None:
    origins = [{"id": f"E{x}", "lon": at(x, 0)[0], "lat": at(x, 0)[1]} for x in (0, 4, 9)] + [{"id": "far", "lon": 114, "lat": 27.8}]
    asked = {"origins": origins, "destination": {"lon": at(10, 0)[0], "lat": at(10, 0)[1]}, "vehicle": "ambulance", "routes": 2}
    found = await traffic.call("POST", "/travel-times", asked)
    assert {each["id"]: each["travel_s"] for each in found["times"]} == {"E0": 75, "E4": 45, "E9": 7.5, "far": None}
    assert set(found["routes"]) == {"E9", "E4"}
    assert found["routes"]["E4"]["length_m"] == 600 and len(found["routes"]["E4"]["geometry"]["coordinates"]) == 7
    state = await traffic.call("GET", "/network/state")
    assert found["network"] == state["version"]


async def test_a_way_is_found_or_the_answer_says_why_not(traffic: Traffic) -> None:
    found = await traffic.way(at(0, 0), at(10, 10), "fire_engine")
    assert found["route"]["travel_s"] == round(20 * 7.5 * 1.1, 1) and found["why"] is None
    assert (await traffic.way(at(0, 0), (120, 30)))["why"] == "off-road"
    reached = await traffic.call("GET", "/isochrone", at="113.005,27.805", seconds=21)
    assert reached["nodes"] == 13 and reached["geometry"]["type"] == "Polygon"
    for wrong in ("113", "a,b", "nan,1", "1,2,3", "181,0", ""):
        await traffic.call("GET", "/isochrone", status=400, at=wrong)


GRID = {part: content for part, (_, content) in grid_csv(2).items()}
EDGES = "osm_way,from_node,to_node,highway,name,maxspeed_kmh,lanes,oneway,length_m,wkt\n"


@pytest.mark.parametrize(
    ("form", "files", "why"),
    [
        ("nodes-arcs-csv", GRID | {"arcs": GRID["arcs"] + "0,99999,100,10,7\n"}, "not there"),
        ("nodes-arcs-csv", GRID | {"arcs": "from,to\n0,1\n"}, "no column 'length_m'; it has from, to"),
        ("nodes-arcs-csv", GRID | {"arcs": GRID["arcs"] + "0,1,-5,10,7\n"}, "length_m"),
        ("nodes-arcs-csv", GRID | {"arcs": GRID["arcs"] + "0,1,,10,7\n"}, "empty cells"),
        ("nodes-arcs-csv", GRID | {"nodes": GRID["nodes"].replace("113.000", "500.0")}, "lon"),
        ("nodes-arcs-csv", GRID | {"nodes": GRID["nodes"] + "0,113,27.8,1\n"}, "one id"),
        ("edges-csv", {"roads": EDGES + "1,2,3,residential,,,,no,5,LINESTRING(\n"}, "no road"),
        ("edges-csv", {"roads": EDGES + '1,2,3,footway,,,,no,5,"LINESTRING(113 27, 113 27.1)"\n'}, "no road"),
        ("osm-xml", {"roads": "<osm version='0.6'><node id='1' lat='0' lon='0'/></osm>"}, "no way"),
        ("osm-xml", {"roads": "<!DOCTYPE x [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><osm version='0.6'>&b;</osm>"}, "entities"),
        ("osm-pbf", {"roads": "\0\0\0\rno blob at all"}, "pbf"),
    ],
)
def test_a_file_that_is_no_network_is_told_why(tmp_path: Path, form: str, files: dict[str, str], why: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises((ValueError, RuntimeError, OSError), match=why):
        parsing.parsed(form, tmp_path)


async def test_what_cannot_be_read_leaves_the_old_network_in_force(traffic: Traffic) -> None:
    before = await traffic.call("GET", "/network/state")
    good = grid_csv()
    for files in (good | {"arcs": ("arcs.csv", good["arcs"][1] + "0,99999,100,10,7\n")}, {"nodes": good["nodes"]}):
        assert (await traffic.put_network(files=files)).status_code == 422
    noise = b"\x00\x00\x00\x0d\x0a\x09OSMHeader" + np.random.default_rng(1).bytes(5000)
    for content, status in ((noise, 422), (gzip.compress(b"\x00" * 30_000_000), 422), (b"", 422), (b"plain text", 422)):
        headers = traffic.headers() | {"Content-Type": "application/octet-stream"}
        answer = await traffic.client.put("/network", params={"source": "x"}, headers=headers, content=content)
        assert answer.status_code == status, answer.text
    headers = traffic.headers() | {"Content-Type": "application/json"}
    assert (await traffic.client.put("/network", params={"source": "x"}, headers=headers, content=b"{}")).status_code == 415
    assert (await traffic.call("GET", "/network/state"))["version"] == before["version"]
    assert (await traffic.way(at(0, 0), at(1, 0)))["route"]["travel_s"] == 10


def test_the_form_of_a_file_is_seen_through_gzip(tmp_path: Path) -> None:
    seen = (
        (EDGES.encode(), "edges-csv"),
        (gzip.compress(EDGES.encode()), "edges-csv"),
        (gzip.compress(GRID["nodes"].encode()), "edges-csv"),
        (b"<osm version='0.6'/>", "osm-xml"),
        (gzip.compress(b"<?xml version='1.0'?><osm a='1,2'/>"), "osm-xml-gz"),
        (b"\x1f\x8bbroken", "osm-xml-gz"),
    )
    for content, form in seen:
        (tmp_path / "roads").write_bytes(content)
        assert client.form_of(tmp_path / "roads") == form, content


def test_a_gzipped_table_of_edges_is_the_same_network(tmp_path: Path) -> None:
    edge = EDGES + '1,2,3,residential,,,,no,11000,"LINESTRING(113 27, 113 27.1)"\n'
    found = []
    for name, content in (("plain", edge.encode()), ("gzipped", gzip.compress(edge.encode()))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "roads").write_bytes(content)
        found.append(parsing.parsed(client.form_of(tmp_path / name / "roads"), tmp_path / name))
    assert found[0] == found[1] and found[0]["rows"] == {"edges": 1, "taken": 1}


async def test_a_reader_that_dies_or_hangs_is_told_and_harms_nothing(traffic: Traffic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "roads").write_bytes(b"<osm/>")
    with monkeypatch.context() as patched:
        patched.setattr(client, "PATIENCE_S", 0.01)
        with pytest.raises(InvalidBody, match="within"):
            await client.parse("osm-xml", tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InvalidBody, match="status 1"):
        await client.parse("osm-xml", tmp_path)


def test_tags_say_how_a_way_is_driven() -> None:
    def speeds(**tags: str) -> tuple[float | None, float | None] | str:
        found = driving({"highway": "residential", **tags})
        return found if isinstance(found, str) else (found.forward_kmh, found.backward_kmh)

    assert speeds(maxspeed="50") == (40, 40)
    assert speeds(maxspeed="25 mph", oneway="yes") == (25 * 1.609344 * 0.8, None)
    assert speeds(maxspeed="50;30", oneway="-1") == (None, 24)
    assert speeds(maxspeed="CN:urban", **{"maxspeed:backward": "30"}) == (40, 24)
    assert speeds(junction="roundabout")[1] is None and speeds(junction="roundabout", oneway="no")[1] == 24
    assert speeds(highway="motorway") == (80, None)
    assert (speeds(access="private"), speeds(access="no", motor_vehicle="yes"), speeds(access="yes", vehicle="no")) == ("no-access", (24, 24), "no-access")
    assert (speeds(highway="footway"), speeds(oneway="reversible"), speeds(highway="service", service="driveway")) == (
        "not-drivable",
        "changing-direction",
        "side-way",
    )
    for odd in ("none", "", "fast", "0", "999999999999", "٥٠", "-5"):
        assert speeds(maxspeed=odd) == (24, 24), odd


def test_ways_are_split_where_they_meet_and_cut_where_they_are_long(tmp_path: Path) -> None:
    nodes = {1: (113.0, 27.8), 2: (113.005, 27.8), 3: (113.01, 27.8), 4: (113.005, 27.801)}
    xml = "".join(f"<node id='{each}' lat='{lat}' lon='{lon}'/>" for each, (lon, lat) in nodes.items())
    tag = "<tag k='highway' v='tertiary'/>"
    ways = f"<way id='10'><nd ref='1'/><nd ref='2'/><nd ref='3'/>{tag}</way>"
    ways += f"<way id='11'><nd ref='4'/><nd ref='2'/><nd ref='99'/>{tag}<tag k='oneway' v='yes'/></way>"
    (tmp_path / "roads").write_text(f"<osm version='0.6'>{xml}{ways}</osm>", "utf-8")
    report = parsing.parsed("osm-xml", tmp_path)
    network = from_bytes((tmp_path / "network").read_bytes())
    assert report["rows"] == {"ways": 2, "taken": 2}
    assert {1, 2, 3, 4} < set(network.node_ids.tolist()) and (network.length_m < 401).all()
    there = network.length_m.sum()
    assert there == pytest.approx(2 * 984 + 111, rel=0.01)
    place = {int(each): number for number, each in enumerate(network.node_ids)}
    assert network.access[place[1]] and not network.access[place[4]]  # nobody comes back to 4
