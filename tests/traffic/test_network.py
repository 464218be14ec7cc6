"""Road networks: imported whole or not at all, served with their version."""

from __future__ import annotations

import gzip

import numpy as np

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


async def test_what_cannot_be_read_leaves_the_old_network_in_force(traffic: Traffic) -> None:
    before = await traffic.call("GET", "/network/state")
    good = grid_csv()
    one_lost = good | {"arcs": ("arcs.csv", good["arcs"][1] + "0,99999,100,10,7\n")}
    bad: list[dict[str, object]] = [
        {"files": one_lost},
        {"files": good | {"arcs": ("arcs.csv", "from,to\n0,1\n")}},
        {"files": good | {"nodes": ("nodes.csv", "node,lon,lat\n0,500,0\n")}},
        {"files": {"nodes": good["nodes"]}},
        {"content": b"", "headers": {"Content-Type": "application/octet-stream"}},
        {"content": b"\x00\x00\x00\x0d\x0a\x09OSMHeader" + np.random.default_rng(1).bytes(5000)},
        {"content": gzip.compress(b"<osm version='0.6'>" + b"<node id='1' lat='0' lon='0'/>" * 1000)},
        {"content": b"<!DOCTYPE lolz [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><osm version='0.6'>&b;</osm>"},
        {"content": gzip.compress(b"\x00" * 30_000_000)},
        {"content": b"osm_way,from_node,to_node,highway,name,maxspeed_kmh,lanes,oneway,length_m,wkt\n1,2,3,residential,,,,no,5,LINESTRING(\n"},
    ]
    for request in bad:
        headers = traffic.headers() | {"Content-Type": "application/octet-stream"} if "content" in request else traffic.headers()
        request.pop("headers", None)
        answer = await traffic.client.put("/network", params={"source": "x"}, headers=headers, **request)  # type: ignore[arg-type]
        assert answer.status_code == 422, (request, answer.status_code, answer.text)
    assert (await traffic.call("GET", "/network/state"))["version"] == before["version"]
    assert (await traffic.way(at(0, 0), at(1, 0)))["route"]["travel_s"] == 10
