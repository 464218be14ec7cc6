"""Loads of sites, units, substances and inventories, and the grades that follow in the same transaction."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event

from tests.worksafety.conftest import Safety, counts, held, reasons, site, unit


def grades(safety: Safety) -> dict[str, tuple[float, int | None]]:
    return {row["unit"]: (row["r"], row["grade"]) for row in safety.rows("SELECT unit, r, grade FROM grades")}


async def test_a_depot_is_graded_as_it_is_loaded_and_tells_of_its_grade(safety: Safety) -> None:
    await safety.depot()
    assert grades(safety) == {"430300:S1:U1": (20, 3)}
    told = safety.events("worksafety.grade.%")
    assert [(one["data"]["grade"], one["data"]["before"]) for one in map(_parsed, told)] == [(3, None)]
    assert 20 not in _parsed(told[0])["data"].values()  # R gives the quantity away


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"data": json.loads(row["data"]) if isinstance(row["data"], str) else row["data"]}


async def test_people_substances_and_quantities_regrade_with_history(safety: Safety) -> None:
    await safety.depot()
    await safety.load("/sites", site(exposed=120), correct="true")
    assert grades(safety)["430300:S1:U1"] == (80, 2)
    assert counts(await safety.load("/inventories", held(q_design=70, q_now=25), correct="true")) == (0, 1, 0, 0)
    assert grades(safety)["430300:S1:U1"] == (112, 1)
    await safety.load("/substances", {"code": "gb18218-12", "critical_t": 25, "edition": "GB 18218-9999"}, correct="true")
    assert grades(safety)["430300:S1:U1"] == (22.4, 3)
    assert [one["data"]["grade"] for one in map(_parsed, safety.events("worksafety.grade.%"))] == [3, 2, 1, 3]
    assert [row["grade"] for row in safety.rows("SELECT grade FROM grades_history ORDER BY superseded_at")] == [3, 2, 1]
    assert counts(await safety.load("/inventories", held(q_design=70, q_now=25))) == (0, 0, 1, 0)
    assert reasons(await safety.load("/inventories", held(q_design=71, q_now=25))) == {0: "conflict"}


async def test_old_loads_tell_nobody_and_small_stores_are_no_source(safety: Safety) -> None:
    await safety.load("/sites", site())
    await safety.load("/units", unit(), unit("U2"))
    await safety.load("/inventories", held(), held(of="U2", q_design=1), historic="true")
    assert grades(safety) == {"430300:S1:U1": (20, 3), "430300:S1:U2": (0.4, None)}
    assert safety.events() == []


async def test_the_calculation_is_shown_step_by_step_to_whoever_may_see_quantities(safety: Safety) -> None:
    await safety.depot(exposed=None)
    found = (await safety.get("/sites/430300:S1/grade"))[0]
    assert (found["s"], found["alpha"], found["r"], found["grade"], found["regulator"], found["exposed"]) == (10, 2.0, 80, 2, "city", None)
    step = found["steps"][0]
    assert (step["cas"], step["q_design"], step["critical"], step["beta"], step["quotient"], step["contribution"]) == ("7782-50-5", 50, 5, 4, 10, 40)
    assert "not verified" in step["source"] and found["clauses"]["r"].endswith("eq. (2)")
    await safety.get("/sites/430300:S1/grade", 403, headers=safety.headers(clearance={"grade": "general", "personal": "none"}))
    await safety.get("/sites/430300:S1/grade", 404, headers=safety.headers(areas=["430302"]))
    shown = await safety.get("/sites/430300:S1")
    assert [(each["number"], each["grade"], each["r"]) for each in shown["units"]] == [("U1", 2, 80)]
    general = await safety.get("/sites/430300:S1", headers=safety.headers(clearance={"grade": "general", "personal": "none"}))
    assert [(each["grade"], each["r"]) for each in general["units"]] == [(2, None)]


async def test_wrong_rows_are_rejected_alone_and_rights_hold(safety: Safety) -> None:
    assert reasons(await safety.load("/sites", site(), {"number": "S2", "name": "x", "area": "430304"}, site("S3", enterprise="E9"))) == {
        1: "value-error",
        2: "unknown-enterprise",
    }
    assert counts(await safety.load("/enterprises", {"number": "E1", "name": "某厂", "area": "430304"})) == (1, 0, 0, 0)
    assert reasons(await safety.load("/units", unit(), unit(of="S9"))) == {1: "unknown-site"}
    bad = (held("6484-52-2"), held("1-1-1"), held(of="U9"), held(q_design=-1), held("gb18218-44", q_design=60))
    assert reasons(await safety.load("/inventories", *bad)) == {0: "unknown-substance", 1: "unknown-substance", 2: "unknown-unit", 3: "greater-than-equal"}
    narrow = safety.headers(areas=["430302"])
    assert reasons(await safety.load("/units", unit("U2"), headers=narrow)) == {0: "unknown-site"}
    assert reasons(await safety.load("/inventories", held(), headers=narrow)) == {0: "unknown-unit"}
    answer = await safety.client.put("/substances", json=[{"code": "gb18218-1"}], headers=narrow)
    assert answer.status_code == 403


async def test_a_substance_of_a_class_takes_its_figures_from_table_2(safety: Safety) -> None:
    rows = ({"code": "x-1", "name_zh": "某腐蚀品", "classes": ["J5"]}, {"code": "x-2", "name_zh": "无类"}, {"code": "x-3", "classes": ["W2"]})
    assert reasons(await safety.load("/substances", *rows)) == {1: "no-figures", 2: "missing"}
    assert [(row["critical_t"], row["beta"]) for row in safety.rows("SELECT critical_t, beta FROM substances")] == [(500, 1)]


async def test_a_slip_in_a_cas_number_is_found_and_other_figures_than_the_tables_say_whose_they_are(safety: Safety) -> None:
    rows: list[dict[str, Any]] = [
        {"code": "gb18218-12"},
        {"code": "gb18218-1", "critical_t": 12},
        {"code": "x-1", "name_zh": "某物", "cas": "7782-50-6", "classes": ["J5"]},
    ]
    assert reasons(await safety.load("/substances", *rows)) == {2: "value-error"}
    kept = {row["code"]: row["source"] for row in safety.rows("SELECT code, source FROM substances")}
    assert kept["gb18218-12"].startswith("GB 18218-2018") and kept["gb18218-1"] == "as stated by the sender"


@pytest.mark.parametrize("rows", [1, 40])
async def test_a_load_asks_as_often_for_many_rows_as_for_one(safety: Safety, rows: int) -> None:
    await safety.load("/sites", *(site(f"S{number}") for number in range(rows)))
    await safety.load("/units", *(unit(of=f"S{number}") for number in range(rows)))
    runtime = safety.client._transport.app.state.runtime  # type: ignore[attr-defined]
    asked: list[str] = []
    event.listen(runtime.engine.sync_engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    await safety.load("/inventories", *(held(at=f"S{number}") for number in range(rows)))
    assert len(grades(safety)) == rows
    assert len(asked) <= 16, asked
