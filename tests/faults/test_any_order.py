"""Every service is killed, stopped and started in any order under a steady load: nothing is lost or doubled, and the hub says what is missing."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from ops.services import present
from tests.faults import steady
from tests.faults.faulted_city import AREA, STATIONS, FaultedCity, kill, within
from tests.faults.steady import Asker, Writer

SECTORS = {
    "env": ("env.observations", "value = 500", steady.env_fact),
    "fire": ("fire.calls", "number LIKE 'steady-%'", steady.fire_fact),
    "food": ("food.inspections", "number LIKE 'steady-%'", steady.food_fact),
    "traffic": ("traffic.closures", "reason = 'works'", steady.traffic_fact),
    "worksafety": ("worksafety.releases", "rate_kg_s = 0.5", steady.release_fact),
}
REACTIONS = {
    "an outline of env": ("env", "SELECT release AS id FROM outlines"),
    "a closure of traffic": ("traffic", "SELECT release AS id FROM closures WHERE release IS NOT NULL"),
    "an incident of fire": ("fire", "SELECT release AS id FROM incidents WHERE release IS NOT NULL"),
    "an incident of the hub": ("hub", "SELECT regarding AS id FROM incident_subjects WHERE regarding LIKE 'releases/%'"),
}


def prepare(city: FaultedCity) -> None:
    """What the facts refer to; sent again it changes nothing."""
    premises = [{"number": "STEADY", "name": "湘江小馆", "kind": "catering", "area": AREA}]
    series = [{"station": f"s{number:02}", "property": "no2", "timing": "begin", "interval_s": 3600} for number in range(STATIONS)]
    for service, method, path, rows in (("food", "POST", "/premises", premises), ("env", "PUT", "/series", series)):
        answer = city.call(service, method, path, json=rows)
        assert answer.status_code == 200, answer.text


@contextmanager
def steady_load(city: FaultedCity) -> Iterator[tuple[list[Writer], Asker]]:
    prepare(city)
    ended, run = threading.Event(), uuid.uuid4().hex[:8]
    writers = [Writer(city, service, dataset, where, fact) for service, (dataset, where, fact) in SECTORS.items()]
    asker = Asker(city, writers, {writer.service: rows_of(city, writer) for writer in writers})
    threads = [threading.Thread(target=writer.run, args=(ended, run)) for writer in writers]
    threads.append(threading.Thread(target=asker.run, args=(ended,)))
    for thread in threads:
        thread.start()
    try:
        yield writers, asker
    finally:
        ended.set()
        for thread in threads:
            thread.join(60)


def rows_of(city: FaultedCity, writer: Writer) -> int:
    return int(city.rows(writer.service, f"SELECT count(*) AS n FROM {writer.dataset.partition('.')[2]} WHERE {writer.where}")[0]["n"])


def hurt(city: FaultedCity, chance: random.Random) -> None:
    """Kill, end or stop one service, whichever; or stop one while another is killed."""
    service, fault = chance.choice(present()), chance.choice(("kill", "end", "stop", "both"))
    pid = city.pid(service)
    if fault == "kill":
        kill(pid)
    elif fault == "end":
        os.kill(pid, signal.SIGTERM)
    else:
        os.kill(pid, signal.SIGSTOP)
        if fault == "both":
            other = chance.choice([name for name in present() if name != service])
            kill(city.pid(other))
        time.sleep(chance.uniform(0.5, 3))
        os.kill(pid, signal.SIGCONT)
    time.sleep(chance.uniform(0.2, 2))


def nothing_lost(city: FaultedCity) -> str | None:
    """What is still missing or doubled in the hub's log, compared with what each service recorded."""
    try:
        for service in present():
            logged = Counter(row["id"] for row in city.rows("hub", f"SELECT id FROM event_log WHERE source = '430300/{service}'"))
            recorded = Counter(row["id"] for row in city.rows(service, "SELECT envelope->>'id' AS id FROM outbox"))
            if logged != recorded:
                return f"{service}: {len(recorded - logged)} events not logged, {len(logged - recorded)} logged too often"
        reported = Counter(str(row["id"]) for row in city.rows("worksafety", "SELECT id FROM releases"))
        for name, (service, statement) in REACTIONS.items():
            found = Counter(str(row["id"]).removeprefix("releases/") for row in city.rows(service, statement))
            if found != reported:
                return f"{len(reported - found)} releases without {name}, {len(found - reported)} with one too many"
    except (OSError, asyncpg.PostgresError) as error:
        return repr(error)
    return None


def survive(city: FaultedCity, faults: int, seed: int) -> None:
    chance = random.Random(seed)
    with steady_load(city) as (writers, asker):
        for _ in range(faults):
            hurt(city, chance)
        assert within(90, lambda: all(city.answers(name) for name in present())), "every service is back without help"
        counts = {writer.service: writer.confirmed for writer in writers}
        assert within(90, lambda: all(writer.confirmed > counts[writer.service] + 2 or writer.refused for writer in writers)), "the load goes on"
    assert not [refusal for writer in writers for refusal in writer.refused]
    missing: list[str | None] = []
    assert within(90, lambda: missing.append(nothing_lost(city)) or missing[-1] is None), missing[-1]  # type: ignore[func-returns-value]
    for writer in writers:
        assert rows_of(city, writer) - asker.base[writer.service] == writer.confirmed == writer.attempted, writer.dataset
    assert not asker.wrong, asker.wrong[:5]
    assert asker.answers > 5


def test_a_handful_of_faults_in_any_order_loses_nothing(faulted: FaultedCity) -> None:
    survive(faulted, 5, seed=3)


@pytest.mark.proof
def test_thirty_faults_in_any_order_lose_nothing(faulted: FaultedCity) -> None:
    survive(faulted, 30, seed=20261122)
