"""Small groups and persons through SQL: whoever may read rows may count them, however few; what is answered in cells gives no rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from shared.datasets.declaration import Cells
from shared.vocabulary import Personal
from tests.city import City
from tests.hub.federation import sectors
from tests.hub.federation.sectors import calls, federation

FIRE = calls("f", 12)
COUNTED = "SELECT kind, count(*) FROM fire.calls GROUP BY kind ORDER BY kind"


async def asked(city: City, monkeypatch: pytest.MonkeyPatch, **declared: Any) -> tuple[httpx.Response, httpx.Response]:
    """The answers to the same question as an aggregate and as SQL, of a dataset that is declared so."""
    (dataset,) = sectors.SERVICES["brigade"].datasets
    monkeypatch.setitem(sectors.SERVICES, "brigade", replace(sectors.SERVICES["brigade"], datasets=[replace(dataset, **declared)]))
    async with federation(city, {"brigade": FIRE}) as made:
        headers = made.headers(clearance={"grade": "important", "personal": "personal"})
        question = {"measures": {"n": {"fn": "count"}}, "by": {"kind": "kind"}}
        groups = await made.client.post("/collections/fire.calls/aggregate", json=question, headers=headers)
        return groups, await made.client.post("/sql", json={"sql": COUNTED, "deadline_ms": 20_000}, headers=headers)


async def test_rows_that_may_be_read_are_counted_however_few(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, answer = await asked(city, monkeypatch, smallest_group=50)
    assert (groups.status_code, groups.json()["rows"]) == (200, [])
    kinds = [row["kind"] for row in FIRE]
    assert answer.json()["rows"] == [[kind, kinds.count(kind)] for kind in sorted(set(kinds))]


async def test_what_is_answered_in_cells_gives_no_rows(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    _, answer = await asked(city, monkeypatch, personal=Personal.PERSONAL, cells=Cells(tables=(("kind",),), person="id"))
    assert (answer.status_code, answer.json().get("type")) == (502, "/problems/nobody-answered"), answer.text
    assert [entry["status"] for entry in answer.json()["coverage"]["sources"]] == ["denied"]
