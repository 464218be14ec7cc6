"""Loads into a real hub and a real environment service: areas, stations, a wide file, again, corrected, and through an interruption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.launching import free_port
from ops.load import sending
from ops.load.engine import Load
from ops.load.mapping import FileMapping, read_mapping
from ops.load.sending import Sender
from ops.load.tally import Report
from services.env.app import service as env
from services.hub.access.clients_file import default_clients, write_clients
from services.hub.app import service as hub
from shared.config import Settings
from shared.service import create_app
from shared.testing import serving
from tests.city import CITY, City
from tests.ops.load_receiver import written

AREAS = "code,name\n11,北京市\n1101,市辖区\n110101,东城区\n"
STATIONS = "kdd_station_id,prsa_station,name_zh,type,lon,lat\ndongsi_aq,Dongsi,东四,Urban,116.417,39.929\nqianmen_aq,,前门,Traffic,116.395,39.899\n"
HEADER = "No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station\n"


def line(hour: int, values: str, station: str = "Dongsi") -> str:
    return f"1,2013,3,{1 + hour // 24},{hour % 24},{values},-0.5,1024.5,-21.4,0,NNW,5.7,{station}\n"


AIR = (
    HEADER
    + "".join(line(hour, f"{hour},{hour + 5},3,17,300,89") for hour in range(30))
    + line(30, "7,NA,3,17,NA,")
    + line(0, "0,5,3,17,300,89")  # the first line again
    + line(1, "99,6,3,17,300,89")  # another PM2.5 for an hour that is there already
    + line(31, "x,6,3,17,300,89")
    + "1,2013,2,30,0,1,1,1,1,1,1,0,0,0,0,N,0,Dongsi\n"  # 30 February
    + line(32, "1,1,1,1,1,1", "Nowhere")
    + "1,2\n"
)


@dataclass
class LoadedCity:
    """A hub and an environment service on loopback ports."""

    city: City
    run: dict[str, Any]
    settings: Settings
    folder: Path
    env_port: int

    async def load(self, mapping: FileMapping | str, path: Path, **options: Any) -> Report:
        made = read_mapping(mapping) if isinstance(mapping, str) else mapping
        return await asyncio.to_thread(Load(made, Sender(self.run, made.target.service), **options).run, [path])

    async def prepare(self) -> None:
        """Areas and stations."""
        for mapping, name, text in (("china-areas", "areas.csv", AREAS), ("beijing-stations", "stations.csv", STATIONS)):
            report = await self.load(mapping, written(self.folder / name, text))
            assert (report.stopped, report.rejected) == (None, 0)

    def values(self, measured: str) -> list[tuple[str, float]]:
        """Hour in UTC and value."""
        rows = self.city.sql(
            self.settings,
            "SELECT to_char(o.time AT TIME ZONE 'UTC', 'MM-DD HH24') AS hour, o.value FROM observations o JOIN series s ON s.id = o.series "
            "WHERE s.property = $1 ORDER BY o.time",
            measured,
        )
        return [(row["hour"], row["value"]) for row in rows]


@pytest.fixture
async def loaded_city(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoadedCity]:
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.05)
    clients = default_clients(CITY, {"hub": (), "env": ()})
    write_clients(tmp_path / "clients.json", clients)
    ports = {"hub": free_port(), "env": free_port()}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    settings = city.settings("env", hub_url=urls["hub"])
    run = {"city": CITY, "services": {name: {"url": url} for name, url in urls.items()}, "clients": {each["id"]: each for each in clients}}
    async with serving(create_app(hub, city.settings("hub", hub_url=urls["hub"], clients_file=tmp_path / "clients.json")), ports["hub"]):
        yield LoadedCity(city, run, settings, tmp_path, ports["env"])


async def test_a_wide_file_is_loaded_with_its_odd_lines_accounted_for(loaded_city: LoadedCity):
    path = written(loaded_city.folder / "air.csv.gz", AIR)
    async with serving(create_app(env, loaded_city.settings), loaded_city.env_port):
        await loaded_city.prepare()
        report = await loaded_city.load("beijing-air", path)
    tally = report.files[0]
    assert (report.stopped, tally.lines, tally.empty, tally.unsent) == (None, 37, 3, 0)
    assert tally.lines * 6 == tally.empty + tally.rows
    reasons = {(where, code): (reason.rows, reason.examples[0]["line"]) for where, code, reason in tally.by_rows}
    assert reasons == {
        ("file", "wrong-number-of-columns"): (6, 38),
        ("file", "not-a-time"): (6, 36),
        ("file", "not-a-number"): (1, 35),
        ("service", "unknown-station"): (6, 37),
        ("service", "contradictory"): (2, 3),
    }
    assert tally.counts == {"taken": 30 * 6 - 1 + 3 + 5, "corrected": 0, "duplicates": 6 + 5, "rejected": 21}
    assert (report.declared["taken"], report.declared["rejected"]) == (6, 6)
    pm25 = loaded_city.values("pm25")
    assert pm25[0] == ("02-28 16", 0.0)  # hour 0 of Beijing
    assert len(pm25) == 30
    assert {value for _, value in loaded_city.values("co")} == {0.3}  # ug/m3 in the file, mg/m3 in the city


async def test_the_same_file_again_changes_nothing_and_another_value_waits_for_the_word(loaded_city: LoadedCity):
    text = HEADER + "".join(line(hour, "10,20,3,17,300,89") for hour in range(24))
    changed = written(loaded_city.folder / "changed.csv", text.replace("10,20,", "11,20,"))
    path = written(loaded_city.folder / "air.csv", text)
    async with serving(create_app(env, loaded_city.settings), loaded_city.env_port):
        await loaded_city.prepare()
        first = await loaded_city.load("beijing-air", path)
        again = await loaded_city.load("beijing-air", path)
        refused = await loaded_city.load("beijing-air", changed)
        corrected = await loaded_city.load("beijing-air", changed, correct=True)
    assert first.total.counts == {"taken": 144, "corrected": 0, "duplicates": 0, "rejected": 0}
    assert again.total.counts == {"taken": 0, "corrected": 0, "duplicates": 144, "rejected": 0}
    assert refused.total.counts == {"taken": 0, "corrected": 0, "duplicates": 120, "rejected": 24}
    assert [(where, code) for where, code, _ in refused.files[0].by_rows] == [("service", "conflict")]
    assert corrected.total.counts == {"taken": 0, "corrected": 24, "duplicates": 120, "rejected": 0}
    assert {value for _, value in loaded_city.values("pm25")} == {11.0}


async def test_a_service_that_goes_away_in_mid_load_loses_nothing_and_takes_nothing_twice(loaded_city: LoadedCity):
    hours = 1000
    text = HEADER + "".join(
        f"1,{2013 + hour // 8760},{1 + hour // 672 % 12},{1 + hour // 24 % 28},{hour % 24},1,2,3,4,5,6,0,0,0,0,N,0,Dongsi\n" for hour in range(hours)
    )
    path = written(loaded_city.folder / "air.csv", text)
    made = read_mapping("beijing-air")
    small = made.model_copy(update={"target": made.target.model_copy(update={"batch": 120})})
    half_way = asyncio.Event()
    loop = asyncio.get_running_loop()
    done = 0

    def watch(_: Any, lines: int) -> None:
        nonlocal done
        done += lines
        if done > hours / 4:
            loop.call_soon_threadsafe(half_way.set)

    async with serving(create_app(env, loaded_city.settings), loaded_city.env_port):
        await loaded_city.prepare()
        load = asyncio.create_task(loaded_city.load(small, path, watch=watch))
        await asyncio.wait_for(half_way.wait(), 60)
    assert not load.done()
    await asyncio.sleep(0.3)
    async with serving(create_app(env, loaded_city.settings), loaded_city.env_port):
        report = await asyncio.wait_for(load, 60)
    assert report.stopped is None
    assert report.retries > 0
    assert report.total.counts == {"taken": hours * 6, "corrected": 0, "duplicates": 0, "rejected": 0}
    assert len(loaded_city.values("pm25")) == hours
