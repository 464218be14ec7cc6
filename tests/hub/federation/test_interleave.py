"""Sorted streams as one, and Arrow from the wire: pure checks without a server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.hub.federation.arrivals import Arrival
from services.hub.federation.domain import SourceUnsound
from services.hub.federation.interleave import Run, interleave
from shared.source_failures import SourceFailure

NUMBERS = st.one_of(st.none(), st.sampled_from([0.5, -1.25, 0.0, float("inf"), float("-inf"), math.nan]))
TEXTS = st.one_of(st.none(), st.text(alphabet="abéA中\U0001f525", max_size=2), st.just("x" * 200 + "b"), st.just("x" * 200 + "a"))
Row = tuple[Any, Any, str]
SCHEMA = pa.schema({"number": pa.float64(), "text": pa.string(), "id": pa.string()})


def ordered(rows: list[Row], down: tuple[bool, bool]) -> list[Row]:
    """By the plainest means: stable sorts from the last level to the first; nulls last, NaN above all, texts by their first characters."""
    found = sorted(rows, key=lambda row: row[2])
    for level, value in ((1, lambda row: row[1][:200]), (0, lambda row: (math.isnan(row[0]), 0 if math.isnan(row[0]) else row[0]))):
        some = [row for row in found if row[level] is not None]
        some.sort(key=value, reverse=down[level])
        found = some + [row for row in found if row[level] is None]
    return found


async def batches(rows: list[Row], size: int) -> AsyncIterator[pa.RecordBatch]:
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield pa.RecordBatch.from_arrays([pa.array(column, field.type) for column, field in zip(zip(*part, strict=True), SCHEMA, strict=True)], schema=SCHEMA)


async def merged(sources: list[list[Row]], size: int, down: tuple[bool, bool]) -> tuple[list[str], list[int], list[tuple[int, SourceFailure]]]:
    failures: list[tuple[int, SourceFailure]] = []
    runs = [Run(number, f"s{number}", batches(rows, size)) for number, rows in enumerate(sources)]
    ids, owners = [], []
    async for batch, whose in interleave(runs, [("number", down[0]), ("text", down[1])], lambda number, failure: failures.append((number, failure))):
        ids += batch["id"].to_pylist()
        owners += whose.tolist()
    return ids, owners, failures


@given(
    sources=st.lists(st.lists(st.tuples(NUMBERS, TEXTS), max_size=12), min_size=1, max_size=4),
    down=st.tuples(st.booleans(), st.booleans()),
    size=st.integers(1, 5),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_streams_of_any_batches_come_in_the_order_of_the_whole(sources: list[list[tuple[Any, Any]]], down: tuple[bool, bool], size: int) -> None:
    named = [[(*row, f"s{number} {place:03d}") for place, row in enumerate(rows)] for number, rows in enumerate(sources)]
    ids, owners, failures = asyncio.run(merged([ordered(rows, down) for rows in named], size, down))
    assert ids == [row[2] for row in ordered([row for rows in named for row in rows], down)]
    assert [f"s{owner}" for owner in owners] == [name.split()[0] for name in ids]
    assert failures == []


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_source_out_of_order_is_named_and_the_others_stay_whole(size: int) -> None:
    wrong: list[Row] = [(1.0, "a", "w1"), (5.0, "a", "w2"), (2.0, "a", "w3"), (9.0, "a", "w4")]
    right: list[Row] = [(float(number), "a", f"r{number}") for number in range(9)]
    ids, _, failures = asyncio.run(merged([wrong, right], size, (False, False)))
    assert [name for name in ids if name[0] == "r"] == [row[2] for row in right]
    assert [number for number, _ in failures] == [0]
    assert "w3" not in ids and "w4" not in ids


def whole(metadata: bytes = b'{"numberReturned":3}') -> bytes:
    sink = pa.BufferOutputStream()
    schema = pa.schema({"id": pa.string(), "units": pa.int64()}).with_metadata({"liandong": b'{"timeStamp":"2026-11-22T08:00:00Z"}'})
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pydict({"id": ["a", "b"], "units": [1, 2]}, schema=schema))
        writer.write_batch(pa.RecordBatch.from_pydict({"id": ["c"], "units": [None]}, schema=schema))
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=schema), custom_metadata={"liandong": metadata})
    return bytes(sink.getvalue())


async def arrive(content: bytes, expected: pa.Schema | None = None, size: int = 7) -> list[dict[str, Any]]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            yield content[start : start + size]

    arrival = Arrival("430300/fire", pieces(), expected or pa.schema({"id": pa.string(), "units": pa.int64()}))
    await arrival.begin()
    return [row async for batch in arrival.batches() for row in batch.to_pylist()]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_rows_arrive_from_pieces_of_any_size(size: int) -> None:
    rows = asyncio.run(arrive(whole(), size=size))
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    more = asyncio.run(arrive(whole(), pa.schema({"units": pa.int64(), "kind": pa.string()})))
    assert more[0] == {"units": 1, "kind": None}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        whole()[:-8],
        whole()[: len(whole()) // 2],
        whole(b"{}"),
        whole(b'{"numberReturned":2}'),
        whole(b"[1]"),
        b"\xff\xff\xff\xff" + (2**30).to_bytes(4, "little") + b"x" * 100,
        b"\xff\xff\xff\xff" + (16).to_bytes(4, "little") + b"\xff" * 16,
    ],
)
def test_what_is_not_a_whole_stream_is_not_believed(content: bytes) -> None:
    with pytest.raises(SourceUnsound):
        asyncio.run(arrive(content))


def test_other_types_and_compressed_bodies_are_refused() -> None:
    with pytest.raises(SourceUnsound, match="units as int64"):
        asyncio.run(arrive(whole(), pa.schema({"id": pa.string(), "units": pa.float64()})))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema({"id": pa.string()}), options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(pa.RecordBatch.from_pydict({"id": ["a" * 1000] * 100}))
    with pytest.raises(SourceUnsound):
        asyncio.run(arrive(bytes(sink.getvalue())))


@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_changed_byte_ends_in_rows_or_in_a_named_failure(position: int, value: int) -> None:
    content = bytearray(whole())
    content[position % len(content)] = value
    try:
        rows = asyncio.run(arrive(bytes(content)))
    except SourceUnsound:
        return
    assert len(rows) <= 3
