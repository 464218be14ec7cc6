"""Bodies of bulk loads: four formats, bounds, and everything that can be broken about them."""

from __future__ import annotations

import gzip
import io
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from shared.batches import Rejections
from shared.body import Body, Rows, rows_of
from shared.body.reading import MEMBERS, inflate
from shared.body.rows import ROWS
from shared.body.typed import microseconds, moments, numbers, texts
from shared.errors import BodyTooLarge, InvalidBody

NAMES = ("station", "time", "value")
MIB = 1 << 20


def parsed(media_type: str, content: bytes) -> Rows:
    return rows_of(Body(content, media_type, b""), NAMES)


def as_json(content: Any) -> Rows:
    return parsed("application/json", content if isinstance(content, bytes) else json.dumps(content).encode())


def as_csv(content: str) -> Rows:
    return parsed("text/csv", content.encode())


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def as_arrow(table: pa.Table, **options: Any) -> Rows:
    return parsed("application/vnd.apache.arrow.stream", stream(table, **options))


def errors_of(rows: Rows, read: Callable[[Rows, str, Rejections], Any], name: str) -> list[tuple[int, str]]:
    rejections = Rejections(rows.numbers)
    read(rows, name, rejections)
    return sorted((error.row, error.code) for error in rejections.errors)


# gzip


def test_gzip_in_several_members_is_one_body() -> None:
    assert inflate(gzip.compress(b"ab") + gzip.compress(b"cd"), 100) == b"abcd"


def test_a_gzip_bomb_is_refused_without_being_inflated() -> None:
    bomb = gzip.compress(b"0" * (200 * MIB))
    assert len(bomb) < MIB
    with pytest.raises(BodyTooLarge, match="more than 1048576 bytes"):
        inflate(bomb, MIB)


def test_a_bomb_of_many_members_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        inflate(gzip.compress(b"0" * MIB) * MEMBERS, 4 * MIB)
    with pytest.raises(InvalidBody, match="members"):
        inflate(gzip.compress(b"") * 100_000, MIB)


@pytest.mark.parametrize("broken", [gzip.compress(b"0123456789", mtime=0)[:-9], b"", b"not gzip", gzip.compress(b"0123456789", mtime=0)[:-4] + b"xxxx"])
def test_broken_or_truncated_gzip_is_an_invalid_body(broken: bytes) -> None:
    with pytest.raises(InvalidBody):
        inflate(broken, MIB)


# JSON and NDJSON


def test_rows_of_json_keep_their_order_and_values() -> None:
    rows = as_json([{"station": "A", "value": 1}, {"value": 2.5, "station": "B"}, {"station": None}])
    assert rows.dicts() == [{"station": "A", "value": 1}, {"value": 2.5, "station": "B"}, {}]


@pytest.mark.parametrize("content", [b"", b"{", b"[1,", b"[]]", b'{"station": "A"}', b"nul", b'[{"value": 1e}]', b"[" * 100_000])
def test_what_is_not_a_json_array_is_an_invalid_body(content: bytes) -> None:
    with pytest.raises(InvalidBody):
        as_json(content)


def test_broken_utf8_is_refused_with_its_place() -> None:
    for media_type in ("application/json", "application/x-ndjson", "text/csv"):
        with pytest.raises(InvalidBody, match="byte 13 "):
            parsed(media_type, b'[{"station": \xff')


def test_an_unknown_column_is_refused_and_named() -> None:
    with pytest.raises(InvalidBody, match="'units'"):
        as_json([{"station": "A", "units": "mg/m3"}])
    with pytest.raises(InvalidBody, match="'units'"):
        as_json([{"station": "A"}, {"station": "A", "units": "mg/m3"}])
    with pytest.raises(InvalidBody, match="'units'"):
        as_csv("station,units\nA,mg/m3\n")


@pytest.mark.parametrize("content", [b"[{}]", b"[{}, {}, 7]"])
def test_rows_without_members_are_rows(content: bytes) -> None:
    rows = as_json(content)
    assert rows.dicts() == [{}] * len(rows) != []


def test_a_row_that_is_no_object_is_rejected_alone() -> None:
    rows = as_json([{"station": "A"}, 7, [], {"station": "B"}])
    assert rows.numbers.tolist() == [0, 3]
    assert [(error.row, error.code) for error in rows.unreadable] == [(1, "not-an-object"), (2, "not-an-object")]


def test_nan_and_infinity_of_lenient_writers_reject_their_rows() -> None:
    rows = as_json([{"value": 1.0}, {"value": float("nan")}, {"value": float("-inf")}, {"value": 10**400}])
    assert errors_of(rows, numbers, "value") == [(1, "not-finite"), (2, "not-finite"), (3, "not-finite")]


def test_half_a_surrogate_pair_never_becomes_text() -> None:
    with pytest.raises(InvalidBody):
        as_json(b'[{"station": "\\ud800", "value": NaN}]')


def test_a_broken_line_of_ndjson_is_rejected_alone() -> None:
    rows = parsed("application/x-ndjson", b'{"station": "A"}\n\n{"station": \n{"station": "B"}\r\n')
    assert rows.dicts() == [{"station": "A"}, {"station": "B"}]
    assert rows.numbers.tolist() == [0, 2]
    assert [(error.row, error.code) for error in rows.unreadable] == [(1, "invalid-json")]


def test_two_objects_on_one_line_are_no_row() -> None:
    rows = parsed("application/x-ndjson", b'{"station": "A"},{"station": "B"}\n{"station": "C"}')
    assert rows.dicts() == [{"station": "C"}]


@pytest.mark.parametrize("content", [b"[" + b"{}," * ROWS + b"{}]", b"[[],[],[]" + b",[]" * 100_000 + b"]", b"[0" + b",0" * MIB + b"]"])
def test_json_that_would_swell_in_memory_is_refused_before_it_is_parsed(content: bytes) -> None:
    with pytest.raises((BodyTooLarge, InvalidBody)):
        as_json(content)


# CSV


def test_csv_may_have_a_byte_order_mark_quotes_and_empty_fields() -> None:
    rows = as_csv('\ufeffstation,value\r\n"A, b",1\r\n\r\nC,\r\n')
    assert rows.dicts() == [{"station": "A, b", "value": "1"}, {"station": "C"}]


def test_a_ragged_line_of_csv_is_rejected_with_its_number() -> None:
    rows = as_csv("station,value\nA,1\nB\nC,3,4\nD,4\n")
    assert rows.numbers.tolist() == [0, 3]
    assert [(error.row, error.code) for error in rows.unreadable] == [(1, "wrong-number-of-columns"), (2, "wrong-number-of-columns")]


@pytest.mark.parametrize("content", ["", "\n", "," * 100, "station,station\nA,B\n"])
def test_broken_csv_is_an_invalid_body(content: str) -> None:
    with pytest.raises(InvalidBody):
        as_csv(content)


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(BodyTooLarge):
        as_csv("value\n" + "1\n" * (ROWS + 1))


# Arrow


def test_arrow_columns_are_read_whatever_their_width() -> None:
    table = pa.table({"station": pa.array(["A", "B", None]).dictionary_encode(), "value": pa.array([1, 2, 3], pa.int8())})
    rows = as_arrow(table)
    assert rows.dicts() == [{"station": "A", "value": 1}, {"station": "B", "value": 2}, {"value": 3}]
    assert errors_of(rows, texts, "station") == [(2, "missing")]


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_arrow_buffers_are_refused(codec: str) -> None:
    with pytest.raises(InvalidBody, match="compressed"):
        as_arrow(pa.table({"value": np.zeros(10_000)}), compression=codec)


def test_compressed_dictionaries_are_refused() -> None:
    table = pa.table({"station": pa.array(["x" * 1000] * 10).dictionary_encode()})
    with pytest.raises(InvalidBody, match="compressed"):
        as_arrow(table, compression="zstd")


@pytest.mark.parametrize(
    "column", [pa.nulls(ROWS + 1), pa.array([[1.0]]), pa.array([{"a": 1}]), pa.array([b"A"]), pa.RunEndEncodedArray.from_arrays([10**6], pa.array([1.0]))]
)
def test_arrow_types_that_could_hide_more_than_they_show_are_refused(column: pa.Array) -> None:
    with pytest.raises((BodyTooLarge, InvalidBody)):
        as_arrow(pa.table({"value": column}))


def test_no_mutilation_of_an_arrow_stream_does_more_than_an_invalid_body() -> None:
    whole = stream(pa.table({"station": ["A", "B"], "value": [1.0, 2.0]}))
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(3000):
        broken = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, len(broken), rng.integers(1, 4)):
            broken[place] = rng.integers(0, 256)
        try:
            rows = parsed("application/vnd.apache.arrow.stream", bytes(broken))
            numbers(rows, "value", Rejections(rows.numbers))
        except (InvalidBody, BodyTooLarge):
            refused += 1
    assert refused > 500


def test_a_stream_that_claims_a_huge_length_is_refused() -> None:
    whole = bytearray(stream(pa.table({"value": [1.0, 2.0]})))
    place = whole.rindex(struct.pack("<q", 2))
    whole[place : place + 8] = struct.pack("<q", 1 << 60)
    with pytest.raises((InvalidBody, BodyTooLarge)):
        parsed("application/vnd.apache.arrow.stream", bytes(whole))


# typed columns

NOON = microseconds(datetime(2026, 11, 22, 4, tzinfo=UTC))


@pytest.mark.parametrize("text", ["2026-11-22T12:00:00+08:00", "2026-11-22T04:00:00Z", "2026-11-22 04:00:00.000000+00:00", "2026-11-22t04:00:00z"])
def test_times_with_a_zone_are_moments(text: str) -> None:
    rows = as_json([{"time": text}])
    assert moments(rows, "time", Rejections(rows.numbers)).tolist() == [NOON]


def test_each_wrong_time_rejects_its_row_with_its_own_reason() -> None:
    rows = as_json([{"time": value} for value in ("2026-11-22T04:00:00Z", "2026-11-22T12:00:00", "yesterday", 1795334400, "2026-13-01T00:00:00Z", None)])
    assert errors_of(rows, moments, "time") == [(1, "time-without-zone"), (2, "not-a-time"), (3, "not-a-time"), (4, "not-a-time"), (5, "missing")]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_arrow_timestamps_of_all_units_are_moments(unit: str) -> None:
    rows = as_arrow(pa.table({"time": pa.array([datetime(2026, 11, 22, 4, tzinfo=UTC), None], pa.timestamp(unit, "Asia/Shanghai"))}))
    rejections = Rejections(rows.numbers)
    assert moments(rows, "time", rejections)[0] == NOON
    assert [(error.row, error.code) for error in rejections.errors] == [(1, "missing")]


def test_arrow_timestamps_without_zone_are_rejected() -> None:
    rows = as_arrow(pa.table({"time": pa.array([0], pa.timestamp("us"))}))
    assert errors_of(rows, moments, "time") == [(0, "time-without-zone")]


def test_numbers_are_numbers_and_csv_texts_of_numbers() -> None:
    rows = as_json(b'[{"value": 1}, {"value": 2.5}, {"value": "3"}, {"value": true}, {"value": []}, {"value": null}]')
    assert errors_of(rows, numbers, "value") == [(3, "not-a-number"), (4, "not-a-number"), (5, "missing")]
    rows = as_csv("value\n1e3\n x\n-0.5\n")
    found = numbers(rows, "value", Rejections(rows.numbers))
    assert found[[0, 2]].tolist() == [1000, -0.5]
    assert errors_of(rows, numbers, "value") == [(1, "not-a-number")]


def test_a_long_text_repeated_by_a_dictionary_is_neither_copied_nor_parsed() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(ROWS, dtype=np.int32)), pa.array(["9" * MIB]))
    rows = as_arrow(pa.table({"value": column, "time": column, "station": column}))
    assert len(errors_of(rows, numbers, "value")) == 100
    assert len(errors_of(rows, moments, "time")) == 100
    assert len(texts(rows, "station", Rejections(rows.numbers)).values) == 1


def test_texts_are_coded_by_value() -> None:
    rows = as_json(orjson.dumps([{"station": name} for name in ("A", "B", "A")] + [{"station": None}, {"station": 5}]))
    rejections = Rejections(rows.numbers)
    found = texts(rows, "station", rejections)
    assert [found.values[code] if code >= 0 else None for code in found.codes.tolist()] == ["A", "B", "A", None, None]
    assert [(error.row, error.code) for error in rejections.errors] == [(4, "not-a-text"), (3, "missing")]
