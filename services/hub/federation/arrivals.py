"""A source's Arrow stream read from the wire: nothing is believed that has not been looked at, and nothing large is held."""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pyarrow as pa

from services.hub.federation.domain import SourceUnsound
from shared.source_failures import SourceTimeout

MOST_HEAD = 1024 * 1024
"""Most bytes of a message's metadata."""
MOST_BODY = 32 * 1024 * 1024
"""Most bytes of one batch: services send about one MiB."""
_MARK = b"\xff\xff\xff\xff"
_BATCH, _SCHEMA = 3, 1
"""Kinds of message (Arrow `Message.fbs`, union MessageHeader)."""


async def messages(source: str, pieces: AsyncIterator[bytes], patience_s: float) -> AsyncIterator[bytes | bytearray]:
    """The encapsulated messages of an IPC stream, each whole; `SourceUnsound` for anything else, also for an end without the end mark.

    `SourceTimeout` if one message takes longer than `patience_s`: a source that drips must not keep the others' rows for ever.
    """
    held, waited = bytearray(), 0.0
    while True:
        began = time.monotonic()
        piece = await anext(pieces, None)
        if piece is None:
            break
        held += piece
        start = 0
        while (length := _length(source, held, start)) is not None:
            if length == 0:
                return
            if len(held) - start < length:
                break
            if length == len(held):
                yield held
                held, start = bytearray(), 0
                break
            yield bytes(memoryview(held)[start : start + length])
            start += length
        del held[:start]
        waited = waited + time.monotonic() - began if held and not start else 0.0
        if waited > patience_s:
            raise SourceTimeout(f"{source} did not send a whole batch within {patience_s:g} s.")
    raise SourceUnsound(f"{source} broke off: its rows have no end mark.")


def _length(source: str, held: bytearray, start: int) -> int | None:
    """Bytes of the message that begins there: 0 at the end mark, None while too little has come to tell."""
    if len(held) - start < 8:
        return None
    if held[start : start + 4] != _MARK:
        raise SourceUnsound(f"{source} sent something other than Arrow.")
    head = int(struct.unpack_from("<i", held, start + 4)[0])
    if head == 0:
        return 0
    if not 0 < head <= MOST_HEAD:
        raise SourceUnsound(f"{source} sent a message of {head} bytes of metadata.")
    if len(held) - start < 8 + head:
        return None
    try:
        body = _body(bytes(held[start + 8 : start + 8 + head]))
    except struct.error as error:
        raise SourceUnsound(f"{source} sent metadata that cannot be read.") from error
    if not 0 <= body <= MOST_BODY:
        raise SourceUnsound(f"{source} sent a batch of {body} bytes; at most {MOST_BODY} are taken.")
    return 8 + head + body


def _body(head: bytes) -> int:
    """Length of the body, as the metadata (a flatbuffer) say. `struct.error` unless they are those of a schema or of a batch that is not compressed."""
    message = _table(head, 0)
    kind_at, header_at, body_at = (_field(head, message, slot) for slot in (1, 2, 3))
    kind = head[kind_at] if kind_at else 0
    if kind not in (_SCHEMA, _BATCH) or not header_at:
        raise struct.error("neither schema nor batch")
    if kind == _BATCH and _field(head, _table(head, header_at), 3):
        raise struct.error("compressed")  # a small body could swell to any size
    return int(struct.unpack_from("<q", head, body_at)[0]) if body_at else 0


def _has_metadata(message: bytes | bytearray) -> bool:
    """Whether a message that has been looked at says more than its rows."""
    head = bytes(message[8 : 8 + int(struct.unpack_from("<i", message, 4)[0])])
    return bool(_field(head, _table(head, 0), 4))


def _table(head: bytes, at: int) -> int:
    """Where the table is that the offset at a place points to."""
    place = at + int(struct.unpack_from("<I", head, at)[0])
    if place >= len(head):
        raise struct.error("an offset beyond the end")
    return place


def _field(head: bytes, table: int, slot: int) -> int:
    """Where a field of a table is, 0 if it is not there."""
    vtable = table - int(struct.unpack_from("<i", head, table)[0])
    if not 0 <= vtable < len(head) - 4:
        raise struct.error("a table beyond the end")
    size = int(struct.unpack_from("<H", head, vtable)[0])
    offset = int(struct.unpack_from("<H", head, vtable + 4 + 2 * slot)[0]) if size >= 6 + 2 * slot else 0
    if table + offset >= len(head):
        raise struct.error("a field beyond the end")
    return table + offset if offset else 0


class Arrival:
    """One source's rows: its schema first, then batches in the expected columns; what it says at its end is at `said` afterwards."""

    def __init__(self, source: str, pieces: AsyncIterator[bytes], expected: pa.Schema, patience_s: float = 60.0) -> None:
        self.source, self.expected = source, expected
        self.about: dict[str, Any] = {}
        self.said: dict[str, Any] = {}
        self._messages = messages(source, pieces, patience_s)
        self._head, self._schema = b"", pa.schema([])

    async def begin(self) -> None:
        """Read the schema. A column that the source does not have is null in all its rows; one of another type is not believed."""
        self._head = bytes(await anext(self._messages))
        try:
            self._schema = schema = pa.ipc.read_schema(pa.py_buffer(self._head))
            names = schema.names
        except (pa.ArrowException, ValueError, OSError) as error:
            raise SourceUnsound(f"{self.source} sent a schema that cannot be read.") from error
        if len(set(names)) != len(names):
            raise SourceUnsound(f"{self.source} sent two columns of one name.")
        if not set(names) & set(self.expected.names):
            raise SourceUnsound(f"{self.source} sent none of the columns that were asked for.")
        for field in self.expected:
            if field.name in names and schema.field(field.name).type != field.type:
                raise SourceUnsound(f"{self.source} sent {field.name} as {schema.field(field.name).type}, not as {field.type}.")
        self.about = _json((schema.metadata or {}).get(b"liandong"))

    async def batches(self) -> AsyncIterator[pa.RecordBatch]:
        """The rows; `SourceUnsound` unless the source says at its end that these were all of them."""
        rows = 0
        async for message in self._messages:
            batch = self._read(message)
            rows += batch.num_rows
            if batch.num_rows:
                yield batch
        if self.said.get("numberReturned") != rows:
            raise SourceUnsound(f"{self.source} sent {rows} rows, and does not say at the end that these are all.")

    def _read(self, message: bytes | bytearray) -> pa.RecordBatch:
        metadata: Mapping[bytes, bytes] | None = None
        try:
            if _has_metadata(message):
                with pa.ipc.open_stream(pa.py_buffer(self._head + message)) as reader:
                    batch, metadata = reader.read_next_batch_with_custom_metadata()
            else:
                batch = pa.ipc.read_record_batch(pa.py_buffer(message), self._schema)
            batch.validate(full=True)
        except (pa.ArrowException, ValueError, OSError, StopIteration) as error:
            raise SourceUnsound(f"{self.source} sent rows that cannot be read: {str(error)[:200]}") from error
        self.said |= _json((metadata or {}).get(b"liandong"))
        if batch.schema.equals(self.expected):
            return batch
        names = set(batch.schema.names)
        columns = [batch.column(field.name) if field.name in names else pa.nulls(batch.num_rows, field.type) for field in self.expected]
        return pa.RecordBatch.from_arrays(columns, schema=self.expected)


def _json(content: bytes | None) -> dict[str, Any]:
    try:
        found = orjson.loads(content or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
