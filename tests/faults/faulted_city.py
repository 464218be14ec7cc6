"""A running city with stations, that can be loaded, hurt, and asked what it still knows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import redis

from tests.ops.running_city import RunningCity

STATIONS = 40
AREA = "430302"


def within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if reached():
            return True
        time.sleep(0.05)
    return False


class FaultedCity(RunningCity):
    def prepare(self) -> None:
        """Stations whose values above the limit become events."""
        names = [f"s{number:02}" for number in range(STATIONS)]
        stations = [{"code": name, "name_en": name, "area": AREA} for name in names]
        series = [{"station": name, "property": "so2", "timing": "begin", "interval_s": 3600} for name in names]
        for path, rows in (("/stations", stations), ("/series", series)):
            answer = self.call("env", "PUT", path, json=rows)
            assert answer.json()["taken"] == STATIONS, answer.text

    def url(self, service: str) -> str:
        return str(self.run_file()["services"][service]["url"])

    def pid(self, service: str) -> int:
        return int(self.run_file()["services"][service]["pid"])

    def token(self, client: str, service: str) -> dict[str, str]:
        found = self.run_file()["clients"][client]
        form = {"grant_type": "client_credentials", "client_id": found["id"], "client_secret": found["secret"], "resource": f"430300/{service}"}
        answer = httpx.post(f"{self.url('hub')}/oauth/token", data=form, trust_env=False, timeout=30)
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}

    def call(self, service: str, method: str, path: str, *, client: str | None = None, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        bearer = self.token(client or ("analyst" if service == "hub" else f"{service}-system"), service)
        return httpx.request(method, self.url(service) + path, headers=bearer | (headers or {}), trust_env=False, timeout=30, **options)

    def settings_file(self, service: str) -> Path:
        return self.var / "config" / f"{service}.json"

    def rows(self, service: str, statement: str) -> list[Any]:
        """What stands in a service's database, read past the service."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(json.loads(self.settings_file(service).read_text(encoding="utf-8"))["database_url"])
            try:
                return list(await connection.fetch(statement))
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as own_loop:
            return own_loop.submit(asyncio.run, fetch()).result()

    def admin_redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.run_file()["redis"])

    def answers(self, service: str) -> bool:
        try:
            return httpx.get(f"{self.url(service)}/readyz", trust_env=False, timeout=2).status_code == 200
        except (httpx.HTTPError, OSError, ValueError):
            return False


def hours_ago(count: int) -> str:
    return (datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=count)).isoformat()


def rises(hour: int) -> list[dict[str, Any]]:
    """Two hours of SO2 at every station, below the limit and then above it: one event for each station."""
    names = [f"s{number:02}" for number in range(STATIONS)]
    return [{"station": name, "property": "so2", "time": hours_ago(ago), "value": value} for ago, value in ((hour + 1, 10), (hour, 600)) for name in names]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
