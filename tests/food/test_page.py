"""The commands of the page on food do what it says."""

from __future__ import annotations

import json
import re

from ops.services import ROOT
from tests.food.conftest import Food

PAGE = ROOT / "docs" / "services" / "food.md"


async def test_from_a_sample_to_a_recall(food: Food):
    sent = re.findall(r"^send (\w+) '(.*?)'$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert [what for what, _ in sent] == ["premises", "lots", "movements", "laboratories", "samples", "tests", "recalls"]
    for what, body in sent[:-1]:
        rows = json.loads(body)
        assert (await food.load(what, *rows))["taken"] == len(rows)
    assert [(row["verdict"], row["limit_value"]) for row in food.rows("tests")] == [("exceeds", 0.2)]
    trace = (await food.client.get("/trace?lot=430300:rice", headers=food.headers())).json()
    assert ({each["id"]: each["amount"] for each in trace["lots"]}, trace["faults"]) == ({"430300:rice": 6800, "430300:paddy": 10_000}, [])
    opened = await food.client.post("/recalls", json=json.loads(sent[-1][1]), headers=food.headers())
    assert [each["premises"] for each in opened.json()["premises"]] == ["430300:mill", "430300:shop"]
