"""What makes a table of areas sound."""

from __future__ import annotations

from datetime import date

import pytest

from services.hub.areas.domain import Area, fault_of, level_of, parent_of, parents_first, with_ancestors
from services.hub.areas.geometry import BadShape, checked
from shared.area_codes import gb_level, gb_parent
from shared.vocabulary import AreaLevel

CITY = Area("4303", AreaLevel.CITY, "43", name_zh="湘潭市", ancestors=("cn", "43", "4303", None, None, None))


def district(code: str = "430302", **values: object) -> Area:
    return Area(code, AreaLevel.DISTRICT, "4303", **({"name_zh": "雨湖区"} | values))  # type: ignore[arg-type]


def test_the_length_of_a_gb_code_tells_its_level_and_its_parent():
    assert [gb_level(code) for code in ("43", "4303", "430302", "430302001", "430302001002")] == list(AreaLevel)[1:]
    assert [gb_parent(code) for code in ("430302001002", "430302001", "430302", "4303", "43")] == ["430302001", "430302", "4303", "43", "cn"]


@pytest.mark.parametrize("code", ["us-06075", "us-06075-01", "1", "123", "４３０３", "cn"])
def test_other_codes_tell_nothing(code: str):
    assert gb_level(code) is None
    assert gb_parent(code) is None


def test_a_stated_level_and_parent_come_before_what_the_code_tells():
    assert level_of("4303", AreaLevel.DISTRICT) is AreaLevel.DISTRICT
    assert level_of("us-06075", None) is None
    assert parent_of("430302", "4301", states_parent=True) == "4301"
    assert parent_of("430302", None, states_parent=True) is None
    assert parent_of("430302", None, states_parent=False) == "4303"


def test_an_area_knows_all_that_hold_it_even_when_levels_are_skipped():
    assert with_ancestors(district(), CITY).ancestors == ("cn", "43", "4303", "430302", None, None)
    street = Area("430302001", AreaLevel.TOWN, "4303", name_zh="某街道")
    assert with_ancestors(street, CITY).ancestors == ("cn", "43", "4303", None, "430302001", None)


def test_a_sound_area_has_no_fault():
    assert fault_of(district(), CITY) is None


@pytest.mark.parametrize(
    ("area", "parent", "code"),
    [
        (district(name_zh=None), CITY, "unnamed"),
        (district(), None, "unknown-parent"),
        (Area("4304", AreaLevel.CITY, "4303", name_zh="衡阳市"), CITY, "level"),
        (district("430102"), CITY, "prefix"),
        (district(valid_from=date(2018, 1, 1), valid_to=date(2018, 1, 1)), CITY, "validity"),
        (district(valid_to=date(1980, 1, 1)), Area("4303", AreaLevel.CITY, "43", name_zh="湘潭市", valid_from=date(1980, 1, 1)), "validity"),
        (district(valid_from=date(2020, 1, 1)), Area("4303", AreaLevel.CITY, "43", name_zh="湘潭市", valid_to=date(2020, 1, 1)), "validity"),
    ],
)
def test_an_unsound_area_is_named_with_its_fault(area: Area, parent: Area | None, code: str):
    fault = fault_of(area, parent)
    assert fault is not None
    assert fault.code == code


def test_parents_are_treated_before_their_children_whatever_the_order_of_the_rows():
    street, nation = Area("430302001", AreaLevel.TOWN, "430302"), Area("cn", AreaLevel.NATION, None)
    assert [area.code for _, area in parents_first([(0, street), (1, district()), (2, nation)])] == ["cn", "430302", "430302001"]


def square(west: float, south: float, size: float = 1) -> list[list[float]]:
    return [[west, south], [west + size, south], [west + size, south + size], [west, south + size], [west, south]]


def test_a_polygon_that_touches_itself_is_repaired_without_loss():
    pinched = [[0, 0], [2, 0], [2, 1], [1, 0], [0, 1], [0, 0]]
    geometry, bbox, repaired = checked({"type": "Polygon", "coordinates": [pinched]})
    assert repaired
    assert geometry["type"] in ("Polygon", "MultiPolygon")
    assert bbox == (0, 0, 2, 1)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [0, 0]},
        {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]},  # a bow tie: which half is meant?
        {"type": "Polygon", "coordinates": [square(179.5, 0)]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": "here"},
        {"type": "Polygon"},
        {},
    ],
)
def test_a_shape_that_cannot_be_trusted_is_refused(geometry: dict[str, object]):
    with pytest.raises(BadShape):
        checked(geometry)
