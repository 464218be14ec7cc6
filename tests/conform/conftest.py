"""Services with some rows, and a checker that asks them in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from ops.conform.asking import Asker, Limits
from ops.conform.run import Report, conform
from ops.conform.subject import Subject
from ops.services import declared
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.conform.filling import fill
from tests.sector import AREAS

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
DISTRICTS = ("430302", "430304")


def _place(number: int) -> dict[str, Any]:
    return {"area": DISTRICTS[number % 2], "lon": 112.8 + number / 100, "lat": 27.8 + number % 5 / 100, "crs": "wgs84"}


def _at(number: int) -> str:
    return (HOUR + timedelta(minutes=37 * number)).isoformat()


ROWS: dict[str, list[tuple[str, str, list[dict[str, Any]]]]] = {
    "env": [
        ("PUT", "/stations", [{"code": f"S{n}", "name_zh": f"测站,{n}", "kind": ("urban", "rural")[n % 2], **_place(n)} for n in range(12)]),
        ("PUT", "/series", [{"station": f"S{n}", "property": "pm25", "timing": "begin", "interval_s": 3600} for n in range(4)]),
        (
            "POST",
            "/observations",
            [
                {"station": f"S{n}", "property": "pm25", "time": (HOUR + timedelta(hours=h)).isoformat(), "value": n * 10 + h / 7}
                for n in range(4)
                for h in range(30 - 3 * n)
            ],
        ),
    ],
    "food": [
        ("POST", "/premises", [{"number": f"JY{n}", "name": f'某 "{n}" 店', "kind": ("catering", "retail", None)[n % 3], **_place(n)} for n in range(30)]),
    ],
}
"""What is loaded before a service is checked; the others are checked with what they have."""


@asynccontextmanager
async def filled(city: City, name: str) -> AsyncIterator[tuple[FastAPI, Settings]]:
    """A service of the city with its rows."""
    settings = city.settings(name)
    app = create_app(declared(name), settings)
    city.sql(settings, AREAS)
    async with running(app) as client:
        for method, path, rows in ROWS.get(name, []):
            answer = await client.request(method, path, json=rows, headers=city.headers(name, scope=f"{name}:write", subject="client:loader"))
            assert answer.status_code == 200 and answer.json()["taken"] == len(rows), answer.text
        fill(city, settings, declared(name))
        yield app, settings


def subject_of(city: City, name: str, app: Any, *, url: str = "http://test", limits: Limits | None = None, **options: Any) -> Subject:
    """The service as the checker sees it, with an ordinary token, a narrower one and one for another service."""
    clearance = {"grade": "important", "personal": "none"}
    token = city.token(name, scope=f"{name}:read hub:query", clearance=clearance)
    narrow = city.token(name, scope="hub:query", areas=["430302"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    options = {"narrow": narrow, "other": city.token("elsewhere", scope=f"{name}:read"), **options}
    return Subject(Asker(url, token, limits, transport), **options)


async def checked(city: City, name: str, app: Any, **options: Any) -> Report:
    subject = subject_of(city, name, app, **options)
    try:
        return await conform(subject)
    finally:
        await subject.asker.aclose()
