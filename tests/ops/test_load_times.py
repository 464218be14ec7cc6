"""How a load reads times: formats, zones, and hours that a clock shows twice or never."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from ops.load.formats import FormatError, pattern_of, read_times
from ops.load.mapping import FileMapping
from ops.load.rows import batch_of, body_of
from tests.ops.load_mappings import chunk, mapping

AMERICAN = "%m/%d/%Y %I:%M:%S %p"


def instants(texts: list[str | None], form: Any = AMERICAN, **clock: str) -> tuple[list[str | None], list[str]]:
    """The instants that are sent, and the codes of the rows that are not."""
    made: FileMapping = mapping({"at": {"from": "t", "time": form}}, clock={"zone": "America/Los_Angeles", **clock})
    batch = batch_of(chunk(t=texts), made)
    moments = batch.table["at"].cast(pa.timestamp("us")).to_pylist()
    return [None if moment is None else moment.isoformat() for moment in moments], [fault.code for fault, _ in batch.rejected]


def test_local_times_become_instants_in_summer_and_in_winter():
    assert instants(["02/03/2018 12:45:58 PM", "07/03/2018 12:00:01 AM"]) == (["2018-02-03T20:45:58", "2018-07-03T07:00:01"], [])


def test_an_hour_that_the_clock_shows_twice_goes_by_the_stated_policy():
    twice: list[str | None] = ["11/05/2017 01:30:00 AM"]
    assert instants(twice) == ([], ["ambiguous-time"])
    assert instants(twice, ambiguous="first") == (["2017-11-05T08:30:00"], [])
    assert instants(twice, ambiguous="second") == (["2017-11-05T09:30:00"], [])


def test_only_the_hour_itself_is_ambiguous():
    around: list[str | None] = ["11/05/2017 12:59:59 AM", "11/05/2017 02:00:00 AM"]
    assert instants(around) == (["2017-11-05T07:59:59", "2017-11-05T10:00:00"], [])


def test_an_hour_that_the_clock_skips_goes_by_the_stated_policy():
    never: list[str | None] = ["03/11/2018 02:30:00 AM"]
    assert instants(never) == ([], ["no-such-time"])
    assert instants(never, skipped="shift") == (["2018-03-11T10:30:00"], [])  # 03:30 by the clock that people saw
    assert instants(["03/11/2018 01:59:59 AM", "03/11/2018 03:00:00 AM"]) == (["2018-03-11T09:59:59", "2018-03-11T10:00:00"], [])


def test_a_zone_may_be_a_fixed_offset():
    assert instants(["2013-3-1 0"], "%Y-%m-%d %H", zone="+08:00") == (["2013-02-28T16:00:00"], [])
    assert instants(["2013-3-1 0"], "%Y-%m-%d %H", zone="-0330") == (["2013-03-01T03:30:00"], [])


def test_an_offset_in_the_text_goes_before_the_zone():
    texts: list[str | None] = ["2016-05-13T08:00:00+08:00", "2016-05-13T08:00:00Z", "2016-05-13T08:00:00", "2016-05-13 08:00:00.25-0730", "2016-05-13"]
    expected = ["2016-05-13T00:00:00", "2016-05-13T08:00:00", "2016-05-13T15:00:00", "2016-05-13T15:30:00.250000", "2016-05-13T07:00:00"]
    assert instants(texts, "iso") == (expected, [])
    assert instants(["13.05.2016 08:00 +0200"], "%d.%m.%Y %H:%M %z") == (["2016-05-13T06:00:00"], [])


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("02/30/2018 01:00:00 AM", AMERICAN),
        ("02/29/2018 01:00:00 AM", AMERICAN),
        ("13/01/2018 01:00:00 AM", AMERICAN),
        ("02/03/2018 13:00:00 PM", AMERICAN),
        ("02/03/2018 00:10:00 AM", AMERICAN),
        ("02/03/2018 01:60:00 AM", AMERICAN),
        ("02/03/2018 01:00:00 AM trailing", AMERICAN),
        ("2016051", "%Y%m%d"),
        ("20160532", "%Y%m%d"),
        ("2016-05-13 24", "%Y-%m-%d %H"),
        ("0000-05-13", "iso"),
        ("2016-05-13T08:00:00+99:00", "iso"),
        ("tomorrow", "iso"),
    ],
)
def test_what_is_no_time_is_rejected_and_never_bent(text: str, form: str):
    assert instants([text], form) == ([], ["not-a-time"])


def test_a_leap_day_is_a_day():
    assert instants(["20160229"], "%Y%m%d", zone="UTC") == (["2016-02-29T00:00:00"], [])


def test_of_several_formats_the_first_that_fits_is_taken_for_each_text():
    assert instants(["02/03/2018", "2018-02-03", None], ["%m/%d/%Y", "iso"], zone="UTC") == (["2018-02-03T00:00:00", "2018-02-03T00:00:00", None], [])


def test_a_format_that_cannot_be_read_is_refused():
    for form in ("%Y-%m", "%Y-%m-%d %Y", "%Y-%m-%d %I", "%Y-%j-%d %m", "%y%m%d"):
        with pytest.raises(FormatError):
            pattern_of(form)


def test_a_format_takes_its_other_characters_literally():
    read = read_times(pa.array(["2018.02.03 (x)", "2018a02b03 (x)"]), ("%Y.%m.%d (x)",))
    assert read.good.tolist() == [True, False]


def test_json_has_times_in_utc_with_their_fraction_where_there_is_one():
    made = mapping({"at": {"from": "t", "time": "iso"}}, clock={"zone": "UTC"})
    assert body_of(batch_of(chunk(t=["2016-05-13T08:00:00", None]), made), made) == b'[{"at":"2016-05-13T08:00:00Z"},{}]'
    assert body_of(batch_of(chunk(t=["2016-05-13T08:00:00.5"]), made), made) == b'[{"at":"2016-05-13T08:00:00.500000Z"}]'
