"""Streams of rows as Arrow, CSV and GeoJSON: piece by piece, with what can be told only at the end at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from shared.datasets.formats import Form, as_csv, encode_json, moments_as_text, swap

END_MARK = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The end of an Arrow stream; one without it was broken off (Arrow columnar format, IPC streaming format)."""


def _nothing(_: int) -> Mapping[str, Any]:
    return {}


@dataclass(slots=True)
class Stream:
    """Rows on their way, and what is said of them."""

    schema: pa.Schema
    batches: AsyncIterator[pa.RecordBatch]
    about: Mapping[str, Any]
    """What is known at the beginning: dataset, timeStamp, known_at."""
    ending: Callable[[int], Mapping[str, Any]] = field(default=_nothing)
    """What is known once all rows have passed, the number of which is given: coverage."""


def encoded(stream: Stream, form: Form, *, swapped: bool = False) -> AsyncIterator[bytes]:
    """The stream in its form. GeoJSON is made of rows in the shape `features`."""
    if form == "arrow":
        return _arrow(stream)
    return _csv(stream) if form == "csv" else _geojson(stream, swapped)


@asynccontextmanager
async def closed(rows: AsyncIterator[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """Afterwards what makes the rows has let go of all that it held, wherever it stood."""
    try:
        yield rows
    finally:
        if isinstance(rows, AsyncGenerator):
            await rows.aclose()


async def _arrow(stream: Stream) -> AsyncGenerator[bytes]:
    """The rows' batches, then an empty one whose custom metadata say under `liandong` what is known at the end, then the end mark."""
    schema = stream.schema.with_metadata({"liandong": encode_json(stream.about)})
    rows = 0
    yield _framed(schema)[: -len(END_MARK)]
    async with closed(stream.batches) as batches:
        async for batch in batches:
            rows += batch.num_rows
            if batch.num_rows:
                yield batch.serialize().to_pybytes()
    last = {"numberReturned": rows, **stream.ending(rows)}
    yield _framed(schema, encode_json(last))[len(_framed(schema)) - len(END_MARK) :]


def _framed(schema: pa.Schema, last: bytes | None = None) -> bytes:
    """A whole stream without rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        if last is not None:
            writer.write_batch(pa.RecordBatch.from_pylist([], schema=schema), custom_metadata={"liandong": last})
    return bytes(sink.getvalue())


async def _csv(stream: Stream) -> AsyncGenerator[bytes]:
    """A table has no place for what is known at the end: whoever cuts a stream off shows by that alone that rows are missing."""
    yield as_csv(stream.schema.empty_table())
    rows = 0
    async with closed(stream.batches) as batches:
        async for batch in batches:
            rows += batch.num_rows
            if batch.num_rows:
                yield await asyncio.to_thread(as_csv, pa.Table.from_batches([batch]), header=False)
    stream.ending(rows)


async def _geojson(stream: Stream, swapped: bool) -> AsyncGenerator[bytes]:
    """One FeatureCollection: the features first, then the members that are known at the end."""
    yield b'{"type":"FeatureCollection","features":['
    rows = 0
    async with closed(stream.batches) as batches:
        async for batch in batches:
            if batch.num_rows:
                part = await asyncio.to_thread(_features, batch, swapped)
                yield b"," + part if rows else part
                rows += batch.num_rows
    last = {**stream.about, "numberReturned": rows, **stream.ending(rows)}
    yield b"]," + encode_json(last)[1:]


def _features(batch: pa.RecordBatch, swapped: bool) -> bytes:
    """The features of a batch in the shape `features`, separated by commas."""
    ids, *rest = batch.columns
    names = batch.schema.names[1:]
    places = [(name, column) for name, column in zip(names, rest, strict=True) if name in ("_lon", "_lat", "_geometry")]
    fields = [(name, column) for name, column in zip(names, rest, strict=True) if name not in ("_lon", "_lat", "_geometry")]
    geometries = _geometries([column for _, column in places], batch.num_rows, swapped)
    values = zip(*(_values(column) for _, column in fields), strict=True) if fields else iter([()] * batch.num_rows)
    named = [name for name, _ in fields]
    features = [
        {"type": "Feature", "id": feature_id, "geometry": geometry, "properties": dict(zip(named, row, strict=True))}
        for feature_id, geometry, row in zip(ids.to_pylist(), geometries, values, strict=True)
    ]
    return encode_json(features)[1:-1]


def _values(column: pa.Array) -> list[Any]:
    values: list[Any] = (moments_as_text(column) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return values


def _geometries(places: Sequence[pa.Array], rows: int, swapped: bool) -> list[Any]:
    if not places:
        return [None] * rows
    if len(places) == 1:
        texts = places[0].to_pylist()
        return [None if text is None else swap(orjson.loads(text)) if swapped else orjson.Fragment(text) for text in texts]
    lons, lats = (part.to_pylist() for part in places)
    pairs = zip(lats, lons, strict=True) if swapped else zip(lons, lats, strict=True)
    return [None if first is None or second is None else {"type": "Point", "coordinates": (first, second)} for first, second in pairs]
