"""A steady load over every sector, and somebody who keeps asking the hub, while parts of the city are hurt."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.faults.faulted_city import AREA, STATIONS, FaultedCity, hours_ago

PACE_S = 0.25
ANSWER_S = 3.0


@dataclass
class Writer:
    """Writes one fact after another into a sector; each is sent again, under the same key, until it is confirmed."""

    city: FaultedCity
    service: str
    dataset: str
    where: str
    """What counts the facts: one row for each of the dataset's that is so, in CQL2 as in SQL."""
    request: Callable[[int], tuple[str, Any]]
    """Path and body of the n-th fact."""
    confirmed: int = 0
    attempted: int = 0
    refused: list[str] = field(default_factory=list)

    def run(self, ended: threading.Event, run: str) -> None:
        headers: dict[str, str] = {}
        for number in itertools.count():
            if ended.is_set() or self.refused:
                return
            path, body = self.request(number)
            self.attempted += 1
            while True:
                try:
                    headers = headers or self.city.token(f"{self.service}-system", self.service)
                    key = {"Idempotency-Key": f"{run}-{self.service}-{number}"}
                    answer = httpx.post(self.city.url(self.service) + path, json=body, headers=headers | key, trust_env=False, timeout=ANSWER_S)
                except (httpx.HTTPError, OSError, ValueError, KeyError):
                    time.sleep(0.1)
                    continue
                if answer.is_success:
                    break
                headers = {}
                if answer.status_code < 500 and answer.status_code not in (401, 429):
                    self.refused.append(f"{path}: {answer.status_code} {answer.text[:500]}")
                    return
                time.sleep(0.1)
            self.confirmed += 1
            time.sleep(PACE_S)


@dataclass
class Asker:
    """Asks how many facts there are, and holds the hub to what it says: a count without a mark is right, what is missing is named."""

    city: FaultedCity
    writers: list[Writer]
    base: dict[str, int]
    """Rows that were there before."""
    answers: int = 0
    incomplete: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self, ended: threading.Event) -> None:
        question = {
            "across": {writer.service: {"dataset": writer.dataset, "filter": writer.where, "measures": {"n": {"fn": "count"}}} for writer in self.writers},
            "by": {"nation": "area:nation"},
            "deadline_ms": 1500,
        }
        headers: dict[str, str] = {}
        while not ended.is_set():
            known = {writer.service: writer.confirmed for writer in self.writers}
            try:
                headers = headers or self.city.token("analyst", "hub")
                answer = httpx.post(f"{self.city.url('hub')}/aggregate", json=question, headers=headers, trust_env=False, timeout=10)
            except (httpx.HTTPError, OSError, ValueError, KeyError):
                time.sleep(0.1)
                continue
            if answer.status_code == 200:
                self._check(answer.json(), known)
            elif answer.status_code == 401:
                headers = {}
            elif answer.status_code not in (502, 503, 504):
                self.wrong.append(f"{answer.status_code} {answer.text[:500]}")
            time.sleep(PACE_S)

    def _check(self, found: dict[str, Any], known: dict[str, int]) -> None:
        self.answers += 1
        columns = [column["name"] for column in found["columns"]]
        statuses = {source["dataset"]: source["status"] for source in found["coverage"]["sources"]}
        self.incomplete += not found["coverage"]["complete"]
        if found["coverage"]["complete"] != all(status == "ok" for status in statuses.values()):
            self.wrong.append(f"complete is {found['coverage']['complete']} with {statuses}")
        for writer in self.writers:
            counted = sum(row[columns.index(f"{writer.service}.n")] or 0 for row in found["rows"])
            base = self.base[writer.service]
            if statuses[writer.dataset] == "ok" and not base + known[writer.service] <= counted <= base + writer.attempted:
                self.wrong.append(f"{writer.dataset}: {counted} rows, of {base} before and {known[writer.service]} to {writer.attempted} written")
            if statuses[writer.dataset] != "ok" and counted:
                self.wrong.append(f"{writer.dataset} is {statuses[writer.dataset]} and yet counts {counted}")


def now_text() -> str:
    return datetime.now(UTC).isoformat()


def env_fact(number: int) -> tuple[str, Any]:
    """An hour above the limit: one event."""
    return "/observations", [{"station": f"s{number % STATIONS:02}", "property": "no2", "time": hours_ago(2 + 2 * (number // STATIONS)), "value": 500}]


def fire_fact(number: int) -> tuple[str, Any]:
    call = {"number": f"steady-{number}", "kind": "alarm", "priority": "emergency", "received_at": now_text(), "area": AREA}
    return "/calls", call


def food_fact(number: int) -> tuple[str, Any]:
    finding = {"code": "103109", "risk": "high", "description": "生熟混放"}
    inspection = {"number": f"steady-{number}", "inspected_at": now_text(), "kind": "routine_unannounced", "score": 40, "findings": [finding]}
    return "/premises/430300:STEADY/inspections", inspection


def traffic_fact(number: int) -> tuple[str, Any]:
    line = {"type": "LineString", "coordinates": [[112.9 + number / 1e4, 27.85], [112.9 + number / 1e4, 27.86]]}
    return "/closures", {"reason": "works", "geometry": line, "area": AREA}


def release_fact(number: int) -> tuple[str, Any]:
    return "/releases", {"cas": "7782-50-5", "rate_kg_s": 0.5, "began_at": now_text(), "lon": 112.9, "lat": 27.85 + number / 1e4, "crs": "wgs84", "area": AREA}
