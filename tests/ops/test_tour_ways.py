"""A way that starts in an endangered area may leave it; one that enters it leads through it."""

from __future__ import annotations

import pytest
from shapely.geometry import LineString, box

from ops.tour.ways import leads_through

AREA = box(113.0, 27.80, 113.1, 27.85)


@pytest.mark.parametrize(
    ("way", "through"),
    [
        ([(112.9, 27.7), (113.2, 27.7)], False),
        ([(112.9, 27.82), (113.2, 27.82)], True),
        ([(112.9, 27.82), (113.05, 27.82)], True),
        ([(113.05, 27.82), (113.2, 27.82)], False),
        ([(112.998, 27.82), (113.002, 27.82), (113.002, 27.79), (113.2, 27.79)], False),
        ([(113.05, 27.82), (113.2, 27.82), (113.2, 27.84), (113.05, 27.84)], True),
        ([(112.9, 27.85), (113.0, 27.85)], False),
    ],
    ids=["outside", "across", "into", "out of", "along a road that it closes, and out", "out and in again", "up to a corner"],
)
def test_ways(way: list[tuple[float, float]], through: bool) -> None:
    assert leads_through(LineString(way), AREA) is through
