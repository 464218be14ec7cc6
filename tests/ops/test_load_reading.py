"""How a load reads files: encodings, broken lines, line numbers, and only as much as it needs at a time."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.load import delimited
from ops.load.chunks import Chunk, Fault
from ops.load.delimited import BLOCK
from ops.load.files import chunks_of
from ops.load.mapping import CannotMap, FileMapping
from ops.load.opening import opened, survey
from ops.load.rows import batch_of
from tests.ops.load_mappings import STATED, mapping
from tests.ops.load_receiver import written

COLUMNS = {"a": "a", "b": "b"}
AHEAD = 40
"""Blocks that Arrow may read ahead of what is asked for: 32, and those in its hands."""


def named(batch: int = 5000, **file: Any) -> FileMapping:
    return mapping(COLUMNS, file=file, target={**STATED["target"], "batch": batch})


def read(path: Path, made: FileMapping) -> tuple[list[dict[str, Any]], list[int], list[Fault]]:
    """Rows, their lines, and what was set aside."""
    chunks = list(chunks_of(path, made))
    return (
        [row for chunk in chunks for row in chunk.table.to_pylist()],
        [line for chunk in chunks for line in chunk.lines.tolist()],
        [fault for chunk in chunks for fault in chunk.bad],
    )


@pytest.mark.parametrize(
    ("encoding", "text"), [("latin-1", "CAFÉ ÑANDÚ"), ("gb18030", "湘潭市岳塘区"), ("utf-8", "湘潭"), ("utf-16", "湘潭"), ("utf-8-sig", "é")]
)
def test_a_file_is_read_in_the_encoding_that_it_was_written_in(tmp_path: Path, encoding: str, text: str):
    path = written(tmp_path / "x.csv", f"a,b\r\n{text},1\r\n", encoding)
    assert read(path, named(encoding=encoding))[0] == [{"a": text, "b": "1"}]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path):
    assert read(written(tmp_path / "x.csv", "a,b\n1,2\n", "utf-8-sig"), named())[0] == [{"a": "1", "b": "2"}]


def test_a_line_that_is_not_in_the_encoding_is_rejected_and_the_others_are_not(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes("a,b\nfine,1\nCAFÉ,2\nfine,3\n".encode("latin-1"))
    made = named()
    batch = batch_of(next(chunks_of(path, made)), made)
    assert [(fault.line, fault.code) for fault, _ in batch.rejected] == [(3, "undecodable")]
    assert batch.lines.tolist() == [2, 4]


def test_broken_bytes_in_a_column_that_nobody_uses_do_no_harm(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b,c\n1,2,\xff\n")
    made = named()
    assert len(batch_of(next(chunks_of(path, made)), made)) == 1


def test_a_line_with_another_number_of_columns_is_set_aside_with_its_number(tmp_path: Path):
    rows, lines, bad = read(written(tmp_path / "x.csv", "a,b\n1,2\n3\n4,5\n6,7,8\n9,9\n10\n"), named())
    assert [row["a"] for row in rows] == ["1", "4", "9"]
    assert lines == [2, 4, 6]
    assert [(fault.line, fault.code) for fault in bad] == [(3, "wrong-number-of-columns"), (5, "wrong-number-of-columns"), (7, "wrong-number-of-columns")]


def test_lines_are_those_of_the_file_though_values_hold_line_ends(tmp_path: Path):
    rows, lines, bad = read(written(tmp_path / "x.csv", 'a,b\n"1\n\n1",2\n\n"3\n3"\n4,"5\n"\n6,7\n'), named())
    assert [row["a"] for row in rows] == ["1\n\n1", "4", "6"]
    assert lines == [2, 8, 10]
    assert [fault.line for fault in bad] == [6]


def test_lines_without_text_are_counted_and_are_no_rows(tmp_path: Path):
    chunks = list(chunks_of(written(tmp_path / "x.csv", "a,b\n\n1,2\n,\n\n"), named()))
    assert sum(len(chunk) for chunk in chunks) == 1
    assert sum(chunk.blank for chunk in chunks) == 3


def test_batches_have_the_same_lines_at_every_attempt(tmp_path: Path):
    text = "a,b\n" + "".join(f"{number},{'x' * 300}\n" for number in range(10_000))
    path = written(tmp_path / "x.csv.gz", text)
    assert len(text) > 2 * BLOCK
    first, again = ([chunk.lines.tolist() for chunk in chunks_of(path, named(batch=3000))] for _ in range(2))
    assert [len(lines) for lines in first] == [3000, 3000, 3000, 1000]
    assert first == again
    assert [line for lines in first for line in lines] == list(range(2, 10_002))


def test_a_file_is_read_only_as_far_as_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "a,b\n" + "".join(f"{number},{'x' * 300}\n" for number in range(50_000))
    path = written(tmp_path / "x.csv", text)
    read_so_far = 0

    class Counting(io.BufferedReader):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal read_so_far
            piece = super().read(size)
            read_so_far += len(piece)
            return piece

    block = 64 << 10
    monkeypatch.setattr(delimited, "BLOCK", block)
    monkeypatch.setattr(delimited, "opened", lambda path, encoding: Counting(opened(path, encoding).detach()))
    chunks: Iterator[Chunk] = chunks_of(path, named(batch=100))
    next(chunks)
    assert 0 < read_so_far <= AHEAD * block < len(text) / 4


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_any_delimiter_will_do(tmp_path: Path, delimiter: str):
    path = written(tmp_path / "x.txt", f"a{delimiter}b\n1,5{delimiter}2\n")
    assert read(path, named(delimiter=delimiter))[0] == [{"a": "1,5", "b": "2"}]


def test_a_missing_column_is_named_before_anything_is_sent(tmp_path: Path):
    with pytest.raises(CannotMap, match=r"no column 'b'. Did you mean 'bb'\? It has a, bb"):
        next(chunks_of(written(tmp_path / "x.csv", "a,bb\n1,2\n"), named()))


@pytest.mark.parametrize(("text", "says"), [("", "is empty"), ("a,b,a\n1,2,3\n", "column 'a' twice")])
def test_a_file_without_a_proper_header_is_refused(tmp_path: Path, text: str, says: str):
    with pytest.raises(CannotMap, match=says):
        next(chunks_of(written(tmp_path / "x.csv", text), named()))


def test_files_that_cannot_be_read_say_so(tmp_path: Path):
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:-200])
    for path, says in ((tmp_path / "none.csv", "no file"), (cut, "cannot be read"), (tmp_path, "cannot be read|does not tell")):
        with pytest.raises(CannotMap, match=says):
            list(chunks_of(path, named()))
    with pytest.raises(CannotMap, match="cannot be read"):
        survey(cut)


def test_a_quote_that_never_closes_is_refused_instead_of_swallowing_the_file(tmp_path: Path):
    with pytest.raises(CannotMap, match="cannot be read"):
        list(chunks_of(written(tmp_path / "x.csv", 'a,b\n"1,2\n' + "3,4\n" * 1_000_000), named()))


def test_ndjson_is_read_line_by_line_and_a_broken_line_is_set_aside(tmp_path: Path):
    text = '{"a": 1, "b": null}\n\n{"a": {"x": {"y": true}}, "b": [1, 2]}\n{broken\n7\n{"b": 2.50}\n'
    rows, lines, bad = read(written(tmp_path / "x.ndjson", text), named())
    assert [{name: value for name, value in row.items() if value is not None} for row in rows] == [{"a": "1"}, {"a.x.y": "true", "b": "[1,2]"}, {"b": "2.5"}]
    assert lines == [1, 3, 6]
    assert sorted((fault.line, fault.code) for fault in bad) == [(4, "invalid-json"), (5, "not-an-object")]


def test_an_array_of_objects_is_read_with_its_records_numbered(tmp_path: Path):
    rows, lines, bad = read(written(tmp_path / "x.json", json.dumps([{"a": "x"}, 3, {"b": "y"}])), named())
    assert rows == [{"a": "x", "b": None}, {"a": None, "b": "y"}]
    assert lines == [1, 3]
    assert [(fault.line, fault.code) for fault in bad] == [(2, "not-an-object")]


def test_geojson_gives_properties_and_the_geometry_as_json(tmp_path: Path):
    shape = {"type": "Point", "coordinates": [1, 2]}
    features = [{"type": "Feature", "id": 7, "properties": {"a": "x"}, "geometry": shape}, {"type": "Feature", "properties": None, "geometry": None}]
    rows, _, _ = read(written(tmp_path / "x.geojson", json.dumps({"type": "FeatureCollection", "features": features})), named())
    assert rows[0]["id"] == "7"
    assert rows[0]["a"] == "x"
    assert json.loads(rows[0]["geometry"]) == shape
    assert rows[1]["geometry"] is None


@pytest.mark.parametrize(("name", "text"), [("x.json", "[1, 2"), ("x.json", "{}"), ("x.geojson", "[]"), ("x.geojson", '{"features": []}')])
def test_json_of_another_shape_is_refused(tmp_path: Path, name: str, text: str):
    with pytest.raises(CannotMap):
        list(chunks_of(written(tmp_path / name, text), named()))


def test_the_name_tells_the_format_unless_the_mapping_does(tmp_path: Path):
    path = written(tmp_path / "export.dat", "a,b\n1,2\n")
    with pytest.raises(CannotMap, match="does not tell its format"):
        next(chunks_of(path, named()))
    assert read(path, named(format="csv"))[0] == [{"a": "1", "b": "2"}]


def test_a_survey_knows_the_file_by_its_bytes(tmp_path: Path):
    one, other = written(tmp_path / "x.csv.gz", "a,b\n1,2\n"), written(tmp_path / "y.csv", "a,b\n1,3\n")
    assert (survey(one).lines, survey(other).lines) == (2, 2)
    assert survey(one).digest != survey(other).digest
