"""Samples and tests: merged, judged, judged again, told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.food.conftest import DINER, RECENTLY, Food, counts, reasons

NOW = RECENTLY.isoformat()
LABORATORY = {"number": "L-7", "name": "某市食品检验所", "kind": "agency", "cma": "240001234567", "cma_until": "2030-05-31", "area": "430302"}


def sample(number: str = "S-1", **values: Any) -> dict[str, Any]:
    return {"number": number, "product": "cereal.rice", "premises": "19", "taken_at": NOW} | values


def check(number: str = "T-1", **values: Any) -> dict[str, Any]:
    return {"number": number, "sample": "S-1", "laboratory": "L-7", "analyte": "cadmium", "result": "0.10", "unit": "mg/kg", "tested_at": NOW} | values


class Place:
    """Loads rows of a registry of the test's own."""

    def __init__(self, food: Food, registry: str) -> None:
        self.food, self.registry = food, registry

    async def load(self, what: str, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
        return await self.food.load(what, *({"registry": self.registry} | row for row in rows), **more)

    async def begin(self, **values: Any) -> Place:
        await self.load("premises", DINER)
        await self.load("laboratories", LABORATORY)
        assert counts(await self.load("samples", sample(**values))) == (1, 0, 0, 0)
        return self

    def tests(self) -> list[dict[str, Any]]:
        return [row for row in self.food.rows("tests") if row["registry"] == self.registry]

    def events(self) -> list[str]:
        return [subject for kind, subject in self.food.events() if kind == "food.sample.failed.v1" and subject.startswith(f"samples/{self.registry}:")]


async def test_a_test_bears_its_verdict_with_limit_and_source(kitchen: Food):
    place = await Place(kitchen, "verdict").begin()
    assert counts(await place.load("tests", check(result="250", unit="ug/kg"))) == (1, 0, 0, 0)
    row = place.tests()[0]
    assert (row["verdict"], row["amount"], row["limit_value"], row["limit_unit"], row["reason"]) == ("exceeds", 0.25, 0.2, "mg/kg", "above-limit")
    assert row["source"].startswith("GB 2762-2022 表2") and "to be verified" in row["source"]
    assert place.events() == ["samples/verdict:S-1"]


async def test_what_cannot_be_read_or_compared_is_rejected_with_its_member(kitchen: Food):
    place = await Place(kitchen, "unreadable").begin()
    found = await place.load(
        "tests",
        check("a", unit="mg/L"),
        check("b", unit="furlong"),
        check("c", result="about 3"),
        check("d", sample="S-9"),
        check("e", laboratory="L-9"),
        check("f", tested_at=(RECENTLY + timedelta(days=2)).isoformat()),
        check("g", result="1e400"),
        check("h", analyte="unheard_of", unit="mg/L"),
        check("i", result="20000000"),
        check("j", tested_at=(RECENTLY - timedelta(days=2)).isoformat()),
    )
    assert [(error["code"], error["pointer"].split("/")[-1]) for error in found["errors"]] == [
        ("unit-mismatch", "unit"),
        ("unknown-unit", "unit"),
        ("unreadable-result", "result"),
        ("unknown-sample", "sample"),
        ("unknown-laboratory", "laboratory"),
        ("time-out-of-range", "tested_at"),
        ("unreadable-result", "result"),
        ("impossible-result", "result"),
        ("time-out-of-range", "tested_at"),
    ]
    early = await place.load("samples", sample("S-2", made_on=(RECENTLY + timedelta(days=3)).date().isoformat()))
    assert [error["pointer"] for error in early["errors"]] == ["/0/made_on"]
    assert [row["verdict"] for row in place.tests()] == ["not_assessed"]


async def test_a_sample_lies_at_its_premises_or_where_it_says(kitchen: Food):
    place = await Place(kitchen, "places").begin()
    elsewhere = {"premises": None, "area": "430304"}
    found = await place.load(
        "samples",
        sample("S-2", **elsewhere),
        sample("S-3", premises=None),
        sample("S-4", area="430304"),
        sample("S-5", premises="20"),
        sample("S-6", lot="none"),
    )
    assert reasons(found) == {1: "value-error", 2: "value-error", 3: "unknown-premises", 4: "unknown-lot"}
    rows = {row["number"]: row["area"] for row in kitchen.rows("samples") if row["registry"] == "places"}
    assert rows == {"S-1": "430302", "S-2": "430304"}


async def test_a_correction_of_test_or_sample_is_judged_anew_and_the_old_verdict_kept(kitchen: Food):
    place = await Place(kitchen, "corrected").begin()
    await place.load("tests", check(result="0.15"))
    assert (place.tests()[0]["verdict"], place.events()) == ("conforming", [])
    assert counts(await place.load("samples", sample(product="cereal.wheat"), correct=True)) == (0, 1, 0, 0)
    assert (place.tests()[0]["verdict"], place.events()) == ("exceeds", ["samples/corrected:S-1"])
    assert reasons(await place.load("tests", check(result="0.05"))) == {0: "conflict"}
    assert counts(await place.load("tests", check(result="0.05"), correct=True)) == (0, 1, 0, 0)
    assert place.tests()[0]["verdict"] == "conforming"
    assert "exceeds" in {row["verdict"] for row in kitchen.rows("tests_history") if row["registry"] == "corrected"}


async def test_a_retest_takes_the_place_of_its_test(kitchen: Food):
    place = await Place(kitchen, "retest").begin()
    await place.load("tests", check(result="0.30"))
    await place.load("tests", check("T-2", result="0.12", retest_of="T-1"), check("T-3", analyte="lead", retest_of="T-1"))
    assert [(row["number"], row["superseded"], row["verdict"]) for row in place.tests()] == [
        ("T-1", True, "exceeds"),
        ("T-2", False, "conforming"),
        ("T-3", False, "conforming"),
    ]


async def test_old_failures_are_not_news_and_nobody_tests_samples_elsewhere(kitchen: Food):
    place = await Place(kitchen, "old").begin(taken_at=(RECENTLY - timedelta(days=40)).isoformat())
    assert reasons(await place.load("tests", check(result="9"), headers=kitchen.headers(areas=["4301"]))) == {0: "unknown-sample"}
    await place.load("tests", check(result="9"))
    assert (place.tests()[0]["verdict"], place.events()) == ("exceeds", [])


async def test_the_limits_are_public_with_their_sources(kitchen: Food):
    answer = (await kitchen.client.get("/limits", headers=kitchen.headers("hub:query"))).json()
    rice = next(each for each in answer["limits"] if (each["analyte"], each["product"]) == ("cadmium", "cereal.rice") and each["until"] is None)
    assert (rice["limit"], rice["unit"], rice["verified"]) == ("0.2", "mg/kg", False)
