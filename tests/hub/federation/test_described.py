"""What a source announces of its answer is what the catalogue says, and can be reckoned with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.fire.datasets import CALLS
from services.hub.federation.aggregates import Gathered, _standing
from services.hub.federation.described import check_described
from services.hub.federation.domain import SourceUnsound
from shared.datasets.aggregate.columns import Dimension, Layout, Measure
from shared.datasets.coverage import SourceAnswer

GOOD = (Dimension("d", "area:district", "string"), Dimension("h", "time:hour", "datetime"), Dimension("kind", "kind", "string"))


@pytest.mark.parametrize(
    ("place", "wrong"),
    [(0, {"type": "integer"}), (0, {"unit": "m"}), (1, {"type": "string"}), (1, {"type": "date"}), (1, {"unit": "h"}), (2, {"type": "integer"})],
)
def test_a_dimension_of_another_type_than_it_has_everywhere_is_refused(place: int, wrong: dict[str, Any]) -> None:
    def check(dimensions: tuple[Dimension, ...]) -> None:
        check_described("430300/fire", Layout(dimensions, (Measure("n", "count"),), "Asia/Shanghai"), CALLS)

    check(GOOD)
    with pytest.raises(SourceUnsound):
        check((*GOOD[:place], replace(GOOD[place], **wrong), *GOOD[place + 1 :]))


@pytest.mark.parametrize(("as_of", "since"), [(datetime(2026, 11, 23, tzinfo=UTC), datetime(2016, 11, 25, tzinfo=UTC)), (datetime(2, 1, 1, tzinfo=UTC), None)])
def test_what_is_kept_reaches_back_no_further_than_the_calendar(as_of: datetime, since: datetime | None) -> None:
    aim = SimpleNamespace(declared=replace(CALLS, retention=timedelta(days=3650)))
    answers = (SourceAnswer(source="430300/fire", dataset="fire.calls", status="ok", as_of=as_of),)
    standing = _standing(Gathered(cast("Any", aim), (), answers, (), ()))
    assert (standing.since, standing.until) == (since, as_of)
