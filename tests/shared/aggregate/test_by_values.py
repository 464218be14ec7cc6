"""Groups made in the service are those that the database makes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared.config import Settings
from shared.datasets.aggregate import answer, by_values
from shared.datasets.aggregate.value_columns import Unusual, texts_of
from tests.city import City
from tests.shared.aggregate.toy import DDL, TOY, fill, random_calls

VALUES: dict[str, Any] = {fn: {"fn": fn, "field": "response_s"} for fn in ("sum", "avg")} | {"filled": {"fn": "count", "field": "response_s"}}
VALUES |= {"n": {"fn": "count"}, "p90": {"fn": "quantile", "field": "response_s", "q": 0.9}, "p50": {"fn": "quantile", "field": "response_s", "q": 0.5}}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"by": {"district": "area:district", "hour": "time:hour"}, "tz": "Asia/Shanghai"},
    {"by": {"minute": "time:minute", "town": "area:town", "nation": "area:nation"}, "tz": "Asia/Kolkata"},
    {"by": {"week": "time:week", "day": "time:day"}, "tz": "Asia/Shanghai", "filter": "kind = 'fire' AND id < 1000"},
    {"by": {"area": "area:city"}, "bbox": [112.6, 27.6, 113.1, 28.1]},
)


@pytest.fixture(scope="module")
async def settings(city: City) -> Settings:
    made = city.settings(TOY, ddl=DDL)
    await fill(made, random_calls(3000, seed=5))
    return made


async def ask(client: httpx.AsyncClient, question: dict[str, Any]) -> Any:
    found = await client.post("/collections/toy.calls/aggregate", json={"measures": VALUES, **question})
    assert found.status_code == 200, found.text
    return found.json()["rows"]


async def unused(*_: object) -> Any:
    raise AssertionError("the database was to group nothing")


@pytest.mark.parametrize("question", QUESTIONS)
async def test_both_ways_give_the_same_groups(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, question: dict[str, Any]) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(answer, "gather", unused)
        here = await ask(client, question)
    monkeypatch.setattr(by_values, "MOST_BYTES", -1)
    by_database = await ask(client, question)
    assert len(here) == len(by_database) > 1
    for mine, other in zip(here, by_database, strict=True):
        for value, expected in zip(mine, other, strict=True):  # a plan may add the values in another order
            assert value == (pytest.approx(expected, rel=1e-13) if isinstance(expected, float) else expected)


async def test_more_rows_than_are_taken_are_grouped_by_the_database(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await ask(client, QUESTIONS[0])
    monkeypatch.setattr(by_values, "MOST_VALUES", 2999)
    assert await ask(client, QUESTIONS[0]) == here


def test_texts_are_told_apart_whatever_their_lengths() -> None:
    for given in (["a", "b", "a"], ["", "", "x"], ["火", "fire", "火"], ["\x02", "ab", ""], [""], ["same"] * 3):
        found = texts_of("\x01".join(given).encode(), len(given))
        assert [found.values[place] for place in found.places] == [None if text == "\x02" else text for text in given]
    with pytest.raises(Unusual):
        texts_of(b"a\x01b\x01c", 2)
