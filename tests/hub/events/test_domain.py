"""What a filter lets through."""

from __future__ import annotations

import pytest

from services.hub.events import live
from services.hub.events.domain import Logged, Wanted

EVENT = Logged(7, "430300/worksafety", "worksafety.release.reported.v1", "430304003", {"warninglevel": "II", "incidentgrade": None}, "{}", "releases/1")
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
        (Wanted(regarding=("releases/2", "releases/1")), True),
        (Wanted(regarding=("incidents/1",)), False),
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


def test_the_newest_events_are_kept_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEPT", 10)
    monkeypatch.setattr(live, "KEPT_BYTES", 1000)
    kept = live.Live()
    kept.begin(100)
    kept.append([Logged(position, "430300/food", "food.x.v1", None, {}, "x" * 30) for position in range(101, 121)])
    assert (kept.floor, kept.head) == (110, 120)
    assert kept.after(109, 100) is None
    assert [logged.position for logged in kept.after(118, 100) or ()] == [119, 120]
    kept.append([Logged(position, "430300/food", "food.x.v1", None, {}, "x" * 600) for position in range(121, 124)])
    assert (kept.floor, kept.head) == (122, 123), "two of them would be more than the bytes allow"


def test_an_event_that_does_not_follow_directly_waits_for_those_before_it() -> None:
    kept = live.Live()
    kept.begin(5)
    kept.take(EVENT)
    assert (kept.head, kept.after(5, 10)) == (5, [])
    kept.append([Logged(6, "430300/food", "food.x.v1", None, {}, "{}"), EVENT])
    kept.append([EVENT])
    assert [logged.position for logged in kept.after(5, 10) or ()] == [6, 7]
