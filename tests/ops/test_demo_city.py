"""The demo city lives, and the tour goes through it: in a city that is really started, at twenty times its speed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from ops.commands.status import memory_mib
from ops.hub import Refused
from ops.services import ROOT
from ops.tour.city import RunningCity as Asked
from tests.ops.running_city import RunningCity, free_port_base

PATIENCE_S = 60
SMALL_MIB = 60
GROWTH_MIB = 8
BACKLOG = 200
LIVING = ("env.observations", "traffic.observations", "worksafety.observations", "water.levels", "fire.calls", "food.inspections", "food.samples")


@pytest.fixture(scope="module")
def running_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    made = RunningCity(tmp_path_factory.mktemp("living"), free_port_base(), demo="on", DEMO_SPEED="20")
    made.start()
    within(PATIENCE_S, (made.var / "demo.json").exists, "the demo does not begin")
    yield made
    made.close()


def within(seconds: float, reached: Callable[[], Any], otherwise: str) -> Any:
    """What is reached in time; who does not answer yet is asked again, and named if it stays so."""
    end, last = time.monotonic() + seconds, ""
    while True:
        try:
            if found := reached():
                return found
        except Refused as error:
            if not error.passing:
                raise
            last = f": {error}"
        assert time.monotonic() < end, f"{otherwise}{last}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def here(running_city: RunningCity) -> Iterator[Asked]:
    with closing(Asked(running_city.var, running_city.run_file())) as city:
        yield city


def count(here: Asked, dataset: str) -> int:
    answer = here.ask("analyst", "hub", "POST", f"/collections/{dataset}/aggregate", {"measures": {"rows": {"fn": "count"}}})
    found: int = answer["rows"][0][0] if answer["rows"] else 0
    return found


def told(city: RunningCity) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((city.var / "demo.json").read_text(encoding="utf-8"))
    return found


def sent(city: RunningCity) -> int:
    return sum(counts.get("sent", 0) for counts in told(city)["services"].values())


def in_order(here: Asked) -> None:
    """What the tour promises when it says so: asked at once and at the hub, which by then has answers of traffic again."""
    assert here.rows("analyst", "hub", "worksafety.releases", filter="ended_at IS NULL") == []
    assert here.rows("analyst", "hub", "hub.incidents", filter="state <> 'closed'") == []
    assert here.rows("analyst", "hub", "fire.incidents", filter="release IS NOT NULL AND closed_at IS NULL") == []
    assert here.rows("analyst", "hub", "traffic.closures", filter="reason = 'release' AND ended_at IS NULL") == []


def test_facts_arrive_in_every_sector_and_crews_drive(running_city: RunningCity, here: Asked) -> None:
    for dataset in LIVING:
        within(PATIENCE_S, partial(count, here, dataset), f"no {dataset}")
    driving = partial(here.rows, "analyst", "hub", "fire.units", filter="state = 'en_route' OR state = 'on_scene'", limit=1)
    within(PATIENCE_S, driving, "no unit drives")
    assert sum(counts.get("refused", 0) for counts in told(running_city)["services"].values()) == 0, told(running_city)
    calls = here.rows("analyst", "hub", "fire.calls", limit=5)
    assert all(call["number"].startswith("demo-") for call in calls), "what is made up says so"
    report = json.loads(running_city.command("status", "--json").stdout)
    assert report["demo"]["speed"] == 20
    assert report["demo"]["sent"] > 0
    assert {row["name"] for row in report["services"]} == set(running_city.run_file()["services"]), "the demo is none of the services"


def test_a_killed_service_does_not_stop_the_demo_nor_does_its_own_end(running_city: RunningCity) -> None:
    before = running_city.run_file()
    os.kill(before["services"]["env"]["pid"], signal.SIGKILL)
    known = sent(running_city)
    within(PATIENCE_S, lambda: sent(running_city) > known + 100, "the demo stopped with env")
    within(PATIENCE_S, lambda: running_city.command("status").returncode == 0, "env stays away")
    assert running_city.run_file()["demo_pid"] == before["demo_pid"]
    os.kill(before["demo_pid"], signal.SIGKILL)
    within(PATIENCE_S, lambda: running_city.run_file()["demo_pid"] != before["demo_pid"], "the demo was not started again")
    within(PATIENCE_S, lambda: told(running_city)["pid"] == running_city.run_file()["demo_pid"] and sent(running_city) > 100, "it sends nothing")


def looked_at(city: RunningCity) -> dict[str, Any]:
    """Memory of the demo and of all, MiB, and the events that wait in the service that is furthest behind."""
    report = json.loads(city.command("status", "--json").stdout)
    waiting = max(row["backlog"] or 0 for row in report["services"])
    return {"demo": memory_mib(city.run_file()["demo_pid"]), "all": report["memory_mib"], "backlog": waiting, "sent": sent(city)}


def backlog(city: RunningCity) -> int:
    return int(looked_at(city)["backlog"])


def steady(city: RunningCity, here: Asked, seconds: float) -> None:
    """At full speed the demo stays small and the services keep up."""
    pid = city.run_file()["demo_pid"]
    first, known = memory_mib(pid), sent(city)
    assert first is not None
    time.sleep(seconds)
    last = memory_mib(pid)
    assert last is not None
    assert last < SMALL_MIB
    assert last - first < GROWTH_MIB
    assert sent(city) > known
    within(PATIENCE_S, lambda: backlog(city) < BACKLOG, "events pile up")
    assert len(here.rows("analyst", "hub", "fire.incidents", filter="closed_at IS NULL", limit=200)) < 60, "incidents pile up"


def test_the_tour_comes_true_and_leaves_a_report_and_the_city_in_order(running_city: RunningCity, here: Asked) -> None:
    shown = running_city.command("tour", "--quick", "--language", "en")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    page = (running_city.var / "tour" / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)|(?:src|href)=|url\(|@import", page), "nothing from outside"
    for words in ("Everything came true", "全部如期发生", "430300/traffic: error", "liandong token"):
        assert words in page
    assert (running_city.var / "tour" / "by-hand.sh").read_text(encoding="utf-8") in shown.stdout
    in_order(here)


def test_the_commands_of_the_report_work_as_they_stand(running_city: RunningCity, here: Asked) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = ["sh", str(running_city.var / "tour" / "by-hand.sh")]
    done = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "copy" in done.stdout.split()
    in_order(here)


@pytest.mark.parametrize("reached", [pytest.param("Chlorine escapes", marks=pytest.mark.proof), "The process of traffic"])
def test_ctrl_c_in_the_middle_of_the_tour_leaves_the_city_as_it_should_be(running_city: RunningCity, here: Asked, reached: str) -> None:
    command = [sys.executable, "-u", "-m", "ops.cli", "tour", "--quick", "--language", "en"]
    tour = subprocess.Popen(command, cwd=ROOT, env=running_city.environment(), stdout=subprocess.PIPE, text=True)
    assert tour.stdout is not None
    seen = ""
    while reached not in seen:
        line = tour.stdout.readline()
        assert line, seen
        seen += line
    tour.send_signal(signal.SIGINT)
    rest, _ = tour.communicate(timeout=3 * PATIENCE_S)
    assert tour.returncode == 130, seen + rest
    assert "Everything is put right" in rest
    assert "✗" not in rest.partition("Everything is put right")[2], rest
    assert "Interrupted" in (running_city.var / "tour" / "report.html").read_text(encoding="utf-8")
    in_order(here)


def test_five_seconds_at_twenty_times_the_speed_are_steady(running_city: RunningCity, here: Asked) -> None:
    steady(running_city, here, 5)
    arrived = partial(here.rows, "analyst", "hub", "fire.incidents", filter="on_scene_at IS NOT NULL", limit=1)
    within(PATIENCE_S, arrived, "no unit arrives anywhere")


@pytest.mark.proof
def test_ten_minutes_at_twenty_times_the_speed_are_steady(running_city: RunningCity, here: Asked) -> None:
    """The figures are printed (`pytest -s`); memory of the services settles in the first minutes, then it must stay."""
    first, seen = sent(running_city), []
    for minute in range(1, 11):
        steady(running_city, here, 55)
        seen.append(looked_at(running_city))
        print(f"minute {minute}: " + ", ".join(f"{name} {value}" for name, value in seen[-1].items()))  # noqa: T201 - the figures are the point
    assert seen[-1]["all"] < 1.1 * seen[2]["all"], seen
    assert max(each["backlog"] for each in seen) < BACKLOG, seen
    assert seen[-1]["sent"] - first > 10_000, "it lived all the while"


@pytest.mark.proof
def test_two_cities_and_their_tours_side_by_side(running_city: RunningCity, here: Asked, tmp_path: Path) -> None:
    other = RunningCity(tmp_path, free_port_base(), demo="on", CITY="430100")
    other.start()
    try:
        command = [sys.executable, "-m", "ops.cli", "tour", "--quick", "--language", "en", "--neighbour"]
        tours = [
            subprocess.Popen([*command, str(beside.var)], cwd=ROOT, env=city.environment(), stdout=subprocess.PIPE, text=True)
            for city, beside in ((running_city, other), (other, running_city))
        ]
        told = [tour.communicate(timeout=4 * PATIENCE_S)[0] for tour in tours]
        assert [tour.returncode for tour in tours] == [0, 0], told
        assert "430100 has received the warning, signed" in told[0]
        assert "430300 has received the warning, signed" in told[1]
        in_order(here)
    finally:
        other.close()


def test_where_no_city_runs_or_the_neighbour_is_the_city_itself_it_says_so(running_city: RunningCity, tmp_path: Path) -> None:
    nowhere = running_city.command("tour", VAR_DIR=str(tmp_path))
    assert nowhere.returncode == 4
    itself = running_city.command("tour", "--neighbour", str(running_city.var))
    assert itself.returncode == 2
    assert "another city" in itself.stderr


def test_the_demo_ends_with_the_city(running_city: RunningCity) -> None:
    """The last one: it ends the city."""
    pid = running_city.run_file()["demo_pid"]
    running_city.signal(signal.SIGTERM)
    assert not psutil.pid_exists(pid)
