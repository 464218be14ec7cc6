"""Furnishes the demo city over the services' own routes, as any sector's system would."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from ops.demo.areas import demo_areas
from ops.demo.cities import CITIES, DemoCity
from ops.demo.facts import Batch, batches
from ops.demo.roads import as_csv, demo_network
from ops.hub import Refused, call, get_token
from ops.services import present

SOURCE = "made up for the demo city"


def furnish(run: dict[str, Any], *, facts: bool = True) -> None:
    """Load areas, and roads and facts if wanted; what is there already stays as it is. `run`: code, services and clients as in `run.json`.

    Raises `Refused` if a service refuses. Cities that the demo does not know get nothing.
    """
    city = CITIES.get(run["city"])
    if city is None:
        return
    began = time.monotonic()
    _load_areas(run, city)
    if not facts:
        return
    services = [list(group) for _, group in groupby(sorted(batches(city), key=lambda batch: batch.service), key=lambda batch: batch.service)]
    with ThreadPoolExecutor(len(services) + 1) as at_once:
        work = [at_once.submit(_load, run, group) for group in services if group[0].service in present()]
        work.append(at_once.submit(_load_roads, run, city))
        rows = sum(done.result() for done in work)
    sys.stdout.write(f"{city.en} is furnished: {rows} facts, all made up, in {time.monotonic() - began:.1f} s\n")


def furnished(run: dict[str, Any]) -> bool:
    """Whether it has been done before: areas are what everything else needs."""
    try:
        call("GET", f"{run['services']['hub']['url']}/areas/{run['city'][:4]}")
    except Refused as error:
        if error.status == 404:
            return False
        raise
    return True


def _load_areas(run: dict[str, Any], city: DemoCity) -> None:
    token = get_token(run, "admin")["access_token"]
    answer = call("PUT", f"{run['services']['hub']['url']}/areas", token=token, json=list(demo_areas(city.code)))
    if answer["rejected"]:
        raise Refused(f"the hub rejected {answer['rejected']} areas: {answer['errors'][:3]}")


def _load(run: dict[str, Any], group: list[Batch]) -> int:
    service = group[0].service
    token = get_token(run, f"{service}-system", resource=f"{run['city']}/{service}")["access_token"]
    for batch in group:
        answer = call(batch.method, run["services"][service]["url"] + batch.path, token=token, json=batch.rows)
        if answer["rejected"]:
            raise Refused(f"{service} rejected {answer['rejected']} of {batch.path}: {answer['errors'][:3]}")
    return sum(len(batch.rows) for batch in group)


def _load_roads(run: dict[str, Any], city: DemoCity) -> int:
    if "traffic" not in present():
        return 0
    network = demo_network(city)
    nodes, arcs = as_csv(network)
    token = get_token(run, "traffic-system", resource=f"{run['city']}/traffic")["access_token"]
    files = {"nodes": ("nodes.csv", nodes.encode(), "text/csv"), "arcs": ("arcs.csv", arcs.encode(), "text/csv")}
    call("PUT", f"{run['services']['traffic']['url']}/network", token=token, params={"source": SOURCE}, files=files)
    return len(network.arcs)
