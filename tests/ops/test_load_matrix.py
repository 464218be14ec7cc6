"""Square matrices without a header: another file names their lines and columns, and what it says must fit before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.load.engine import Load
from ops.load.files import chunks_of, fitted
from ops.load.mapping import CannotMap, FileMapping
from ops.load.preview import preview
from ops.load.rows import batch_of
from ops.load.sending import Sender
from tests.ops.load_mappings import STATED, mapping
from tests.ops.load_receiver import receiving, taken, written

WIDE = {"columns": ".+", "name": "to", "prefix": "d-", "into": "weight", "missing": ["0"]}
NAMES = "place,code\n0,a\n1,b\n2,c\n"


def weights(**matrix: Any) -> FileMapping:
    target = {**STATED["target"], "batch": 5}
    return mapping({"from": {"template": "d-{line}"}}, wide=WIDE, matrix={"file": "names.csv", "column": "code", **matrix}, target=target)


def both(folder: Path, cells: str, names: str | None = NAMES, encoding: str = "utf-8") -> Path:
    if names is not None:
        written(folder / "names.csv", names)
    return written(folder / "cells.csv", cells, encoding)


def read(path: Path, made: FileMapping) -> list[tuple[str, str, float, int]]:
    """From, to, weight and line of every row."""
    own = fitted(path, made)
    batches = [batch_of(chunk, own) for chunk in chunks_of(path, own)]
    found = [(row["from"], row["to"], row["weight"], int(line)) for each in batches for row, line in zip(each.table.to_pylist(), each.lines, strict=True)]
    return sorted(found)


def test_every_cell_is_a_row_named_by_its_line_and_its_column_whatever_the_batch(tmp_path: Path):
    path = both(tmp_path, "1,0,0.5\n0,1,0\n0.25,,1\n")
    assert weights().target.batch // 3 == 1  # a line is a batch, so names must not begin anew with each
    assert read(path, weights()) == [("d-a", "d-a", 1, 1), ("d-a", "d-c", 0.5, 1), ("d-b", "d-b", 1, 2), ("d-c", "d-a", 0.25, 3), ("d-c", "d-c", 1, 3)]


@pytest.mark.parametrize(("text", "encoding"), [("1,0,0\r\n\r\n0,2,0\r\n0,0,3", "utf-8-sig"), ("\n1,0,0\n0,2,0\n\n0,0,3\n\n", "utf-16")])
def test_lines_without_text_take_no_name_away(tmp_path: Path, text: str, encoding: str):
    made = weights().model_copy(update={"file": weights().file.model_copy(update={"encoding": encoding})})
    found = read(both(tmp_path, text, encoding=encoding), made)
    assert [(start, end, value) for start, end, value, _ in found] == [("d-a", "d-a", 1), ("d-b", "d-b", 2), ("d-c", "d-c", 3)]


def test_a_broken_line_costs_its_own_cells_and_the_others_keep_their_names(tmp_path: Path):
    path = both(tmp_path, "1,0,0\n0,1\n0,x,0.5\n")
    own = fitted(path, weights())
    batches = [batch_of(chunk, own) for chunk in chunks_of(path, own)]
    rejected = [(fault.line, fault.code, cost) for each in batches for fault, cost in each.rejected]
    assert sorted(rejected) == [(2, "wrong-number-of-columns", 3), (3, "not-a-number", 1)]
    assert [row for each in batches for row in each.table.to_pylist()] == [
        {"from": "d-a", "weight": 1.0, "to": "d-a"},
        {"from": "d-c", "weight": 0.5, "to": "d-c"},
    ]


def test_the_account_closes_over_every_cell_and_answers_say_which_cell_was_meant(tmp_path: Path):
    path = both(tmp_path, "1,0,0.5\n0,1,0\n0.25,bad,1\n")

    def behave(received: Any) -> dict[str, Any]:
        answer = taken(received)
        refused = [place for place, row in enumerate(received.rows) if row["to"] == "d-a" and row["from"] == "d-c"]
        errors = [{"row": place, "pointer": f"/{place}/to", "code": "unknown", "detail": "nobody"} for place in refused]
        return answer | {"taken": answer["taken"] - len(refused), "rejected": len(refused), "errors": errors}

    with receiving() as receiver:
        receiver.behave = behave
        report = Load(weights(), Sender(receiver.city("food"), "food")).run([path])
    [tally] = report.files
    assert (report.stopped, tally.lines, tally.values_per_line, tally.empty, tally.unsent) == (None, 3, 3, 3, 0)
    assert tally.counts == {"taken": 4, "corrected": 0, "duplicates": 0, "rejected": 2}
    assert tally.lines * tally.values_per_line == tally.empty + tally.rows
    examples = {code: reason.examples[0] for _, code, reason in tally.by_rows}
    assert {code: (each["line"], each.get("column")) for code, each in examples.items()} == {"unknown": (3, "a"), "not-a-number": (3, None)}


@pytest.mark.parametrize(
    ("cells", "names", "says"),
    [
        ("1,0\n0,1\n", None, "names.csv is missing. Put it there"),
        ("1,0\n0,1\n", "code\na\nb\nc\n", "has 2 lines, and .*names.csv has names for 3"),
        ("1,0,0\n0,1,0\n", "code\na\nb\n", "has 3 columns, and .* has names for 2"),
        ("1,0\n0,1\n0,0\n", "code\na\nb\n", "has 3 lines, and .* has names for 2"),
        ("", "code\na\n", "has 0 lines"),
        ("1,0\n0,1\n", "cod\na\nb\n", "no column 'code'. Did you mean 'cod'"),
        ("1,0\n0,1\n", "code\na\na\n", "has 'a' twice"),
        ("1,0\n0,1\n", 'n,code\n1,a\n2,""\n', "lacks a name"),
        ("1\n", "code\n", "is empty"),
        ("1,0\n0,1\n", "n,code\n1,a\n2\n", "its line 3 is broken"),
        ("1,0\n0,1\n", "code\na\nline\n", "Say another in"),
    ],
)
def test_names_that_do_not_fit_are_told_before_anything_is_sent(tmp_path: Path, cells: str, names: str | None, says: str):
    path = both(tmp_path, cells, names)
    with pytest.raises(CannotMap, match=says):
        preview([path], weights())
    with receiving() as receiver:
        report = Load(weights(), Sender(receiver.city("food"), "food")).run([path])
    assert report.stopped
    assert receiver.batches == []


def test_a_line_goes_by_another_name_if_a_column_has_that_one(tmp_path: Path):
    made = weights(line="row").model_copy(update={"columns": mapping({"from": "row"}).columns})
    assert read(both(tmp_path, "1,0\n0,1\n", "code\na\nline\n"), made) == [("a", "d-a", 1, 1), ("line", "d-line", 1, 2)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"wide": None}, r"needs \[wide\]"),
        ({"matrix": {"file": "../names.csv", "column": "code"}}, "matrix.file"),
        ({"columns": {"time": {"steps": {"first": "2012-03-01T00:00", "every_s": 300}}}}, "which a matrix has not"),
    ],
)
def test_a_matrix_that_cannot_be_is_refused(change: dict[str, Any], says: str):
    stated: dict[str, Any] = {"columns": {"from": "line"}, "wide": WIDE, "matrix": {"file": "names.csv", "column": "code"}} | change
    with pytest.raises(ValueError, match=says):
        mapping(**stated)


def test_a_column_that_neither_the_names_nor_the_lines_have_is_told(tmp_path: Path):
    made = weights().model_copy(update={"columns": mapping({"from": "lien"}).columns})
    with pytest.raises(CannotMap, match=r"no column 'lien'\. A line's name is 'line', and its columns are a, b"):
        read(both(tmp_path, "1,0\n0,1\n", "code\na\nb\n"), made)


def test_zero_is_a_value_unless_the_mapping_says_that_it_is_none(tmp_path: Path):
    path = both(tmp_path, "1,0\n0,1\n", "code\na\nb\n")
    plain = weights().model_copy(update={"wide": weights().wide.model_copy(update={"missing": ()})})  # type: ignore[union-attr]
    assert [value for _, _, value, _ in read(path, plain)] == [1, 0, 0, 1]
