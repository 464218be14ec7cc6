"""One question across three sectors whose rows meet in place and time, so that a broken join cannot hide."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ops.demo.areas import demo_areas
from tests.city import City
from tests.federation.by_pandas import quantile
from tests.federation.main_job import WholeCity, all_ok, by_dimensions, whole_city

ZONE = ZoneInfo("Asia/Shanghai")
DISTRICTS = ("430302", "430304", "430321")
PLACES = ("430302001", "430302003", "430304001", "430304", "430321100", "430321")
"""Towns, and districts where the town is not known."""
START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=6)
HOURS = 5 * 24
Cell = tuple[str, str]


def moment(chance: random.Random) -> datetime:
    return START + timedelta(seconds=chance.randrange(HOURS * 3600))


def responses(chance: random.Random) -> list[dict[str, Any]]:
    rows = []
    for number in range(600):
        received = moment(chance)
        call = {"number": f"c{number}", "kind": chance.choice(["structure_fire", "medical"]), "priority": "emergency", "area": chance.choice(PLACES)}
        for unit in range(chance.randrange(1, 4)):
            dispatched = received + timedelta(seconds=chance.randrange(20, 200))
            times = {"received_at": received, "dispatched_at": dispatched}
            if chance.random() > 0.2:
                times["on_scene_at"] = dispatched + timedelta(seconds=chance.randrange(60, 1500))
            rows.append({**call, "unit": f"E{unit}", "unit_kind": "engine", **{name: at.isoformat() for name, at in times.items()}})
    return rows


def premises(chance: random.Random) -> list[dict[str, Any]]:
    return [{"number": f"p{number}", "name": "某店", "area": chance.choice(PLACES)} for number in range(100)]


def inspections(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "number": f"i{number}",
            "premises": f"p{chance.randrange(100)}",
            "inspected_at": moment(chance).isoformat(),
            "kind": "routine_unannounced",
            "score": chance.choice([None, *range(50, 101)]),
        }
        for number in range(800)
    ]


def findings(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {"number": f"f{number}", "inspection": f"i{chance.randrange(800)}", "code": "1", "risk": chance.choice(["low", "moderate", "high"])}
        for number in range(1500)
    ]


STATIONS = [{"code": f"s{area}", "name_zh": area, "area": area} for area in ("430302001", "430304", "430321100")]


def observations(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {"station": station["code"], "property": "pm25", "time": (START + timedelta(hours=hour)).isoformat(), "value": round(chance.uniform(3, 300), 1)}
        for station in STATIONS
        for hour in range(HOURS)
    ]


class Rows:
    """What was sent, and what must come back."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.responses, self.premises = responses(chance), premises(chance)
        self.inspections, self.findings, self.observations = inspections(chance), findings(chance), observations(chance)

    def calls(self) -> dict[Cell, dict[str, float | None]]:
        """By call: its first arrival in seconds, None if no unit arrived."""
        cells: dict[Cell, dict[str, float | None]] = defaultdict(dict)
        for row in self.responses:
            cell, known = cells[_cell(row["area"], row["received_at"])], row["number"]
            took = _seconds(row["received_at"], row["on_scene_at"]) if "on_scene_at" in row else None
            times = [each for each in (cell.get(known), took) if each is not None]
            cell[known] = min(times) if times else None
        return cells

    def scores(self) -> dict[Cell, list[float]]:
        area = {row["number"]: row["area"] for row in self.premises}
        return _grouped((_cell(area[row["premises"]], row["inspected_at"]), row["score"]) for row in self.inspections if row["score"] is not None)

    def high_risks(self) -> dict[Cell, list[float]]:
        area = {row["number"]: row["area"] for row in self.premises}
        cells = {row["number"]: _cell(area[row["premises"]], row["inspected_at"]) for row in self.inspections}
        return _grouped((cells[row["inspection"]], 1.0) for row in self.findings if row["risk"] == "high")

    def pm25(self) -> dict[Cell, list[float]]:
        area = {station["code"]: station["area"] for station in STATIONS}
        return _grouped((_cell(area[row["station"]], row["time"]), row["value"]) for row in self.observations)


def _cell(area: str, at: str) -> Cell:
    return area[:6], datetime.fromisoformat(at).astimezone(ZONE).date().isoformat()


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _grouped(pairs: Any) -> dict[Cell, list[float]]:
    groups: dict[Cell, list[float]] = defaultdict(list)
    for cell, value in pairs:
        groups[cell].append(value)
    return groups


QUESTION = {
    "across": {
        "fires": {
            "dataset": "fire.calls",
            "measures": {"calls": {"fn": "count"}, "p90": {"fn": "quantile", "field": "response_s", "q": 0.9}, "worst": {"fn": "max", "field": "response_s"}},
        },
        "inspections": {"dataset": "food.inspections", "measures": {"mean": {"fn": "avg", "field": "score"}, "scored": {"fn": "count", "field": "score"}}},
        "violations": {"dataset": "food.findings", "measures": {"high_risk": {"fn": "count"}}, "filter": "risk = 'high'"},
        "air": {"dataset": "env.observations", "measures": {"pm25": {"fn": "avg", "field": "value"}}, "filter": "property = 'pm25'"},
    },
    "by": {"district": "area:district", "day": "time:day"},
    "tz": "Asia/Shanghai",
}


@pytest.fixture(scope="module")
async def whole(city: City, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[WholeCity, Rows]]:
    rows = Rows(seed=7)
    async with whole_city(city, tmp_path_factory.mktemp("overlap")) as made:
        await send(made, "hub", "PUT", "/areas", list(demo_areas(cells=False)))
        await send(made, "fire", "POST", "/responses", rows.responses)
        for path, sent in (("/premises", rows.premises), ("/inspections", rows.inspections), ("/findings", rows.findings)):
            await send(made, "food", "POST", path, sent)
        await send(made, "env", "PUT", "/stations", STATIONS)
        await send(made, "env", "PUT", "/series", [{"station": each["code"], "property": "pm25", "timing": "begin", "interval_s": 3600} for each in STATIONS])
        await send(made, "env", "POST", "/observations", rows.observations)
        yield made, rows


async def send(whole: WholeCity, service: str, method: str, path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    headers = whole.city.headers(service, scope="hub:admin" if service == "hub" else f"{service}:write")
    answer = await whole.client.request(method, whole.run["services"][service]["url"] + path, json=rows, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["taken"], answer.json()["rejected"]) == (len(rows), 0), answer.text


async def test_each_cell_holds_what_each_sector_has_there_and_then(whole: tuple[WholeCity, Rows]):
    city, rows = whole
    answer = await city.aggregate(QUESTION)
    found = {(district, day[:10]): row for (district, day), row in by_dimensions(answer, "district", "day").items()}
    calls, scores, high_risks, pm25 = rows.calls(), rows.scores(), rows.high_risks(), rows.pm25()
    assert all_ok(answer, ("fire.calls", "food.inspections", "food.findings", "env.observations"))
    assert found.keys() == calls.keys() | scores.keys() | high_risks.keys() | pm25.keys()
    assert len(calls.keys() & scores.keys() & high_risks.keys() & pm25.keys()) >= 15  # they do overlap
    for cell, row in found.items():
        seconds = sorted(each for each in calls[cell].values() if each is not None)
        assert row["fires.calls"] == len(calls[cell])
        assert row["fires.p90"] == pytest.approx(quantile(seconds, 0.9), rel=0.01)
        assert row["fires.worst"] == max(seconds)
        assert row["inspections.scored"] == len(scores[cell])
        assert row["inspections.mean"] == pytest.approx(fmean(scores[cell]), rel=1e-12)
        assert row["violations.high_risk"] == len(high_risks[cell])
        assert row["air.pm25"] == pytest.approx(fmean(pm25[cell]), rel=1e-12)


async def test_a_finer_level_groups_what_is_known_only_coarsely_under_null(whole: tuple[WholeCity, Rows]):
    city, rows = whole
    found = by_dimensions(await city.aggregate({**QUESTION, "by": {"town": "area:town"}}), "town")
    areas = {row["number"]: row["area"] for row in rows.responses}
    assert found[None]["fires.calls"] == sum(len(area) == 6 for area in areas.values())
    assert found["430302003"]["fires.calls"] == sum(area == "430302003" for area in areas.values())
    assert found["430302003"]["air.pm25"] is None  # no station there


async def test_a_caller_of_one_district_is_answered_for_that_district_alone(whole: tuple[WholeCity, Rows]):
    city, rows = whole
    answer = await city.aggregate({**QUESTION, "by": {"district": "area:district"}}, areas=["430304"])
    found = by_dimensions(answer, "district")
    assert list(found) == ["430304"]
    assert found["430304"]["fires.calls"] == len({row["number"] for row in rows.responses if row["area"].startswith("430304")})
    assert answer["coverage"]["complete"]
