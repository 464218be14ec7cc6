"""Reads an Arrow stream that nobody vouches for: no compressed buffers, plain column types, checked contents."""

from __future__ import annotations

import struct

import pyarrow as pa

from shared.errors import BodyTooLarge, InvalidBody

BATCHES = 64
"""Most record batches of one stream."""
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_COMPRESSION = 3
"""Position of `compression` in a RecordBatch (Arrow format, Message.fbs)."""


def read_stream(content: bytes, *, rows: int, columns: int) -> pa.Table:
    """The table of an Arrow IPC stream with at most so many rows and columns of numbers, texts and times.

    Raises `InvalidBody` for a broken stream, compressed buffers (they can grow without bound when they are read) and other column types,
    `BodyTooLarge` for too many rows.
    """
    try:
        for message in pa.ipc.MessageReader.open_stream(content):
            if is_compressed(message.metadata.to_pybytes()):
                raise InvalidBody("The Arrow buffers are compressed; write the stream without compression and gzip the whole body instead.", pointer="")
        with pa.ipc.open_stream(content) as reader:
            _check_schema(reader.schema, columns)
            return _read(reader, rows)
    except (pa.ArrowException, OSError, struct.error, IndexError, MemoryError, OverflowError, UnicodeDecodeError) as error:
        raise InvalidBody(f"The body is not an Arrow stream: {str(error)[:200]}", pointer="") from error


def _read(reader: pa.RecordBatchStreamReader, rows: int) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    left = rows
    for batch in reader:
        if len(batches) == BATCHES:
            raise InvalidBody(f"The Arrow stream has more than {BATCHES} record batches; write the rows in one.", pointer="")
        left -= batch.num_rows
        if left < 0:
            raise BodyTooLarge(f"The body has more than {rows} rows; send smaller batches.")
        batch.validate(full=True)
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _check_schema(schema: pa.Schema, columns: int) -> None:
    if len(schema) > columns:
        raise InvalidBody(f"The Arrow stream has more than {columns} columns.", pointer="")
    for name, column in zip(schema.names, schema, strict=True):
        if not _plain(column.type):
            raise InvalidBody(f"Column {name[:60]!r} has the Arrow type {str(column.type)[:60]}; send texts, numbers or timestamps.", pointer="")


def _plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return bool(pa.types.is_string(kind.value_type))
    kinds = pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp, pa.types.is_null
    return any(test(kind) for test in kinds)


def is_compressed(metadata: bytes) -> bool:
    """Whether a message's buffers are compressed, read from its flatbuffer without touching the buffers."""
    root = struct.unpack_from("<I", metadata, 0)[0]
    kind, header = _member(metadata, root, 1), _member(metadata, root, 2)
    if kind is None or header is None or metadata[kind] not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return False
    batch: int | None = _follow(metadata, header)
    if metadata[kind] == _DICTIONARY_BATCH:
        data = _member(metadata, _follow(metadata, header), 1)
        batch = None if data is None else _follow(metadata, data)
    return batch is not None and _member(metadata, batch, _COMPRESSION) is not None


def _member(buffer: bytes, table: int, index: int) -> int | None:
    """Where a table's member lies, or None if it is not set."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    size = struct.unpack_from("<H", buffer, vtable)[0]
    slot = 4 + 2 * index
    if slot + 2 > size:
        return None
    offset = struct.unpack_from("<H", buffer, vtable + slot)[0]
    return table + offset if offset else None


def _follow(buffer: bytes, position: int) -> int:
    return int(position + struct.unpack_from("<I", buffer, position)[0])
