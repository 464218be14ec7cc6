"""Recalls: opened for lots, followed at the premises; notices that others published, from their real files."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.load.files import chunks_of
from ops.load.mapping import read_mapping
from ops.load.rows import batch_of, body_of
from services.food.recalls.domain import number_of
from tests.food.conftest import Food, counts, reasons
from tests.food.test_trace import AT, Chain, lot, move

KNOWN = datetime.now(UTC) - timedelta(hours=2)
NOTICE = {"registry": "samr", "number": "2026-118", "published_at": AT, "title": "某公司召回某批次酱油", "grade": "II"}


async def post(food: Food, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
    return await food.client.post(path, json=body, headers=food.headers() | (headers or {}))


def recall(*lots: str, **values: Any) -> dict[str, Any]:
    return {"grade": "I", "reason": "镉超标", "lots": list(lots), "known_since": KNOWN.isoformat()} | values


async def test_a_recall_finds_the_lots_made_from_it_and_all_premises_that_held_them(kitchen: Food):
    await (await Chain(kitchen, "opened").begin()).rice()
    answer = await post(kitchen, "/recalls", recall("opened:paddy", number="r1"))
    found = answer.json()
    assert (answer.status_code, found["id"], found["area"], found["overdue"]) == (201, "430300:r1", "430302", False)
    assert datetime.fromisoformat(found["start_by"]) == KNOWN + timedelta(hours=24)
    assert {each["lot"]: each["amount"] for each in found["lots"]} == pytest.approx({"opened:paddy": 100, "opened:rice": 48, "opened:bran": 12})
    assert [(each["premises"], each["lots"]) for each in found["premises"]] == [("opened:farm", 1), ("opened:mill", 3), ("opened:shop", 1)]
    assert ("food.recall.opened.v1", "recalls/430300:r1") in kitchen.events()
    assert (await post(kitchen, "/recalls", recall("opened:paddy", number="r1"))).status_code == 409


async def test_progress_is_reported_premises_by_premises_and_a_finished_recall_closed(kitchen: Food):
    chain = await (await Chain(kitchen, "progress").begin()).rice()
    opened = (await post(kitchen, "/recalls", recall("progress:rice"))).json()
    path = f"/recalls/{opened['id']}"
    assert (await post(kitchen, f"{path}/close", {})).status_code == 409
    informed = await post(kitchen, f"{path}/premises/progress:shop", {"informed_at": AT})
    assert (informed.json()["informed"], informed.json()["finished"]) == (1, 0)
    done = {"removed_at": AT, "finished_at": AT, "returned": 0.5, "unit": "t"}
    assert (await post(kitchen, f"{path}/premises/progress:shop", done, kitchen.headers(areas=["430302"]))).status_code == 404
    found = (await post(kitchen, f"{path}/premises/progress:shop", done, kitchen.headers(areas=["430304"]))).json()
    assert [(each["premises"], each["returned"], each["unit"]) for each in found["premises"]] == [("progress:mill", None, None), ("progress:shop", 500, "kg")]
    await post(kitchen, f"{path}/premises/progress:mill", {"finished_at": AT})
    closed = await post(kitchen, f"{path}/close", {})
    assert closed.status_code == 200 and closed.json()["closed_at"]
    assert (await post(kitchen, f"{path}/close", {})).json()["closed_at"] == closed.json()["closed_at"]
    again = await post(kitchen, f"{path}/premises/progress:mill", {"finished_at": None})
    assert again.status_code == 409 and "closed" in again.json()["detail"]
    assert chain.registry == "progress"


async def test_a_recall_is_not_finished_before_it_was_heard_of(kitchen: Food):
    await (await Chain(kitchen, "order").begin()).rice()
    path = f"/recalls/{(await post(kitchen, '/recalls', recall('order:rice'))).json()['id']}/premises/order:shop"
    early, late = (KNOWN.isoformat(), (KNOWN + timedelta(hours=1)).isoformat())
    assert (await post(kitchen, path, {"finished_at": early})).status_code == 200
    refused = await post(kitchen, path, {"informed_at": late})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/informed_at")
    assert (await post(kitchen, path, {"informed_at": late, "finished_at": late})).status_code == 200


async def test_a_recall_is_seen_where_it_or_its_premises_lie(kitchen: Food):
    await (await Chain(kitchen, "seen").begin()).rice()
    opened = (await post(kitchen, "/recalls", recall("seen:paddy"))).json()
    path = f"/recalls/{opened['id']}"
    mill = (await kitchen.client.get(path, headers=kitchen.headers(areas=["430304"]))).json()
    assert ([each["premises"] for each in mill["premises"]], mill["beyond_scope"]) == (["seen:mill", "seen:shop"], 1)
    assert (await kitchen.client.get(path, headers=kitchen.headers(areas=["4301"]))).status_code == 404
    shared = await kitchen.client.get("/collections/food.recall_premises/items?limit=100", headers=kitchen.headers(areas=["430304"]))
    assert "seen:farm" not in shared.text and "seen:mill" in shared.text


async def test_a_recall_of_what_cannot_be_is_refused(kitchen: Food):
    await (await Chain(kitchen, "refused").begin()).rice()
    wrong: tuple[dict[str, Any], ...] = (
        {"lots": []},
        {"lots": ["refused:nothing"]},
        {"lots": ["refused:\x00"]},
        {"grade": "IV"},
        {"known_since": "2999-01-01T00:00:00Z"},
        {"notice": "samr:none"},
        {"area": "9999"},
    )
    for values in wrong:
        answer = await post(kitchen, "/recalls", recall("refused:rice") | values)
        assert (answer.status_code, bool(answer.json().get("pointer") or answer.json().get("errors"))) == (422, True), values


async def test_an_old_hazard_is_recalled_without_news_and_overdue(kitchen: Food):
    chain = await Chain(kitchen, "late").begin()
    await chain.load("lots", lot("old", "farm"))
    await chain.load("movements", move("1", "sell", "old", 1, "farm"))
    before = len(kitchen.events())
    found = (await post(kitchen, "/recalls", recall("late:old", known_since=(KNOWN - timedelta(days=40)).isoformat()))).json()
    assert (found["overdue"], len(kitchen.events())) == (True, before)


async def test_documents_of_one_notice_become_one_row(kitchen: Food):
    spanish = {"title": "Empresa Retira Salsa de Soja", "company": "Some Co.", "language": None}
    assert counts(await kitchen.load("notices", NOTICE | spanish, NOTICE)) == (2, 0, 0, 0)
    assert counts(await kitchen.load("notices", NOTICE)) == (0, 0, 1, 0)
    row = next(row for row in kitchen.rows("notices") if row["id"] == "samr:2026-118")
    assert (row["title"], row["company"], row["documents"], row["kind"]) == ("某公司召回某批次酱油", "Some Co.", 2, "recall")
    assert reasons(await kitchen.load("notices", NOTICE | {"grade": "I"})) == {0: "conflict"}
    assert counts(await kitchen.load("notices", NOTICE | {"grade": "I"}, correct=True)) == (0, 1, 0, 0)
    assert {row["grade"] for row in kitchen.rows("notices") if row["id"] == "samr:2026-118"} == {"I"}
    url = "https://example.org/a"
    await kitchen.load("notices", NOTICE | {"number": "a", "url": url})
    await kitchen.load("notices", NOTICE | {"number": "b", "url": url, "document": "feed", "title": "<b>召回</b> &amp;\n警示"})
    assert [(row["id"], row["documents"]) for row in kitchen.rows("notices") if row["registry"] == "samr"] == [("samr:2026-118", 2), ("samr:a", 2)]
    assert {row["title"] for row in kitchen.rows("notice_documents") if row["number"] == "b"} == {"召回 & 警示"}


async def load_file(food: Food, path: Path, name: str) -> Counter[str]:
    """A real file through the readers and the mapping of the project into the service; what became of its rows."""
    made = read_mapping(name)
    total: Counter[str] = Counter()
    for chunk in chunks_of(path, made):
        batch = batch_of(chunk, made)
        answer = await food.client.post(made.target.path, content=body_of(batch, made), headers=food.headers() | {"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text[:500]
        total.update({kind: answer.json()[kind] for kind in ("taken", "corrected", "duplicates", "rejected")})
        total.update(unmapped=len(batch.rejected), rows=batch.chunk_lines)
        total.update(error["code"] for error in answer.json()["errors"])
    assert total["taken"] + total["corrected"] + total["duplicates"] + total["rejected"] + total["unmapped"] == total["rows"]
    return total


async def test_the_published_files_load_whole_and_twins_join(kitchen: Food, shared_data: Path):
    """1,982 documents of 1,193 notices; two of them are in one language, differ, and stay out. The second file has 47 of them as they were at another time."""
    folder = shared_data / "food"
    all_years = await load_file(kitchen, folder / "usda_fsis_recalls_2014_2025.json", "us-food-recalls")
    stated = {number_of(each["notice_id_number"]) for each in json.loads((folder / "usda_fsis_recalls_2014_2025.json").read_text(encoding="utf-8"))}
    assert (all_years["rows"], all_years["taken"], all_years["contradictory"], all_years["unmapped"]) == (1_982, 1_980, 2, 0)
    fsis = [row for row in kitchen.rows("notices") if row["registry"] == "usda-fsis"]
    assert {row["number"] for row in fsis} == stated - {"038-2019"} and len(stated) == 1_193
    assert Counter(row["documents"] for row in fsis)[2] > 780
    both = await load_file(kitchen, folder / "us_food_recalls_fda_usda.json", "us-food-recalls")
    assert (both["rows"], both["taken"], both["duplicates"], both["conflict"], both["contradictory"]) == (339, 264, 26, 47, 2)
    feeds = [await load_file(kitchen, folder / f"{name}_recalls_rss.xml", f"{name.replace('_', '-')}-recalls-rss") for name in ("fda", "usda_fsis")]
    assert [(each["rows"], each["taken"]) for each in feeds] == [(20, 20), (50, 50)]
    assert (await load_file(kitchen, folder / "usda_fsis_recalls_rss.xml", "usda-fsis-recalls-rss"))["duplicates"] == 50
