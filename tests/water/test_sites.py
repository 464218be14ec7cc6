"""Sites: loaded, corrected with their history, told of once, within the rights of the token; and the whole service conforms."""

from __future__ import annotations

from typing import Any

import httpx

from ops.conform.asking import Asker
from ops.conform.run import conform
from ops.conform.subject import Subject
from tests.water.conftest import Sector


def site(number: int, **others: Any) -> dict[str, Any]:
    place = {"area": ("430302", "430304")[number % 2], "lon": 112.8 + number / 100, "lat": 27.8, "crs": "wgs84"}
    facts = {"kind": ("public", "other")[number % 2], "capacity": 10 * number, "inspected_at": f"2026-11-{number + 1:02d}T08:00:00+08:00"}
    return {"code": f"S{number}", "name_zh": f"场所{number}", **facts, **place, **others}


async def test_a_site_is_taken_once_told_once_and_corrected_with_its_history(sector: Sector) -> None:
    assert (await sector.load("sites", site(1)))["taken"] == 1
    assert (await sector.load("sites", site(1)))["duplicates"] == 1
    assert (await sector.load("sites", site(1, capacity=99)))["errors"][0]["code"] == "conflict"
    assert (await sector.load("sites", site(1, capacity=99), correct=True))["corrected"] == 1
    assert [row[0] for row in sector.city.sql(sector.settings, "SELECT capacity FROM sites_history")] == [10]
    assert sector.events() == ["water.site.registered.v1 sites/S1"]


async def test_a_token_writes_only_in_its_areas(sector: Sector) -> None:
    answer = await sector.load("sites", site(1), site(2), areas=("430304",))
    assert (answer["taken"], [error["code"] for error in answer["errors"]]) == (1, ["outside-areas"])


async def test_the_service_keeps_the_contract(sector: Sector) -> None:
    await sector.load("sites", *(site(number) for number in range(20)))
    tokens = {"narrow": sector.city.token("water", scope="hub:query", areas=["430302"]), "other": sector.city.token("hub", scope="hub:query")}
    transport = httpx.ASGITransport(sector.app, raise_app_exceptions=False)
    asker = Asker("http://test", sector.city.token("water", scope="water:read"), transport=transport)
    report = await conform(Subject(asker, **tokens))
    await asker.aclose()
    assert [(one.check.id, one.reason) for one in report.results if one.outcome == "failed" or one.blocked] == []
    assert report.conforms and report.count("passed") > 35
