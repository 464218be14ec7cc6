"""The main job: real files loaded, one question to the whole city, the answer equal to what pandas computes from the same files."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from ops.load.tally import Report
from tests.city import City
from tests.federation import by_pandas
from tests.federation.main_job import WholeCity, all_ok, by_dimensions, whole_city

SAMPLE = ("Dongsi", "Changping", "Wanliu")
SAMPLE_YEAR = 2014
BY_NEIGHBOURHOOD = {
    "across": {
        "fires": {
            "dataset": "fire.calls",
            "measures": {
                "calls": {"fn": "count"},
                "answered": {"fn": "count", "field": "response_s"},
                "p90": {"fn": "quantile", "field": "response_s", "q": 0.9},
            },
            "filter": "area LIKE 'us-06075%'",
        },
        "inspections": {
            "dataset": "food.inspections",
            "measures": {"mean": {"fn": "avg", "field": "score"}, "sum": {"fn": "sum", "field": "score"}, "scored": {"fn": "count", "field": "score"}},
            "filter": "area LIKE 'us-06075%'",
        },
        "violations": {
            "dataset": "food.findings",
            "measures": {"high_risk": {"fn": "count"}},
            "filter": "risk = 'high' AND area LIKE 'us-06075%'",
        },
    },
    "by": {"neighbourhood": "area:district"},
}
BY_DISTRICT_AND_MONTH = {
    "across": {
        "air": {
            "dataset": "env.observations",
            "measures": {"pm25": {"fn": "avg", "field": "value"}, "sum": {"fn": "sum", "field": "value"}, "values": {"fn": "count"}},
            "filter": "property = 'pm25' AND area LIKE '1101%'",
        },
        "days": {
            "dataset": "env.daily",
            "measures": {"above": {"fn": "count"}},
            "filter": f"property = 'pm25' AND hours >= {by_pandas.VALID_HOURS} AND mean > {by_pandas.LIMIT} AND area LIKE '1101%'",
        },
    },
    "by": {"district": "area:district", "month": "time:month"},
    "tz": "Asia/Shanghai",
}


@pytest.fixture(scope="module")
async def loaded(city: City, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WholeCity]:
    """A city with San Francisco in full and a sample of Beijing."""
    folder = tmp_path_factory.mktemp("main_job")
    async with whole_city(city, folder) as whole:
        await load_areas_and_san_francisco(whole, shared_data)
        await load_beijing(whole, shared_data, sample_of_air(shared_data, folder))
        yield whole


async def load_areas_and_san_francisco(whole: WholeCity, data: Path) -> None:
    await whole.load("china-areas", *(data / "admin" / f"cn_{level}_2023.csv" for level in ("provinces", "cities", "areas")))
    await whole.load("sf-neighbourhoods", data / "admin" / "san_francisco_planning_neighborhoods.geojson")
    await whole.load("sf-fire-calls", data / "fire" / "sf_fire_calls_dev_to_20180209.csv")
    await whole.load("sf-food-premises", data / "food" / "sf_businesses.csv")
    await whole.load("sf-food-inspections", data / "food" / "sf_inspections_dev_2014_2016.csv")
    await whole.load("sf-food-findings", data / "food" / "sf_violations_dev_2014_2016.csv")


async def load_beijing(whole: WholeCity, data: Path, air: Sequence[Path]) -> None:
    await whole.load("beijing-stations", data / "env" / "beijing_stations.csv")
    await whole.load("beijing-air", *air)


def air_files(data: Path) -> list[Path]:
    return sorted((data / "env" / "beijing_dev").glob("PRSA_*.csv.gz"))


def sample_of_air(data: Path, folder: Path) -> list[Path]:
    """The same lines as in the publisher's files, of three stations and one year."""
    sample = []
    for path in air_files(data):
        if path.name.split("_")[1] in SAMPLE:
            with gzip.open(path, "rt", encoding="utf-8") as lines, (folder / path.name.removesuffix(".gz")).open("w", encoding="utf-8") as file:
                file.writelines(line for number, line in enumerate(lines) if number == 0 or line.split(",")[1] == str(SAMPLE_YEAR))
            sample.append(folder / path.name.removesuffix(".gz"))
    return sample


def accounts(report: Report) -> list[tuple[str, int, int, int, int]]:
    """File, lines, taken, duplicates, rejected; what is none of these must be nothing."""
    assert report.refused_declarations == []
    for tally in report.files:
        assert tally.counts["corrected"] == 0
        assert tally.unsent == 0
        assert tally.rows == tally.counts["taken"] + tally.counts["duplicates"] + tally.counts["rejected"]
        assert tally.rows == tally.lines * tally.values_per_line - tally.empty + tally.added
    return [(tally.name, tally.lines, tally.counts["taken"], tally.counts["duplicates"], tally.counts["rejected"]) for tally in report.files]


async def test_every_line_of_every_file_is_accounted_for(loaded: WholeCity, shared_data: Path):
    reports = loaded.reports
    assert accounts(reports["sf-fire-calls"]) == [("sf_fire_calls_dev_to_20180209.csv", 7717, 7717, 0, 0)]
    assert accounts(reports["sf-food-premises"]) == [("sf_businesses.csv", 6359, 6359, 0, 0)]
    inspections = pd.read_csv(shared_data / "food" / "sf_inspections_dev_2014_2016.csv", dtype=str)
    repeated = int(inspections.duplicated().sum())
    contradictory = int(inspections.drop_duplicates().duplicated(["business_id", "date", "type"], keep=False).sum())
    taken = len(inspections) - repeated - contradictory
    assert accounts(reports["sf-food-inspections"]) == [("sf_inspections_dev_2014_2016.csv", len(inspections), taken, repeated, contradictory)]
    violations = pd.read_csv(shared_data / "food" / "sf_violations_dev_2014_2016.csv", dtype=str)
    repeated = int(violations.duplicated().sum())
    assert accounts(reports["sf-food-findings"]) == [("sf_violations_dev_2014_2016.csv", len(violations), len(violations) - repeated, repeated, 0)]
    assert accounts(reports["beijing-stations"]) == [("beijing_stations.csv", 35, 35, 0, 0)]
    for name, lines, taken, duplicates, rejected in accounts(reports["beijing-air"]):
        file = pd.read_csv(next(path for path in air_files(shared_data) if path.name.startswith(name.removesuffix(".csv"))))
        values = file[file["year"] == SAMPLE_YEAR][["PM2.5", "PM10", "SO2", "NO2", "CO", "O3"]]
        assert (lines, taken, duplicates, rejected) == (len(values), int(values.notna().sum().sum()), 0, 0)


async def test_the_hub_answers_by_neighbourhood_of_san_francisco_in_one_call_what_pandas_computes(loaded: WholeCity, shared_data: Path):
    answer = await loaded.aggregate(BY_NEIGHBOURHOOD)
    rows = by_dimensions(answer, "neighbourhood")
    neighbourhoods = by_pandas.Neighbourhoods(shared_data / "admin" / "san_francisco_planning_neighborhoods.geojson")
    fire = by_pandas.fire_calls(shared_data / "fire" / "sf_fire_calls_dev_to_20180209.csv", neighbourhoods)
    food = by_pandas.food(shared_data / "food", neighbourhoods)

    assert all_ok(answer, ("fire.calls", "food.inspections", "food.findings"))
    assert len(fire.calls) > 30
    assert {name: row["fires.calls"] for name, row in rows.items() if row["fires.calls"]} == fire.calls
    assert {name: row["fires.answered"] for name, row in rows.items() if row["fires.answered"]} == {
        name: len(each) for name, each in fire.seconds.items() if each
    }
    for name, seconds in fire.seconds.items():
        assert rows[name]["fires.p90"] == pytest.approx(by_pandas.quantile(seconds, 0.9), rel=0.01)
    assert {name: row["inspections.sum"] for name, row in rows.items() if row["inspections.scored"]} == food.score_sum
    assert {name: row["inspections.scored"] for name, row in rows.items() if row["inspections.scored"]} == food.scores
    for name, count in food.scores.items():
        assert rows[name]["inspections.mean"] == pytest.approx(food.score_sum[name] / count, rel=1e-12)
    assert {name: row["violations.high_risk"] for name, row in rows.items() if row["violations.high_risk"]} == food.high_risks


async def test_what_lies_in_no_neighbourhood_is_counted_and_not_lost(loaded: WholeCity):
    rows = by_dimensions(await loaded.aggregate(BY_NEIGHBOURHOOD), "neighbourhood")
    assert rows[None]["fires.calls"] == 14  # the airport, Daly City, piers and points in the bay
    assert sum(row["fires.calls"] or 0 for row in rows.values()) == 3901
    assert rows[None]["inspections.scored"] > 1000  # half of the premises have no coordinates


async def test_the_hub_answers_by_district_and_month_of_beijing_what_pandas_computes(loaded: WholeCity, shared_data: Path):
    sample = [path for path in air_files(shared_data) if path.name.split("_")[1] in SAMPLE]
    truth = by_pandas.air(sample, SAMPLE_YEAR)
    assert len(truth.values) == 12 * len({by_pandas.DISTRICTS[station] for station in SAMPLE})
    await compare_air(loaded, truth)


async def compare_air(whole: WholeCity, truth: by_pandas.Air) -> None:
    answer = await whole.aggregate(BY_DISTRICT_AND_MONTH)
    rows = {(district, month[:7]): row for (district, month), row in by_dimensions(answer, "district", "month").items()}
    assert all_ok(answer, ("env.observations", "env.daily"))
    assert {cell: row["air.values"] for cell, row in rows.items()} == truth.values
    assert {cell: row["air.sum"] for cell, row in rows.items()} == pytest.approx(truth.value_sum, rel=1e-12)
    for cell, count in truth.values.items():
        assert rows[cell]["air.pm25"] == pytest.approx(truth.value_sum[cell] / count, rel=1e-12)
    assert {cell: row["days.above"] or 0 for cell, row in rows.items()} == truth.days_above


async def test_loading_the_same_again_changes_nothing(loaded: WholeCity, shared_data: Path):
    before = await loaded.aggregate(BY_NEIGHBOURHOOD)
    first = loaded.reports["sf-fire-calls"]
    again = await loaded.load("sf-fire-calls", shared_data / "fire" / "sf_fire_calls_dev_to_20180209.csv")
    loaded.reports["sf-fire-calls"] = first
    assert (again.total.counts["taken"], again.total.counts["duplicates"]) == (0, 7717)
    assert (await loaded.aggregate(BY_NEIGHBOURHOOD))["rows"] == before["rows"]


async def test_history_loaded_in_bulk_is_told_to_nobody(loaded: WholeCity):
    for name in ("fire", "food"):
        settings = loaded.apps[name].state.runtime.settings
        assert loaded.city.sql(settings, "SELECT count(*) FROM outbox")[0][0] == 0


@pytest.mark.proof
async def test_all_of_beijing_equals_what_pandas_computes(city: City, shared_data: Path, tmp_path: Path):
    async with whole_city(city, tmp_path) as whole:
        await whole.load("china-areas", *(shared_data / "admin" / f"cn_{level}_2023.csv" for level in ("provinces", "cities", "areas")))
        await load_beijing(whole, shared_data, air_files(shared_data))
        accounts(whole.reports["beijing-air"])
        await compare_air(whole, by_pandas.air(air_files(shared_data)))
