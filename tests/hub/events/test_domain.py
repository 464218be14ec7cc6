"""What a filter lets through."""

from __future__ import annotations

import pytest

from services.hub.events.domain import Logged, Wanted

EVENT = Logged(7, "430300/worksafety", "worksafety.release.reported.v1", "430304003", {"warninglevel": "II", "incidentgrade": None}, "{}")
NOWHERE = Logged(8, "430300/hub", "hub.source.lost.v1", None, {}, "{}")


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (Wanted(), True),
        (Wanted(types=("worksafety.*",)), True),
        (Wanted(types=("fire.*", "*.reported.v1")), True),
        (Wanted(types=("worksafety",)), False),
        (Wanted(areas=("4303",)), True),
        (Wanted(areas=("430302", "430304003")), True),
        (Wanted(areas=("4303040031",)), False),
        (Wanted(sources=("430300/worksafety",)), True),
        (Wanted(sources=("430100/worksafety",)), False),
        (Wanted(scales={"warninglevel": frozenset({"I", "II"})}), True),
        (Wanted(scales={"warninglevel": frozenset({"III"})}), False),
        (Wanted(scales={"incidentgrade": frozenset({"I"})}), False),
        (Wanted(scales={"incidentgrade": frozenset()}), True),
        (Wanted(types=("worksafety.*",), areas=("4301",)), False),
    ],
)
def test_an_event_passes_if_every_part_that_names_anything_holds(wanted: Wanted, passes: bool) -> None:
    assert wanted.matches(EVENT) is passes


def test_an_event_without_an_area_passes_no_filter_by_area() -> None:
    assert Wanted().matches(NOWHERE)
    assert not Wanted(areas=("43",)).matches(NOWHERE)
