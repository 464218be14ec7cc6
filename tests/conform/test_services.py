"""Every service of this repository keeps the contract."""

from __future__ import annotations

import pytest

from ops.services import declared, present
from tests.city import City
from tests.conform.conftest import checked, filled, subject_of
from tests.conform.mutations import Exchange, Mutated


@pytest.mark.parametrize("name", present())
async def test_our_service_conforms_in_all_and_with_one_of_its_datasets(city: City, name: str) -> None:
    everybodys = [dataset for dataset in declared(name).datasets if dataset.rights is None]  # the access record is for auditors alone
    async with filled(city, name) as (app, _):
        report = await checked(city, name, app, only=everybodys[-1].id)
    assert report.faults() == []
    assert report.conforms and report.count("passed") > 25


@pytest.mark.proof
@pytest.mark.parametrize("name", present())
async def test_our_service_conforms_with_all_its_datasets(city: City, name: str) -> None:
    async with filled(city, name) as (app, _):
        report = await checked(city, name, app)
    assert report.faults() == []


async def test_the_hub_explains_what_a_service_publishes(city: City) -> None:
    async with filled(city, "food") as (food, _), filled(city, "hub") as (hub, _):
        asker = subject_of(city, "hub", hub).asker
        report = await checked(city, "food", food, hub=asker, only="food.premises")
        await asker.aclose()
    assert {result.check.id: result.outcome for result in report.results}["events.schema"] == "passed"


async def test_a_dataset_that_changes_while_it_is_checked_is_asked_as_of_a_past_moment(city: City) -> None:
    async with filled(city, "env") as (app, settings):
        added = 0

        def add(exchange: Exchange) -> None:
            nonlocal added
            added += 1
            city.sql(
                settings,
                "INSERT INTO stations (code, name_zh, kind, area, timezone, recorded_by) VALUES ($1, '新', 'rural', '430302', 'Asia/Shanghai', 'test')",
                f"N{added}",
            )

        report = await checked(city, "env", Mutated(app, r"env.stations/(items|aggregate)", add), only="env.stations")
    assert added > 50
    assert report.faults() == []
