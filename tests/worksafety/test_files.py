"""The real files of work safety and the beaches, through the load engine: every row is accounted for."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.launching import free_port
from ops.load.engine import Load
from ops.load.mapping import read_mapping
from ops.load.sending import Sender
from ops.load.tally import Report
from services.env.app import service as env
from services.hub.access.clients_file import default_clients, write_clients
from services.hub.app import service as hub
from services.worksafety.app import service as worksafety
from shared.config import Settings
from shared.service import create_app
from shared.testing import serving
from tests.city import CITY, City

SERVICES = {"hub": hub, "env": env, "worksafety": worksafety}


@dataclass
class Loaded:
    """A hub with two sectors, and loads into them."""

    city: City
    run: dict[str, Any]
    settings: dict[str, Settings]

    async def load(self, name: str, path: Path) -> Report:
        made = read_mapping(name)
        report = await asyncio.to_thread(Load(made, Sender(self.run, made.target.service)).run, [path])
        assert report.stopped is None
        tally = report.total
        assert sum(tally.counts.values()) == tally.rows
        return report

    def rows(self, service: str, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.city.sql(self.settings[service], statement)]


@pytest.fixture
async def loaded(city: City, tmp_path: Path) -> AsyncIterator[Loaded]:
    clients = default_clients(CITY, dict.fromkeys(SERVICES, ()))
    write_clients(tmp_path / "clients.json", clients)
    ports = {name: free_port() for name in SERVICES}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    own: dict[str, dict[str, Any]] = {"hub": {"clients_file": tmp_path / "clients.json"}}
    settings = {name: city.settings(name, hub_url=urls["hub"], **own.get(name, {})) for name in SERVICES}
    run = {"city": CITY, "services": {name: {"url": url} for name, url in urls.items()}, "clients": {each["id"]: each for each in clients}}
    async with (
        serving(create_app(hub, settings["hub"]), ports["hub"]),
        serving(create_app(env, settings["env"]), ports["env"]),
        serving(create_app(worksafety, settings["worksafety"]), ports["worksafety"]),
    ):
        yield Loaded(city, run, settings)


async def test_the_files_of_work_safety_load_with_every_row_accounted_for(loaded: Loaded, shared_data: Path) -> None:
    table, accidents = shared_data / "worksafety" / "gb18218_2018_table1.csv", shared_data / "worksafety" / "osha_construction_accidents_dev.csv"
    assert (await loaded.load("gb18218-substances", table)).total.counts == {"taken": 85, "corrected": 0, "duplicates": 0, "rejected": 0}
    assert (await loaded.load("gb18218-substances", table)).total.counts["duplicates"] == 85
    assert (await loaded.load("osha-areas", accidents)).total.counts == {"taken": 1, "corrected": 0, "duplicates": 3469, "rejected": 0}
    assert (await loaded.load("osha-accidents", accidents)).total.counts == {"taken": 3470, "corrected": 0, "duplicates": 0, "rejected": 0}
    found = loaded.rows("worksafety", "SELECT count(*), count(happened_on), count(fall_m), count(cause), max(fall_m), max(happened_on)::text FROM accidents")
    assert found == [(3470, 3470 - 759 - 7, 3470 - 2404, 3470 - 1672 - 51, 2000 * 0.3048, "2014-11-28")]


async def _beaches(loaded: Loaded, path: Path, lines: int, empty: int) -> None:
    """Areas, stations and values of a part of the file, each row accounted for."""
    assert (await loaded.load("chicago-areas", path)).total.counts == {"taken": 1, "corrected": 0, "duplicates": lines - 1, "rejected": 0}
    assert (await loaded.load("chicago-beaches", path)).total.counts == {"taken": 6, "corrected": 0, "duplicates": lines - 6, "rejected": 0}
    water = (await loaded.load("chicago-beach-water", path)).total
    assert (water.lines, water.empty) == (lines, empty)
    assert water.counts == {"taken": lines * 6 - empty, "corrected": 0, "duplicates": 0, "rejected": 0}
    assert loaded.rows("env", "SELECT count(*) FROM observations WHERE value < -1") == [(0,)]  # no sentinel among the values


async def test_every_thirtieth_line_of_the_beaches_is_accounted_for(loaded: Loaded, shared_data: Path, tmp_path: Path) -> None:
    header, *lines = gzip.decompress((shared_data / "env" / "chicago_beach_water_2013_2017.csv.gz").read_bytes()).decode().splitlines(keepends=True)
    part = lines[::30]
    path = tmp_path / "beaches.csv"
    path.write_text(header + "".join(part))
    cells = [line.rstrip().split(",")[3:9] for line in part]
    await _beaches(loaded, path, len(part), sum(cell in ("", "-99999.992", "-100000.0") for row in cells for cell in row))


@pytest.mark.proof
async def test_all_lines_of_the_beaches_are_accounted_for(loaded: Loaded, shared_data: Path) -> None:
    """6 lines without anything, the transducer's depth missing in 24,889, waves in 233, and 526 sentinels for each of the two wave columns."""
    empty = 3 * 6 + 24_889 + 2 * (233 + 526)
    await _beaches(loaded, shared_data / "env" / "chicago_beach_water_2013_2017.csv.gz", 34_923, empty)
