"""Coordinates against published points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shared.coordinates import Crs, to_wgs84

TIANANMEN = (116.404, 39.915)
# Published with the coordtransform library (wandergis/coordtransform, test/app.js).
TIANANMEN_AS_GCJ02 = (116.41024449916938, 39.91640428150164)
BD09_OF_GCJ02 = {(116.404, 39.915): (116.41036949371029, 39.92133699351021)}


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance of two near points on a sphere of 6,371 km."""
    x = math.radians(b[0] - a[0]) * math.cos(math.radians((a[1] + b[1]) / 2))
    return 6_371_000 * math.hypot(x, math.radians(b[1] - a[1]))


def one(point: tuple[float, float], crs: Crs) -> tuple[float, float]:
    lon, lat = to_wgs84([point[0]], [point[1]], crs)
    return float(lon[0]), float(lat[0])


def test_a_gcj02_point_returns_to_where_it_was_published():
    assert metres(one(TIANANMEN_AS_GCJ02, Crs.GCJ02), TIANANMEN) < 0.5
    assert metres(TIANANMEN_AS_GCJ02, TIANANMEN) > 500


def test_a_bd09_point_is_that_of_its_gcj02_point():
    for gcj02, bd09 in BD09_OF_GCJ02.items():
        assert metres(one(bd09, Crs.BD09), one(gcj02, Crs.GCJ02)) < 1
        assert metres(bd09, gcj02) > 500


def test_wgs84_is_left_alone_and_cgcs2000_moves_less_than_a_metre():
    assert one((112.94, 27.83), Crs.WGS84) == (112.94, 27.83)
    assert metres(one((112.94, 27.83), Crs.CGCS2000), (112.94, 27.83)) < 1


def test_outside_china_the_offset_systems_are_wgs84():
    assert metres(one((-122.42, 37.77), Crs.GCJ02), (-122.42, 37.77)) < 0.01


def test_unknown_points_stay_unknown_among_known_ones():
    lon, lat = to_wgs84([TIANANMEN_AS_GCJ02[0], math.nan], [TIANANMEN_AS_GCJ02[1], 39.9], "gcj02")
    assert metres((float(lon[0]), float(lat[0])), TIANANMEN) < 0.5
    assert np.isnan(lon[1]) and np.isnan(lat[1])


@pytest.mark.parametrize("crs", list(Crs))
@pytest.mark.parametrize("point", [(200.0, 10.0), (10.0, 95.0), (math.inf, 0.0)])
def test_a_point_that_is_not_on_earth_is_refused(crs: Crs, point: tuple[float, float]):
    with pytest.raises(ValueError, match="beyond"):
        to_wgs84([point[0]], [point[1]], crs)


def test_an_undeclared_system_is_refused():
    with pytest.raises(ValueError):
        to_wgs84([1.0], [1.0], "EPSG:2154")
