"""A question says exactly what it means, in JSON and in the short form; what is wrong is pointed at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from shared.datasets.aggregate.question import Across, Question
from shared.datasets.aggregate.short import parse_short
from shared.errors import InvalidRequest

COUNT = {"n": {"fn": "count"}}


def test_the_short_form_says_what_the_json_says() -> None:
    short = parse_short(
        [
            ("measure", "calls:count"),
            ("measure", "p90:quantile(response_s, 0.9)"),
            ("by", "area:district"),
            ("by", "time:hour,kind"),
            ("filter", "grade<=2"),
            ("bbox", "112.7,27.7,113.1,28.0"),
            ("from", "2026-11-01T00:00:00+08:00"),
            ("until", "2026-11-08T00:00:00+08:00"),
            ("tz", "Asia/Shanghai"),
            ("having", "calls >= 5"),
            ("sortby", "-calls,+hour"),
            ("limit", "100"),
            ("known_at", "2026-11-22T08:00:00Z"),
            ("strict", "true"),
            ("deadline_ms", "2000"),
            ("f", "json"),
        ]
    )
    assert short == Question.model_validate(
        {
            "measures": {"calls": {"fn": "count"}, "p90": {"fn": "quantile", "field": "response_s", "q": 0.9}},
            "by": {"district": "area:district", "hour": "time:hour", "kind": "kind"},
            "filter": "grade<=2",
            "bbox": [112.7, 27.7, 113.1, 28.0],
            "from": "2026-11-01T00:00:00+08:00",
            "until": "2026-11-08T00:00:00+08:00",
            "tz": "Asia/Shanghai",
            "having": "calls >= 5",
            "sortby": ["-calls", "hour"],
            "limit": 100,
            "known_at": "2026-11-22T08:00:00Z",
            "strict": True,
            "deadline_ms": 2000,
        }
    )


def test_a_plus_that_was_not_escaped_is_still_the_offset() -> None:
    short = parse_short([("measure", "n:count"), ("from", "2026-11-01T00:00:00 08:00")])
    assert short.from_ == datetime(2026, 10, 31, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ([], "/measure"),
        ([("by", "kind")], "/measure"),
        ([("measure", "count")], "/measure"),
        ([("measure", "p:quantile(a,0.5,7)")], "/measure"),
        ([("measure", "p:quantile((a))")], "/measure"),
        ([("measure", "n:count"), ("measure", "n:sum(a)")], "/measure"),
        ([("measure", "n:median(a)")], "/measures/n/fn"),
        ([("measure", "p:quantile(a,x)")], "/measures/p/q"),
        ([("measure", "p:quantile(a,0)")], "/measures/p/q"),
        ([("measure", "p:quantile(a,1.01)")], "/measures/p/q"),
        ([("measure", "p:quantile(a,nan)")], "/measures/p/q"),
        ([("measure", "n:count"), ("by", "area:district"), ("by", "time:district")], "/by"),
        ([("measure", "n:count"), ("limit", "1"), ("limit", "2")], "/limit"),
        ([("measure", "n:count"), ("limit", "0")], "/limit"),
        ([("measure", "n:count"), ("limit", "ten")], "/limit"),
        ([("measure", "n:count"), ("tz", "Asia/Atlantis")], "/tz"),
        ([("measure", "n:count"), ("tz", "../../etc/passwd")], "/tz"),
        ([("measure", "n:count"), ("from", "2026-11-01T00:00:00")], "/from"),
        ([("measure", "n:count"), ("from", "0001-01-01T00:00:00+08:00")], "/from"),
        ([("measure", "n:count"), ("until", "9999-12-31T23:59:59-08:00")], "/until"),
        ([("measure", "n:count"), ("bbox", "1,2,3")], "/bbox"),
        ([("measure", "n:count"), ("bbox", "1,2,3,inf")], "/bbox/3"),
        ([("measure", "n:count"), ("strict", "perhaps")], "/strict"),
        ([("measure", "n:count"), ("deadline_ms", "-1")], "/deadline_ms"),
        ([("measure", "n:count"), ("groupby", "kind")], "/groupby"),
    ],
)
def test_the_short_form_points_at_what_is_wrong(parameters: list[tuple[str, str]], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_short(parameters)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"measures": {}},
        {"measures": {"n; DROP TABLE": {"fn": "count"}}},
        {"measures": {"n": {"fn": "count", "distinct": True}}},
        {"measures": COUNT, "by": {"n": "kind"}},
        {"measures": COUNT, "by": {f"d{number}": "kind" for number in range(9)}},
        {"measures": {f"n{number}": {"fn": "count"} for number in range(33)}},
        {"measures": COUNT, "datetime": "2026-11-01T00:00:00Z/..", "from": "2026-11-01T00:00:00Z"},
        {"measures": COUNT, "from": "2026-11-02T00:00:00Z", "until": "2026-11-02T08:00:00+08:00"},
        {"measures": COUNT, "limit": 100_001},
        {"measures": COUNT, "unknown": 1},
        {"measures": {"p": {"fn": "quantile", "field": "a", "q": "NaN"}}},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Question.model_validate(body)


def test_what_comes_after_the_merge_is_not_asked_of_a_source() -> None:
    question = Question.model_validate({"measures": COUNT, "having": "n > 1", "sortby": ["-n"], "limit": 3, "strict": True, "tz": "UTC"})
    assert question.for_states() == Question.model_validate({"measures": COUNT, "tz": "UTC"})


def test_a_question_across_datasets_asks_each_for_the_same_cells() -> None:
    across = Across.model_validate(
        {
            "across": {
                "fires": {"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}}},
                "air": {"dataset": "env.observations", "measures": {"pm25": {"fn": "avg", "field": "value"}}, "filter": "property = 'pm25'"},
            },
            "by": {"district": "area:district", "day": "time:day"},
            "from": "2026-11-01T00:00:00+08:00",
            "tz": "Asia/Shanghai",
            "having": "fires.calls > 1",
        }
    )
    shared = {"by": {"district": "area:district", "day": "time:day"}, "from": "2026-11-01T00:00:00+08:00", "tz": "Asia/Shanghai"}
    assert across.questions() == {
        "fires": Question.model_validate(shared | {"measures": {"calls": {"fn": "count"}}}),
        "air": Question.model_validate(shared | {"measures": {"pm25": {"fn": "avg", "field": "value"}}, "filter": "property = 'pm25'"}),
    }
