"""Turns a chunk of a file into the rows of a batch, long or wide, and its body as it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from ops.load.chunks import Chunk, Fault, Lines
from ops.load.columns import Faults, Maker, cell_value
from ops.load.mapping import FileMapping, Scalar

MEDIA_TYPES = {"json": "application/json", "arrow": "application/vnd.apache.arrow.stream"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows ready to be sent, and what of the chunk is not among them.

    Lines times values of a line = rows + empty + rejected here; without cells a line has one value.
    """

    table: pa.Table
    lines: Lines
    """The line of each row."""
    sources: list[str]
    """The column of the file of each row, for wide files."""
    rejected: list[tuple[Fault, int]]
    """Faults with the number of values that they cost."""
    empty: int = 0
    chunk_lines: int = 0
    """Lines of the chunk, the unreadable ones among them."""
    blank: int = 0

    def __len__(self) -> int:
        return len(self.lines)


def batch_of(chunk: Chunk, mapping: FileMapping) -> Batch:
    """Map one chunk. Raises `CannotMap` if the mapping does not fit the file at all."""
    faults = Faults(chunk.lines)
    maker = Maker(chunk, mapping)
    for name, alternatives in mapping.columns.items():
        maker.make(name, alternatives, faults)
    return _long(maker, faults) if mapping.cells else _plain(maker, faults)


def _plain(maker: Maker, faults: Faults) -> Batch:
    chunk = maker.chunk
    alive = pa.array(faults.alive)
    table = pa.table({name: column.filter(alive) for name, column in maker.made.items()})
    rejected = [(fault, 1) for fault in (*chunk.bad, *faults.found)]
    lines = chunk.lines[faults.alive]
    return Batch(table, lines, [], rejected, 0, len(chunk) + len(chunk.bad), chunk.blank)


def _long(maker: Maker, faults: Faults) -> Batch:
    """Every line becomes a row for each cell that is not empty; a faulty line costs all of its values that are there."""
    chunk, cells = maker.chunk, maker.mapping.cells
    sound = set(chunk.lines[faults.alive].tolist())
    lost = np.zeros(len(chunk), np.int64)
    rejected = [(fault, len(cells)) for fault in chunk.bad]
    tables, lines, sources, empty = [], [], [], 0
    for cell in cells:
        own = Faults(chunk.lines)
        values = cell_value(maker, cell, own)
        there = values.is_valid().to_numpy(zero_copy_only=False) | ~own.alive
        empty += int((~there).sum())
        lost += there & ~faults.alive
        rejected += [(fault, 1) for fault in own.found if fault.line in sound]
        kept = there & own.alive & faults.alive
        tables.append(_cell_rows(maker, values, kept, {cell.into: None, **cell.set}))
        lines.append(chunk.lines[kept])
        sources += [cell.source or ""] * int(kept.sum())
    by_line = dict(zip(chunk.lines.tolist(), lost.tolist(), strict=True))
    rejected += [(fault, by_line[fault.line]) for fault in faults.found if by_line[fault.line]]
    return Batch(pa.concat_tables(tables), np.concatenate(lines), sources, rejected, empty, len(chunk) + len(chunk.bad), chunk.blank)


def _cell_rows(maker: Maker, values: pa.Array, kept: NDArray[np.bool_], says: Mapping[str, Scalar | None]) -> pa.Table:
    mask = pa.array(kept)
    count = int(kept.sum())
    shared = {name: column.filter(mask) for name, column in maker.made.items()}
    own = {name: values.filter(mask) if constant is None else pa.repeat(constant, count) for name, constant in says.items()}
    return pa.table({**shared, **own})


def body_of(batch: Batch, mapping: FileMapping, added: Iterable[Mapping[str, Scalar]] = ()) -> bytes:
    """The request's body: `added` rows first (JSON only), then the batch's."""
    if mapping.target.body == "arrow":
        return _stream(batch.table)
    shapes = {name for name, alternatives in mapping.columns.items() if any(each.type == "geometry" for each in alternatives)}
    columns = {name: _plain_values(column.combine_chunks(), shape=name in shapes) for name, column in _columns(batch.table)}
    rows = [{name: value for name, value in zip(columns, values, strict=True) if value is not None} for values in zip(*columns.values(), strict=True)]
    return orjson.dumps([*added, *rows])


def _columns(table: pa.Table) -> Iterable[tuple[str, pa.ChunkedArray]]:
    return zip(table.column_names, table.columns, strict=True)


def _plain_values(column: pa.Array, *, shape: bool) -> list[Any]:
    """Values as JSON has them: instants as RFC 3339 in UTC, shapes as the JSON that they are."""
    if pa.types.is_timestamp(column.type):
        moments = column.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False)
        texts = np.datetime_as_string(moments.astype("datetime64[us]"), unit="us" if (moments % 1_000_000).any() else "s").tolist()
        return [f"{text}Z" if there else None for text, there in zip(texts, column.is_valid().to_pylist(), strict=True)]
    found = column.to_pylist()
    return [None if value is None else orjson.Fragment(value) for value in found] if shape else found


def _stream(table: pa.Table) -> bytes:
    """One record batch without compression; texts that repeat are sent once."""
    columns = {name: compute.dictionary_encode(column) if pa.types.is_string(column.type) else column for name, column in _columns(table)}
    whole = pa.table(columns).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    return bytes(sink.getvalue())


def declarations(batch: Batch, mapping: FileMapping, known: set[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """What the batch refers to and no earlier one did, added to `known`."""
    declared = mapping.declare
    if declared is None or not len(batch):
        return []
    distinct = batch.table.group_by(list(declared.distinct)).aggregate([])
    found = [tuple(row[name] for name in declared.distinct) for row in distinct.to_pylist()]
    new = [each for each in dict.fromkeys(found) if each not in known]
    known.update(new)
    return [dict(zip(declared.distinct, each, strict=True)) | declared.constants for each in new]
