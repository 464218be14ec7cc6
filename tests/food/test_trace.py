"""Lots and movements loaded, traced with amounts, faults, rights and time; patterns upstream of failed samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.food.conftest import RECENTLY, Food, counts, reasons
from tests.food.mixing import amounts_of, parts_of, random_kitchen
from tests.food.test_samples import LABORATORY, Place

AT = (RECENTLY - timedelta(days=3)).isoformat()
FARM, MILL, SHOP, ELSEWHERE = (
    {"number": name, "name": name, "kind": "production", "area": area}
    for name, area in (("farm", "430302"), ("mill", "430304"), ("shop", "430304"), ("elsewhere", "4301"))
)


def lot(number: str, premises: str = "mill", quantity: float = 100, unit: str = "kg", **more: Any) -> dict[str, Any]:
    return {"number": number, "product": "cereal.rice", "premises": premises, "quantity": quantity, "unit": unit} | more


def move(number: str, kind: str, of: str, quantity: float, premises: str = "mill", **more: Any) -> dict[str, Any]:
    return {"number": number, "kind": kind, "lot": of, "quantity": quantity, "unit": "kg", "premises": premises, "at": AT} | more


class Chain(Place):
    """A registry with four premises, and traces of its lots."""

    async def begin(self, **values: Any) -> Chain:  # noqa: ARG002 - takes no sample
        await self.load("premises", FARM, MILL, SHOP, ELSEWHERE)
        return self

    async def trace(self, of: str, status: int = 200, headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
        answer = await self.food.client.get("/trace", params={"lot": f"{self.registry}:{of}"} | query, headers=headers or self.food.headers())
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def rice(self) -> Chain:
        """100 kg of the farm's paddy: 60 go to the mill, where they and 40 kg of another lot become 80 kg rice and 20 kg bran; half the rice is sold."""
        await self.load("lots", lot("paddy", "farm"), lot("other", "elsewhere", 0.04, "t"), lot("rice", quantity=80), lot("bran", quantity=20))
        found = await self.load(
            "movements",
            move("1", "ship", "paddy", 60, "farm", partner="mill"),
            move("2", "receive", "paddy", 60, partner="farm"),
            move("3", "receive", "other", 40, partner="elsewhere"),
            move("4", "input", "paddy", 60, event="milling"),
            move("5", "input", "other", 40, event="milling"),
            move("6", "output", "rice", 80, event="milling"),
            move("7", "output", "bran", 20_000, event="milling", unit="g"),
            move("8", "ship", "rice", 40, partner="shop"),
            move("9", "receive", "rice", 40, "shop", partner="mill"),
            move("10", "sell", "rice", 40, "shop"),
        )
        assert counts(found) == (10, 0, 0, 0)
        return self


def amounts(trace: dict[str, Any], registry: str) -> dict[str, float]:
    return {each["id"].removeprefix(f"{registry}:"): each["amount"] for each in trace["lots"]}


async def test_a_lot_is_made_before_it_is_recorded_and_keeps_the_unit_in_which_it_moved(kitchen: Food):
    chain = await (await Chain(kitchen, "units").begin()).rice()
    assert reasons(await chain.load("lots", lot("later", made_on="2099-01-01"))) == {0: "time-out-of-range"}
    found = await chain.load("lots", lot("rice", quantity=80, unit="piece"), lot("bran", quantity=0.03, unit="t"), correct="true")
    assert (counts(found), reasons(found)) == ((0, 1, 0, 1), {0: "unit-mismatch"})


async def test_references_that_lead_nowhere_are_rejected_row_by_row(kitchen: Food):
    chain = await Chain(kitchen, "references").begin()
    found = await chain.load("lots", lot("a"), lot("b", "nowhere"), lot("c", unit="furlong"), lot("d", made_on="2026-02-01", expires_on="2026-01-01"))
    assert reasons(found) == {1: "unknown-premises", 2: "literal-error", 3: "value-error"}
    found = await chain.load(
        "movements",
        move("1", "sell", "a", 1),
        move("2", "sell", "z", 1),
        move("3", "sell", "a", 1, "nowhere"),
        move("4", "ship", "a", 1, partner="nowhere"),
        move("5", "ship", "a", 1),
        move("6", "input", "a", 1),
        move("7", "sell", "a", 1, unit="L"),
        move("8", "sell", "a", 0),
        move("9", "sell", "a", 1, at=(RECENTLY + timedelta(days=1)).isoformat()),
        move("10", "ship", "a", 1, partner="mill"),
    )
    assert reasons(found) == {
        1: "unknown-lot",
        2: "unknown-premises",
        3: "unknown-premises",
        4: "value-error",
        5: "value-error",
        6: "unit-mismatch",
        7: "greater-than-equal",
        8: "time-out-of-range",
        9: "value-error",
    }
    assert counts(await chain.load("movements", move("1", "sell", "a", 1))) == (0, 0, 1, 0)
    assert reasons(await chain.load("movements", move("1", "sell", "a", 2))) == {0: "conflict"}
    assert counts(await chain.load("movements", move("1", "sell", "a", 2), correct=True)) == (0, 1, 0, 0)
    outside = await chain.load("movements", move("11", "sell", "a", 1), headers=kitchen.headers(areas=["430302"]))
    assert reasons(outside) == {0: "unknown-premises"}


async def test_a_lot_is_traced_back_and_forward_with_its_amounts(kitchen: Food):
    chain = await (await Chain(kitchen, "rice").begin()).rice()
    forward = await chain.trace("paddy", direction="forward")
    assert amounts(forward, "rice") == pytest.approx({"paddy": 100, "rice": 48, "bran": 12})
    assert [(each["kind"], each["premises"], each["amount"]) for each in forward["movements"] if each["kind"] == "sell"] == [("sell", "rice:shop", 24)]
    assert {each["id"]: each["area"] for each in forward["premises"]} == {"rice:farm": "430302", "rice:mill": "430304", "rice:shop": "430304"}
    back = await chain.trace("rice", direction="back")
    assert amounts(back, "rice") == pytest.approx({"rice": 80, "paddy": 48, "other": 32})
    assert {each["id"] for each in back["lots"] if each["end"]} == {"rice:paddy", "rice:other"}
    assert [(each["code"], each["lot"]) for each in back["faults"]] == [("received-not-shipped", "rice:other")]
    assert back["explanations"]["received-not-shipped"]["zh"]
    both = await chain.trace("rice")
    assert [each["direction"] for each in both["lots"]] == ["start", "back", "back"]
    assert not both["truncated"]


async def test_what_lies_beyond_the_callers_areas_is_counted_and_not_told(kitchen: Food):
    chain = await (await Chain(kitchen, "rights").begin()).rice()
    mill = await chain.trace("rice", headers=kitchen.headers(areas=["430304"]))
    assert [each["id"] for each in mill["premises"]] == ["rights:mill", "rights:shop"]
    assert (mill["beyond_scope"], {each["premises"] for each in mill["lots"]}) == ({"lots": 0, "premises": 2}, {None, "rights:mill"})
    farm = await chain.trace("paddy", headers=kitchen.headers(areas=["430302"]))
    assert [each["id"] for each in farm["lots"]] == ["rights:paddy"]
    assert (farm["beyond_scope"], farm["edges"]) == ({"lots": 2, "premises": 2}, [])
    assert [(each["kind"], each["partner"]) for each in farm["movements"]] == [("ship", None)]
    await chain.trace("rice", 404, headers=kitchen.headers(areas=["430302"]))
    await chain.trace("rice", 404, headers=kitchen.headers(areas=[]))
    await chain.trace("nothing", 404)
    assert (await kitchen.client.get("/trace", params={"lot": "rights:rice"}, headers=kitchen.headers("fire:read"))).status_code == 403


async def test_bounds_are_said_and_loops_end(kitchen: Food):
    chain = await Chain(kitchen, "bounds").begin()
    await chain.load("lots", *(lot(f"l{number}") for number in range(6)))
    steps = [(f"l{number}", f"l{number + 1}") for number in range(5)] + [("l5", "l4")]
    moves = [
        move(f"{place}-{kind}", kind, of, 50, event=f"e{place}") for place, step in enumerate(steps) for kind, of in zip(("input", "output"), step, strict=True)
    ]
    await chain.load("movements", *moves)
    near = await chain.trace("l0", direction="forward", max_depth=2)
    assert (sorted(amounts(near, "bounds")), near["truncated"]) == (["l0", "l1", "l2"], True)
    few = await chain.trace("l0", direction="forward", limit=3)
    assert (sorted(amounts(few, "bounds")), few["truncated"]) == (["l0", "l1", "l2"], True)
    whole = await chain.trace("l0", direction="forward", max_depth=50)
    assert (len(whole["lots"]), whole["truncated"]) == (6, False)
    assert "loop" in [each["code"] for each in whole["faults"]]
    wrong: tuple[dict[str, str | int], ...] = (
        {"max_depth": 51},
        {"limit": 0},
        {"direction": "up"},
        {"known_at": "yesterday"},
        {"lot": "a"},
        {"lot": "a:b\x00"},
    )
    for query in wrong:
        answer = await kitchen.client.get("/trace", params={"lot": "bounds:l0", **query}, headers=kitchen.headers())
        assert answer.status_code in (400, 422), query


async def test_a_trace_as_it_was_known_then(kitchen: Food):
    chain = await (await Chain(kitchen, "then").begin()).rice()
    then = datetime.now(UTC).isoformat()
    await chain.load("movements", move("4", "input", "paddy", 30, event="milling"), correct=True)
    assert amounts(await chain.trace("rice", direction="back"), "then")["paddy"] == pytest.approx(24)
    known = await chain.trace("rice", direction="back", known_at=then)
    assert amounts(known, "then")["paddy"] == pytest.approx(48)
    await chain.trace("rice", 404, known_at="2026-01-01T00:00:00Z")


@pytest.mark.parametrize(("size", "loops"), [(30, False), (30, True), pytest.param(400, True, marks=pytest.mark.proof)])
async def test_random_graphs_equal_the_reference(kitchen: Food, size: int, loops: bool):
    made = random_kitchen(size, size, loops=loops)
    chain = await Chain(kitchen, f"random{size}{loops}").begin()
    await chain.load("lots", *(lot(name, quantity=quantity) for name, quantity in made.quantities.items()))
    rows = [
        move(f"{place}-{kind}-{name}", kind, name, quantity, event=f"e{place}")
        for place, event in enumerate(made.events)
        for kind, lots in zip(("input", "output"), event, strict=True)
        for name, quantity in lots.items()
        if quantity > 1e-6
    ]
    assert counts(await chain.load("movements", *rows)) == (len(rows), 0, 0, 0)
    found = await chain.trace("l0", max_depth=50, direction="forward")
    assert amounts(found, chain.registry) == pytest.approx(amounts_of(made, "l0"), rel=1e-6, abs=1e-6)
    back = await chain.trace(f"l{size - 1}", max_depth=50, direction="back")
    assert size > 100 or amounts(back, chain.registry) == pytest.approx(parts_of(made, f"l{size - 1}"), rel=1e-6, abs=1e-6)


async def test_a_pattern_that_no_single_laboratory_shows(kitchen: Food):
    chain = await (await Chain(kitchen, "pattern").begin()).rice()
    names = ("good", "bad1", "bad2", "mixed")
    await chain.load("lots", lot("tainted", "farm"), *(lot(name) for name in names))
    steps = [("tainted", "bad1"), ("tainted", "bad2"), ("tainted", "mixed"), ("paddy", "good")]
    await chain.load(
        "movements",
        *(
            move(f"p{place}-{kind}", kind, of, 10, event=f"p{place}")
            for place, step in enumerate(steps)
            for kind, of in zip(("input", "output"), step, strict=True)
        ),
    )
    await chain.load("laboratories", *(LABORATORY | {"number": name} for name in ("L-1", "L-2", "L-3")))
    taken = {"product": "cereal.rice", "taken_at": AT, "premises": "shop"}
    await chain.load("samples", *({"number": name, "lot": name} | taken for name in (*names, "rice")))
    results = [("good", "0.1", "L-1"), ("bad1", "0.9", "L-1"), ("bad2", "0.8", "L-2"), ("mixed", "0.1", "L-3"), ("rice", "0.1", "L-2")]
    tests = [
        {"number": name, "sample": name, "laboratory": by, "result": result, "analyte": "cadmium", "unit": "mg/kg", "tested_at": AT}
        for name, result, by in results
    ]
    await chain.load("tests", *tests)
    answer = await kitchen.client.get("/patterns", params={"analyte": "cadmium", "window": 10}, headers=kitchen.headers())
    found = answer.json()
    assert (answer.status_code, found["samples"], found["failed"]) == (200, 5, 2)
    assert [(each["upstream"], each["samples"], each["failed"], each["laboratories"], each["lift"]) for each in found["patterns"]] == [
        ("pattern:tainted", 3, 2, 2, pytest.approx(2 / 3 / (2 / 5)))
    ]
    by_place = await kitchen.client.get("/patterns", params={"analyte": "cadmium", "by": "premises"}, headers=kitchen.headers())
    assert [each["upstream"] for each in by_place.json()["patterns"]] == ["pattern:farm", "pattern:mill"]
    nobody = await kitchen.client.get("/patterns", params={"analyte": "cadmium"}, headers=kitchen.headers(areas=["4301"]))
    assert nobody.json()["patterns"] == [] and nobody.json()["samples"] == 0
