"""Aggregates from hourly roll-ups are those from the rows, for whatever is asked; and they say from where they came."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from shared.caller import Caller
from shared.database import reading
from shared.datasets.aggregate.answer import states_of
from shared.datasets.aggregate.by_values import Memory
from shared.datasets.aggregate.finish import finish
from shared.datasets.aggregate.kept_columns import KeptColumns
from shared.datasets.aggregate.merge import merge_states
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.states import read_states, write_states
from shared.datasets.declaration import Dataset
from shared.series.sharing import readings_dataset
from shared.vocabulary import Text
from tests.shared.series.conftest import LEVELS, Gauges, at

HERE = Caller("client:a", "430300/gauges", frozenset({"gauges:read"}), ("*",))
READINGS = readings_dataset("gauges.readings", Text("水位", "Levels"), LEVELS, Text("水利", "Water"), "test")
FROM_ROWS = replace(READINGS, rollup=None)
VALUE = [{"fn": fn, "field": "value"} for fn in ("count", "sum", "avg", "min", "max", "stddev")]
OTHERS = [
    {"fn": "count"},
    {"fn": "count", "field": "time"},
    {"fn": "count", "field": "name_zh"},
    {"fn": "distinct", "field": "gauge"},
    {"fn": "max", "field": "unit"},
]
DIMENSIONS = ("gauge", "property", "unit", "area:district", "area:city", *(f"time:{unit}" for unit in ("hour", "day", "week", "month", "year")))
FILTERS = (
    None,
    "quality <= 3",
    "quality < 4 AND property = 'level'",
    "gauge IN ('g1', 'g3')",
    "NOT gauge = 'g2' OR property = 'crest'",
    "property = 'level' AND time >= TIMESTAMP('2026-11-01T05:20:00Z') AND time < TIMESTAMP('2026-11-03T00:00:00Z')",
    "time BETWEEN TIMESTAMP('2026-11-01T08:00:00+08:00') AND TIMESTAMP('2026-11-02T08:00:00+08:00') AND name_zh IS NULL",
    {"op": "<", "args": [{"timestamp": "2026-11-02T03:00:00Z"}, {"property": "time"}]},
)
ZONES = ("Asia/Shanghai", "UTC", "America/Los_Angeles")
NOT_IN_HOURS: tuple[dict[str, Any], ...] = (
    {"filter": "quality = 4"},
    {"filter": "value > 3"},
    {"filter": "time > TIMESTAMP('2026-11-01T05:00:00Z') OR gauge = 'g1'"},
    {"by": {"minute": "time:minute"}},
    {"by": {"hour": "time:hour"}, "tz": "Asia/Kolkata"},
    {"by": {"quality": "quality"}},
    {"measures": {"p": {"fn": "quantile", "field": "value", "q": 0.5}}},
    {"measures": {"last": {"fn": "max", "field": "time"}}},
    {"from": "2026-11-01T05:10:00Z", "until": "2026-11-01T05:50:00Z"},
    {"known_at": "2026-11-22T00:00:00Z"},
)


async def fill(gauges: Gauges) -> None:
    """Three days of minutes, hours and instants: hours that are empty, hours with few values, values flagged bad or corrected."""
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    for gauge, step in (("g1", 37), ("g2", 60), ("g3", 7), ("g4", 60)):
        for minute in range(0, 3 * 24 * 60, step):
            if chance.random() < 0.15 or minute % 1440 in range(300, 420):
                continue
            flag = chance.choice((1, 1, 1, 2, 3, 4))
            time = at(1 + minute / 60).isoformat()
            rows += [{"gauge": gauge, "property": "level", "time": time, "value": chance.gauss(3, 1), "quality": flag}]
            rows += [{"gauge": gauge, "property": "crest", "time": time, "value": 5 + chance.random(), "quality": flag}] if flag == 4 else []
    for start in range(0, len(rows), 400):
        await gauges.load(rows[start : start + 400])
    corrected = chance.sample(rows, 200)
    await gauges.load([{**row, "value": chance.gauss(4, 2), "quality": chance.choice((1, 4))} for row in corrected], correct=True)
    gauges.assert_hours_match_the_values()


async def answer(gauges: Gauges, dataset: Dataset, question: dict[str, Any], caller: Caller = HERE) -> tuple[str | None, pa.Table]:
    settings = gauges.runtime.settings
    async with reading(gauges.runtime.reader) as connection:
        states = await states_of(connection, dataset, Question.model_validate(question), caller, settings, datetime.now(UTC), Memory(KeptColumns(0), None))
    states = read_states(write_states(states), question=Question.model_validate(question))
    return states.answers[0].served_from, finish(merge_states([states])).table


def same(one: pa.Table, other: pa.Table) -> bool:
    """Equal but for the rounding of doubles."""
    if one.schema != other.schema or one.num_rows != other.num_rows:
        return False
    return all(
        left == right or (left is not None and right is not None and pa.types.is_floating(field.type) and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9))
        for field in one.schema
        for left, right in zip(one[field.name].to_pylist(), other[field.name].to_pylist(), strict=True)
    )


def random_question(chance: random.Random) -> dict[str, Any]:
    by = chance.sample(DIMENSIONS, chance.randint(0, 3))
    asked: dict[str, Any] = {
        "measures": {f"m{place}": spec for place, spec in enumerate(chance.sample(VALUE + OTHERS, chance.randint(1, 6)))},
        "by": {f"d{place}": of for place, of in enumerate(by)},
        "filter": chance.choice(FILTERS),
        "tz": chance.choice(ZONES),
    }
    if chance.random() < 0.5:
        ends = sorted(at(chance.choice((0, 5, 30, 47.25, 12 + 1 / 7)) + chance.randint(0, 40)) for _ in range(2))
        if ends[0] != ends[1] and chance.random() < 0.7:
            asked |= {"from": ends[0].isoformat(), "until": ends[1].isoformat()}
        else:
            asked |= {"datetime": f"{ends[0].isoformat()}/{chance.choice(('..', ends[1].isoformat()))}"}
    return asked


@pytest.mark.parametrize("count", [pytest.param(60, id="sample"), pytest.param(1500, id="all", marks=pytest.mark.proof)])
async def test_roll_ups_answer_as_the_rows_do(gauges: Gauges, count: int) -> None:
    await fill(gauges)
    chance = random.Random(count)
    served: list[str | None] = []
    for _ in range(count):
        question = random_question(chance)
        caller = HERE if chance.random() < 0.8 else replace(HERE, areas=("430302",))
        where, table = await answer(gauges, READINGS, question, caller)
        rows, wanted = await answer(gauges, FROM_ROWS, question, caller)
        assert rows == "rows"
        assert same(table, wanted), (question, table.to_pylist(), wanted.to_pylist())
        served.append(where)
    assert served.count("rollup:hourly") > 0.8 * count  # the rest asked for less than an hour, or for two times that exclude each other
    for question in NOT_IN_HOURS:
        where, table = await answer(gauges, READINGS, {"measures": {"n": {"fn": "count"}}, **question})
        assert where == "rows", question
    nowhere = replace(HERE, areas=("44",))
    assert (await answer(gauges, READINGS, {"measures": {"n": {"fn": "count"}}}, nowhere))[1].to_pylist() == [{"n": 0}]


async def test_the_deviation_of_large_numbers_close_together_is_kept(gauges: Gauges) -> None:
    rows = [("g3", at(hour / 20), 90 + (hour % 3) * 1e-6) for hour in range(200)] + [("g1", at(hour), 0.001) for hour in range(10)]
    await gauges.load(rows)
    question = {"measures": {"s": {"fn": "stddev", "field": "value"}}, "by": {"g": "gauge"}}
    (where, rolled), (_, wanted) = await answer(gauges, READINGS, question), await answer(gauges, FROM_ROWS, question)
    assert where == "rollup:hourly"
    assert rolled["s"].to_pylist() == pytest.approx(wanted["s"].to_pylist(), rel=1e-5)
