"""Wide files whose columns are told by their names, and lines whose times are told by their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.load.chunks import Chunk
from ops.load.files import chunks_of, fitted
from ops.load.mapping import CannotMap, FileMapping
from ops.load.preview import preview
from ops.load.rows import batch_of
from tests.ops.load_mappings import chunk, mapping
from tests.ops.load_receiver import written

STEPS = {"first": "2012-03-11T01:55", "every_s": 300}
WIDE = {"columns": "[0-9]+", "name": "detector", "prefix": "la-", "set": {"property": "speed"}}


def sensors() -> FileMapping:
    return mapping({"time": {"steps": STEPS}}, wide=WIDE, clock={"zone": "America/Los_Angeles"})


def test_every_column_that_the_expression_means_becomes_rows_under_its_name(tmp_path: Path):
    path = written(tmp_path / "speeds.csv", "717447,note,773869\n60,x,61.5\n,y,62\nbad,z,63\n")
    made = fitted(path, sensors())
    batch = batch_of(next(chunks_of(path, made)), made)
    found = sorted((row["detector"], row["value"], row["property"]) for row in batch.table.to_pylist())
    assert found == [("la-717447", 60.0, "speed"), ("la-773869", 61.5, "speed"), ("la-773869", 62.0, "speed"), ("la-773869", 63.0, "speed")]
    assert (batch.empty, [(fault.line, fault.code) for fault, _ in batch.rejected]) == (1, [(4, "not-a-number")])
    [shown] = preview([path], sensors())
    assert (shown.ready, shown.tally.values_per_line) == (4, 2)


def test_lines_follow_one_another_in_time_even_where_the_clock_skips_an_hour_and_a_batch_begins():
    whole = chunk(t=["a", "b", "c"])
    later = Chunk(whole.table.slice(1), whole.lines[1:])
    made = mapping({"time": {"steps": STEPS}}, clock={"zone": "America/Los_Angeles"})
    times = batch_of(whole, made).table["time"].to_pylist()
    assert [each.isoformat() for each in times] == ["2012-03-11T09:55:00+00:00", "2012-03-11T10:00:00+00:00", "2012-03-11T10:05:00+00:00"]
    assert batch_of(later, made).table["time"].to_pylist() == times[1:]


def test_a_file_without_such_columns_and_a_mapping_that_cannot_be_are_refused(tmp_path: Path):
    with pytest.raises(CannotMap, match="No column"):
        fitted(written(tmp_path / "x.csv", "a,b\n1,2\n"), sensors())
    with pytest.raises(CannotMap, match="Only a CSV"):
        fitted(written(tmp_path / "x.json", "[]"), sensors())
    with pytest.raises(CannotMap, match="no time"):
        batch_of(chunk(t=["a"]), mapping({"time": {"steps": STEPS | {"first": "noon"}}}))
    for wrong in ({"wide": {**WIDE, "columns": "("}}, {"wide": WIDE, "cells": [{"from": "a", "set": {}}]}):
        with pytest.raises(ValueError, match=r"columns|cells"):
            mapping({"a": "a"}, **wrong)
