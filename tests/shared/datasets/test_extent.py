"""Boxes and intervals as they are written in addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.datasets.extent import CRS84, EPSG4326, Bbox, Interval, parse_bbox, parse_datetime, parse_moment
from shared.errors import InvalidRequest

CHINA = timezone(timedelta(hours=8))
MOMENT = datetime(2026, 11, 1, tzinfo=UTC)
MOMENTS = st.integers(-62_000_000_000, 253_000_000_000).map(lambda seconds: (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(CHINA))


@pytest.mark.parametrize(
    ("text", "crs", "box"),
    [
        ("1,2,3,4", None, Bbox(1, 2, 3, 4)),
        ("1,2,-9,3,4,9", CRS84, Bbox(1, 2, 3, 4)),
        ("2,1,4,3", EPSG4326, Bbox(1, 2, 3, 4)),
        ("-180,-90,180,90", None, Bbox(-180, -90, 180, 90)),
        (" 1 , 2 , 3 , 4 ", None, Bbox(1, 2, 3, 4)),
        ("5,5,5,5", None, Bbox(5, 5, 5, 5)),
    ],
)
def test_a_box_has_four_or_six_numbers(text: str, crs: str | None, box: Bbox) -> None:
    assert parse_bbox(text, crs=crs) == box


def test_a_box_across_the_antimeridian_is_two() -> None:
    assert parse_bbox("170,-10,-170,10").parts() == ((170, -10, 180, 10), (-180, -10, -170, 10))


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,4,3,2", "181,0,182,1", "0,-91,1,1", "nan,0,1,1", "0,0,inf,1", "1;2;3;4"])
def test_what_is_no_box_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_bbox(text)


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("2026-11-01T08:00:00+08:00", Interval(MOMENT, MOMENT)),
        ("2026-11-01T08:00:00 08:00", Interval(MOMENT, MOMENT)),
        ("2026-11-01T00:00:00Z/..", Interval(MOMENT, None)),
        ("/2026-11-01T00:00:00z", Interval(None, MOMENT)),
        ("2026-11-01", Interval(MOMENT, MOMENT + timedelta(days=1, microseconds=-1))),
        ("2026-11-01/..", Interval(MOMENT, None)),
        ("2026-10-31T/2026-10-31T", Interval(MOMENT - timedelta(days=1), MOMENT - timedelta(microseconds=1))),
    ],
)
def test_an_interval_has_closed_or_open_ends(text: str, interval: Interval) -> None:
    assert parse_datetime(text) == interval


@pytest.mark.parametrize(
    "text", ["", "..", "/", "../..", "a/b/c", "2026", "2026-11", "2026-11-01T00:00:00", "2026-02-30", "2026-11-01T25:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_datetime(text)


@given(MOMENTS)
def test_every_moment_with_an_offset_is_read_as_the_same_in_utc(moment: datetime) -> None:
    assert parse_moment(moment.isoformat(), pointer="/x") == moment


@given(st.text(max_size=40))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        parsed = parse_datetime(text)
    except InvalidRequest:
        return
    assert parsed != Interval(None, None)
