"""How a load makes columns and rows: missing values, tables, templates, types, and wide files made long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from ops.load.chunks import Chunk, Fault
from ops.load.mapping import FileMapping
from ops.load.rows import Batch, batch_of, body_of, declarations
from ops.load.tally import Tally
from shared.body import Body, rows_of
from tests.ops.load_mappings import STATED, chunk, mapping


def values(column: Any, texts: list[str | None], **others: Any) -> tuple[list[Any], list[tuple[int, str]]]:
    """What one column becomes, and the lines and codes that are rejected."""
    made = mapping({"v": column}, **others)
    batch = batch_of(chunk(t=texts), made)
    return batch.table["v"].to_pylist(), [(fault.line, fault.code) for fault, _ in batch.rejected]


def test_texts_are_trimmed_and_empty_ones_are_missing():
    assert values("t", ["  x ", "", " ", None]) == (["x", None, None, None], [])


def test_tokens_stand_for_missing_values_in_the_whole_file_or_in_one_column():
    assert values("t", ["NA", "-9999", "x"], file={"missing": ["NA"]}) == ([None, "-9999", "x"], [])
    assert values({"from": "t", "missing": ["-9999"], "type": "number"}, ["NA", "-9999", "1"], file={"missing": ["NA"]}) == ([None, None, 1.0], [])


def test_a_required_value_that_is_missing_rejects_its_line():
    assert values({"from": "t", "required": True}, ["x", " "]) == (["x"], [(3, "missing")])


@pytest.mark.parametrize("text", ["1,5", "12 m", "--1", "1e", "nan", "inf", "0x1F", "1_000", "٣"])
def test_what_is_no_number_is_rejected_and_never_guessed(text: str):
    assert values({"from": "t", "type": "number"}, [text, "2"]) == ([2.0], [(2, "not-a-number")])


def test_numbers_are_read_as_they_are_written():
    texts: list[str | None] = ["1", "-2.5", "+3", ".5", "6.", "1e3", "1E-2"]
    assert values({"from": "t", "type": "number"}, texts) == ([1.0, -2.5, 3.0, 0.5, 6.0, 1000.0, 0.01], [])
    assert values({"from": "t", "type": "number"}, ["1e999"]) == ([], [(2, "not-finite")])


def test_integers_and_truth_have_their_own_types():
    assert values({"from": "t", "type": "integer"}, ["7", "+8", "9.0", "x"]) == ([7, 8], [(4, "not-an-integer"), (5, "not-an-integer")])
    assert values({"from": "t", "type": "boolean"}, ["Yes", "0", "TRUE", "perhaps", None]) == ([True, False, True, None], [(5, "not-a-boolean")])


def test_a_table_maps_texts_and_says_what_happens_to_others():
    table = {"Low Risk": "low", "High Risk": "high"}
    texts: list[str | None] = ["Low Risk", "odd", None]
    assert values({"from": "t", "values": table}, texts) == (["low", None], [(3, "unknown-value")])
    assert values({"from": "t", "values": "risks", "otherwise": "other"}, texts, tables={"risks": table}) == (["low", "other", None], [])
    assert values({"from": "t", "values": table, "unknown": "keep"}, texts) == (["low", "odd", None], [])
    assert values({"from": "t", "values": table, "unknown": "missing"}, texts) == (["low", None, None], [])
    assert values({"from": "t", "values": {"N": 0, "NNE": 22.5}, "type": "number"}, ["NNE", "N"]) == ([22.5, 0.0], [])


def test_a_part_is_extracted_and_a_text_of_another_form_is_rejected():
    column = {"from": "t", "extract": r"^\((?P<value>-?[0-9.]+), ", "type": "number"}
    assert values(column, ["(37.5, -122.25)", "nowhere", None]) == ([37.5, None], [(3, "unexpected-form")])


def test_of_alternatives_the_first_that_is_not_missing_counts():
    batch = batch_of(chunk(a=["x", None, None], b=["1", "2", None]), mapping({"v": [{"from": "a"}, {"from": "b"}, {"constant": "none"}]}))
    assert batch.table["v"].to_pylist() == ["x", "2", "none"]


def test_a_template_joins_columns_of_the_file_and_columns_already_made():
    made = mapping({"kind": {"from": "a", "values": {"R": "routine"}}, "v": {"template": "{b}/{=kind}-{{x}}"}})
    batch = batch_of(chunk(a=["R", "R"], b=["7", None]), made)
    assert batch.table["v"].to_pylist() == ["7/routine-{x}", None]


def test_a_line_is_rejected_once_for_its_first_fault():
    made = mapping({"a": {"from": "a", "type": "number"}, "b": {"from": "b", "required": True}})
    assert [fault.code for fault, _ in batch_of(chunk(a=["x"], b=[None]), made).rejected] == ["not-a-number"]


def test_json_leaves_out_what_is_missing_and_carries_shapes_as_they_are():
    made = mapping({"a": "a", "n": {"from": "n", "type": "number"}, "shape": {"from": "g", "type": "geometry"}, "k": {"constant": 3}})
    body = body_of(batch_of(chunk(a=["é", None], n=["1.5", None], g=['{"type":"Point","coordinates":[1,2]}', None]), made), made)
    assert orjson.loads(body) == [{"a": "é", "n": 1.5, "shape": {"type": "Point", "coordinates": [1, 2]}, "k": 3}, {"k": 3}]


WIDE: dict[str, Any] = {
    "target": {**STATED["target"], "body": "arrow"},
    "file": {"missing": ["NA"]},
    "clock": {"zone": "+08:00"},
    "cells": [
        {"from": "PM2.5", "set": {"property": "pm25", "unit": "ug/m3"}},
        {"from": "CO", "set": {"property": "co", "unit": "ug/m3"}},
        {"from": "wd", "set": {"property": "wind_direction", "unit": "deg"}, "values": {"N": 0, "NNW": 337.5}},
    ],
    "declare": {"path": "/series", "distinct": ["station", "property"], "constants": {"interval_s": 3600}},
}


def wide() -> FileMapping:
    columns = {"station": {"from": "s", "required": True}, "time": {"template": "{d} {h}", "time": "%Y-%m-%d %H", "required": True}}
    return mapping(columns, **WIDE)


def wide_chunk(*lines: tuple[str, str, str, str, str]) -> Chunk:
    """Station, day, hour, PM2.5 and CO of each line; the wind is from the north."""
    columns = zip(("s", "d", "h", "PM2.5", "CO"), zip(*lines, strict=True), strict=True)
    return chunk(**dict(columns), wd=["N"] * len(lines))


def counted(batch: Batch, cells: int) -> Tally:
    tally = Tally("x", values_per_line=cells)
    tally.mapped(batch)
    return tally


def test_every_value_of_a_wide_line_becomes_a_row():
    batch = batch_of(wide_chunk(("A", "2013-3-1", "0", "9", "300"), ("A", "2013-3-1", "1", "NA", "400.5")), wide())
    rows = [{**row, "time": row["time"].isoformat()} for row in batch.table.to_pylist()]
    first = {"station": "A", "time": "2013-02-28T16:00:00+00:00"}
    second = {"station": "A", "time": "2013-02-28T17:00:00+00:00"}
    assert rows == [
        {**first, "value": 9.0, "property": "pm25", "unit": "ug/m3"},
        {**first, "value": 300.0, "property": "co", "unit": "ug/m3"},
        {**second, "value": 400.5, "property": "co", "unit": "ug/m3"},
        {**first, "value": 0.0, "property": "wind_direction", "unit": "deg"},
        {**second, "value": 0.0, "property": "wind_direction", "unit": "deg"},
    ]
    assert batch.lines.tolist() == [2, 2, 3, 2, 3]
    assert batch.sources == ["PM2.5", "CO", "CO", "wd", "wd"]
    assert batch.empty == 1


def test_lines_times_values_are_always_accounted_for():
    found = wide_chunk(
        ("A", "2013-3-1", "0", "9", "300"),
        ("A", "2013-3-1", "25", "NA", "300"),  # no such hour: two values are lost, one was empty
        ("A", "2013-3-1", "2", "x", "300"),  # one value is no number
        ("", "2013-3-1", "3", "1", "2"),  # no station
    )
    batch = batch_of(Chunk(found.table, found.lines, [Fault(6, "wrong-number-of-columns", "")]), wide())
    tally = counted(batch, 3)
    reasons = {code: reason.rows for _, code, reason in tally.by_rows}
    assert reasons == {"wrong-number-of-columns": 3, "missing": 3, "not-a-time": 2, "not-a-number": 1}
    assert (tally.lines, tally.empty, tally.counts["rejected"], len(batch)) == (5, 1, 9, 5)
    assert tally.lines * 3 == tally.empty + tally.counts["rejected"] + len(batch)


def test_the_arrow_body_is_one_that_the_service_reads():
    batch = batch_of(wide_chunk(("A", "2013-3-1", "0", "9", "300"), ("B", "2013-3-1", "1", "8", "NA")), wide())
    names = ("station", "time", "property", "value", "unit", "quality")
    rows = rows_of(Body(body_of(batch, wide()), "application/vnd.apache.arrow.stream", b""), names).dicts()
    assert [(row["station"], row["property"], row["unit"], row["value"]) for row in rows] == [
        ("A", "pm25", "ug/m3", 9.0),
        ("B", "pm25", "ug/m3", 8.0),
        ("A", "co", "ug/m3", 300.0),
        ("A", "wind_direction", "deg", 0.0),
        ("B", "wind_direction", "deg", 0.0),
    ]
    assert rows[0]["time"].isoformat() == "2013-02-28T16:00:00+00:00"


def test_what_rows_refer_to_is_declared_once():
    known: set[tuple[Any, ...]] = set()
    one, two = wide_chunk(("A", "2013-3-1", "0", "9", "NA")), wide_chunk(("A", "2013-3-1", "1", "9", "5"), ("A", "2013-3-1", "2", "9", "5"))
    first = declarations(batch_of(one, wide()), wide(), known)
    assert {(row["station"], row["property"], row["interval_s"]) for row in first} == {("A", "pm25", 3600), ("A", "wind_direction", 3600)}
    assert declarations(batch_of(two, wide()), wide(), known) == [{"station": "A", "property": "co", "interval_s": 3600}]
    assert declarations(batch_of(two, wide()), wide(), known) == []


def test_a_record_that_leaves_a_member_out_misses_that_value(tmp_path: Path):
    from ops.load.files import chunks_of

    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"a": "1"}, {"a": "2", "b": "3"}]), encoding="utf-8")
    made = mapping({"v": "b", "w": "never"})
    assert batch_of(next(chunks_of(path, made)), made).table.to_pylist() == [{"v": None, "w": None}, {"v": "3", "w": None}]
