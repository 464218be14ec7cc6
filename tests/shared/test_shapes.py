"""Which area holds a point."""

from __future__ import annotations

from datetime import date

import shapely

from shared.shapes import AreaShape, ShapeIndex

TODAY = date(2026, 11, 22)


def area(code: str, box: tuple[float, float, float, float], *above: str, since: date | None = None, until: date | None = None) -> AreaShape:
    return AreaShape(code, frozenset((code, *above)), since, until, shapely.box(*box))


def find(index: ShapeIndex, *points: tuple[float, float], within: str | None = None, day: date = TODAY) -> list[str | None]:
    return index.find(points, [within] * len(points), [day] * len(points))


def test_the_finest_area_wins_and_a_point_outside_all_is_nowhere():
    index = ShapeIndex([area("4303", (0, 0, 10, 10)), area("430302", (0, 0, 5, 10), "4303"), area("430304", (5, 0, 10, 10), "4303")])
    assert find(index, (1, 1), (9, 9), (11, 1)) == ["430302", "430304", None]


def test_where_shapes_overlap_or_meet_the_smallest_wins_then_the_lowest_code():
    index = ShapeIndex([area("430302", (0, 0, 5.1, 10)), area("430304", (5, 0, 10, 10)), area("430321", (10, 0, 15, 10))])
    assert find(index, (5.05, 5)) == ["430304"]  # 50 against 51 square degrees
    assert find(index, (10, 5)) == ["430304"]  # both 50: the border belongs to the lower code


def test_a_point_can_be_asked_for_inside_a_coarser_area_only():
    index = ShapeIndex([area("430302", (0, 0, 5, 5), "4303"), area("4301", (0, 0, 9, 9))])
    assert find(index, (1, 1), within="4301") == ["4301"]
    assert find(index, (1, 1), within="4303") == ["430302"]
    assert find(index, (1, 1), within="4302") == [None]


def test_a_point_is_located_by_the_areas_of_its_day():
    index = ShapeIndex([area("430221", (0, 0, 5, 5), until=date(2018, 10, 1)), area("430212", (0, 0, 5, 5), since=date(2018, 10, 1))])
    assert find(index, (1, 1), day=date(2018, 9, 30)) == ["430221"]
    assert find(index, (1, 1), day=date(2018, 10, 1)) == ["430212"]


def test_without_shapes_every_point_is_nowhere():
    assert find(ShapeIndex([]), (1, 1)) == [None]
