"""Rules of outlines against published and hand-calculated figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import shapely

from services.env.outlines.domain import (
    Distances,
    Wind,
    concentration,
    grams_per_m3,
    is_day,
    large_spill,
    moved,
    on_earth,
    plume_edge,
    sigmas,
    stability,
    sun_elevation,
    zone,
)
from services.env.outlines.judging import Escape, outlines_of
from services.env.outlines.tables import TABLE_3

NOON = datetime(2026, 6, 21, 4, 30, tzinfo=UTC)
"""About noon in Xiangtan."""
XIANGTAN = (112.94, 27.83)


def wind(from_deg: float | None = 0.0, speed: float = 3.0) -> Wind:
    return Wind(from_deg, speed, "A", NOON)


def escape(substance: str = "7782-50-5", rate: float | None = 0.8, amount: float | None = None, un: str | None = None) -> Escape:
    return Escape("R", substance, un, rate, amount, *XIANGTAN)


def test_the_sun_stands_where_the_solar_position_algorithm_puts_it() -> None:
    at = datetime(2003, 10, 17, 12, 30, 30, tzinfo=timezone(timedelta(hours=-7)))
    assert sun_elevation(-105.1786, 39.742476, at) == pytest.approx(39.872046, abs=0.02)  # Reda and Andreas 2004, appendix A.5, without refraction


def test_day_is_between_sunrise_and_sunset_of_the_place() -> None:
    """Equinox at the equator and Greenwich: the sun rises at about 06:04 and sets at about 18:11 UTC (equation of time -7.4 min)."""
    day = datetime(2026, 3, 20, tzinfo=UTC)
    assert [is_day(0, 0, day + timedelta(hours=h)) for h in (5.9, 6.2, 18.0, 18.3)] == [False, True, True, False]
    assert is_day(0, 80, datetime(2026, 6, 21, tzinfo=UTC)) and not is_day(0, 80, datetime(2026, 12, 21, 12, tzinfo=UTC))


def test_the_plume_gives_turners_example() -> None:
    """Turner 1970, problem 1: 3 g/s at the ground, overcast night, 7 m/s, 3 km downwind: 1.1e-5 g/m3 with his sigmas of 190 m and 65 m."""
    assert stability(7, -20, cloud=1.0) == "D"
    assert concentration(3, 7, (190, 65)) == pytest.approx(1.1e-5, rel=0.01)
    assert sigmas("D", 3000) == pytest.approx((210.5, 76.75), rel=1e-3)  # 0.08 x / sqrt(1.3), 0.06 x / sqrt(5.5)


@pytest.mark.parametrize(
    ("speed", "elevation", "cloud", "expected"),
    [
        (1.5, 70, 0.0, "A"),
        (2.5, 50, 0.0, "B"),
        (4, 70, 0.0, "B"),
        (7, 50, 0.0, "D"),
        (2.5, -5, 0.0, "F"),
        (4, -5, 0.0, "E"),
        (4, -5, 0.8, "D"),
        (3, 30, 1.0, "D"),
    ],
)
def test_stability_follows_turners_table(speed: float, elevation: float, cloud: float, expected: str) -> None:
    assert stability(speed, elevation, cloud) == expected


def test_unknown_cloud_takes_the_more_stable_class() -> None:
    assert (stability(1.5, 70), stability(2.5, -5)) == ("B", "F")


def test_carbon_monoxide_at_83_ppm_is_95_milligrams() -> None:
    assert grams_per_m3(83, 28.01) == pytest.approx(0.0950, abs=1e-4)


def test_the_contour_ends_where_the_middle_reaches_the_limit() -> None:
    edge = plume_edge(1.0, 3.0, "D", grams_per_m3(83, 28.01))
    farthest = edge[-1][0]
    middle = concentration(1000, 3.0, sigmas("D", farthest))
    assert middle > 0.095 > concentration(1000, 3.0, sigmas("D", farthest * 1.06))
    assert concentration(1000, 3.0, sigmas("D", farthest), edge[-1][1]) == pytest.approx(grams_per_m3(83, 28.01))


def test_the_zone_is_a_square_downwind_and_a_circle_around() -> None:
    """Wind from the north: 1 km square south of the release, 300 m around it; the circle adds a half and two corners of the square's near side."""
    geometry, (west, south, east, north) = on_earth(zone(Distances(300, 1000, ""), 0.0), *XIANGTAN)
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid and shape.exterior.is_ccw
    metres = shapely.transform(shape, lambda points: (points - XIANGTAN) * (98_470.6, 110_804.0))  # radii of curvature at 27.83 N by hand
    assert metres.bounds == pytest.approx((-500, -1000, 500, 300), abs=2)
    assert metres.area == pytest.approx(1_000_000 + 3.14159 * 300**2 / 2, rel=0.01)
    assert (west, south, east, north) == pytest.approx(shape.bounds)


def test_without_a_wind_the_outline_reaches_in_all_directions() -> None:
    for calm in (None, wind(90, 0.6)):
        outline = outlines_of(escape(), calm, NOON)[0]
        west, south, east, north = outline.extent
        assert outline.direction is None
        assert (north - south) * 110_804 == pytest.approx(2 * outline.protective_m, rel=0.01)
        assert (east - west) * 98_471 == pytest.approx(2 * outline.protective_m, rel=0.01)


def test_a_tank_truck_of_chlorine_takes_the_row_of_its_wind() -> None:
    containers = TABLE_3["1017"]
    found = [large_spill(containers, 20_000, speed, day=True).protective_m for speed in (None, 1.0, 4.0, 8.0)]
    assert found == [5800, 5800, 3400, 2900]
    assert large_spill(containers, 50_000, 4.0, day=False).isolation_m == 1000


def test_a_dense_gas_gets_no_plume_and_says_so() -> None:
    outlines = outlines_of(escape(), wind(), NOON)
    assert [outline.method for outline in outlines] == ["erg-isolation"]
    assert any("not valid" in note.en for note in outlines[0].notes)
    assert outlines[0].valid and "ERG 2020, table 3" in outlines[0].source


def test_a_neutral_gas_gets_a_plume_after_the_guidebook() -> None:
    first, second = outlines_of(escape("630-08-0", 2.0), wind(270, 4.0), NOON)
    assert (first.method, second.method, second.stability, second.valid) == ("erg-isolation", "gaussian-plume", "C", True)
    assert "AEGL-2" in second.source
    west, _, east, _ = second.extent
    assert east - XIANGTAN[0] > XIANGTAN[0] - west  # the wind blows from the west
    assert outlines_of(escape("630-08-0", None), wind(), NOON)[-1].method == "erg-isolation"  # no rate, no plume


def test_a_substance_outside_the_tables_gets_general_distances_marked_not_valid() -> None:
    outline = outlines_of(escape("71-43-2"), wind(), NOON)[0]
    assert (outline.isolation_m, outline.valid) == (100, False)


def test_small_shifts_of_the_wind_do_not_move_an_outline() -> None:
    base = outlines_of(escape(), wind(0), NOON)[0].geometry
    assert not moved(base, outlines_of(escape(), wind(3), NOON)[0].geometry)
    assert moved(base, outlines_of(escape(), wind(40), NOON)[0].geometry)


@pytest.mark.parametrize("lat", [-90.0, -89.5, 0.0, 89.99, 90.0])
@pytest.mark.parametrize("lon", [-180.0, 0.0, 180.0])
def test_an_outline_at_the_edge_of_the_world_is_valid(lon: float, lat: float) -> None:
    geometry, _ = on_earth(zone(Distances(1000, 11_000, ""), 225.0), lon, lat)
    assert shapely.geometry.shape(geometry).is_valid
