"""The states of one source as an Arrow stream: written by the source, read strictly by whoever merges."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, TypeAdapter, ValidationError

from shared.datasets.aggregate.columns import Layout
from shared.datasets.aggregate.consistency import check_layout, check_table
from shared.datasets.aggregate.grouping import coded
from shared.datasets.aggregate.problems import BrokenStates
from shared.datasets.aggregate.question import MAX_ROWS, Question
from shared.datasets.aggregate.sketches import BUCKETS_VERSION, REGISTERS_VERSION
from shared.datasets.coverage import SourceAnswer

MEDIA_TYPE = "application/vnd.liandong.states+arrow"
CONTRACT = "1"
MAX_BYTES = 256 * 1024 * 1024
"""Most bytes of one source's states that a reader takes."""
_KEY = b"liandong"
_BATCH_ROWS = MAX_ROWS
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
MOST_TEXTS, MOST_LENGTH = 1_000, 200
"""Of texts that travel as places, and of the characters of each: what a place stands for never swells beyond a bound."""
_WHOLE = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
"""How whole numbers travel."""
_HEADER_SLOT, _COMPRESSION_SLOT = 2, 3
"""Places in Arrow's Message.fbs of a message's header, and of the compression in a record batch."""


@dataclass(frozen=True, slots=True)
class States:
    """Mergeable states: one row per group, the columns of `layout.schema()`; texts of dimensions that were read are in a dictionary (`coded`)."""

    layout: Layout
    table: pa.Table
    answers: tuple[SourceAnswer, ...]
    """The source that computed them; after a merge all of them."""
    smallest_group: int = 0
    """Groups with fewer rows must be suppressed after the merge."""


_Texts = Annotated[tuple[Annotated[str, Field(max_length=MOST_LENGTH)], ...], Field(max_length=MOST_TEXTS)]


@dataclass(frozen=True, slots=True)
class _Header:
    contract: str
    buckets: str
    registers: str
    smallest_group: int
    layout: Layout
    answers: tuple[SourceAnswer, ...]
    texts: Mapping[str, _Texts] = field(default_factory=dict)
    """The texts of a dimension whose column holds places among them, as those of few texts do."""


_HEADER = TypeAdapter(_Header)


def write_states(states: States) -> bytes:
    """The states as an Arrow stream, uncompressed, whole numbers as narrow as they all fit; the schema's metadata say how to read them."""
    known = coded(states.table, [dimension.name for dimension in states.layout.dimensions])
    columns = dict(zip(known.column_names, known.columns, strict=True))
    texts: dict[str, _Texts] = {}
    for name, column in columns.items():
        if pa.types.is_dictionary(column.type):
            columns[name], texts[name] = _places(column)
        else:
            columns[name] = _narrowed(column)
    texts = {name: of for name, of in texts.items() if of}
    header = _Header(CONTRACT, BUCKETS_VERSION, REGISTERS_VERSION, states.smallest_group, states.layout, states.answers, texts)
    table = pa.table(columns, metadata={_KEY: _HEADER.dump_json(header)})
    batches = (batch.serialize() for batch in table.to_batches(max_chunksize=_BATCH_ROWS))
    return b"".join([table.schema.serialize(), *batches, _END])


def read_states(data: bytes, *, question: Question | None = None) -> States:
    """The states in an Arrow stream, checked; with `question`, also that they answer it.

    Raises `BrokenStates` for whatever is not exactly in order: an unknown version, missing or other columns, a stream that
    ends early, compressed buffers, groups that occur twice, states that contradict each other.
    """
    if len(data) > MAX_BYTES:
        raise BrokenStates(f"The states take {len(data)} bytes; at most {MAX_BYTES} are read.")
    try:
        table = _read_table(data)
        table.column_names  # noqa: B018  # names that are no UTF-8 are found out here
    except (pa.ArrowException, OSError, struct.error, IndexError, ValueError, UnicodeDecodeError) as error:
        raise BrokenStates(f"The states are not a whole Arrow stream: {str(error)[:200]}") from error
    header = _read_header(table.schema)
    check_layout(header.layout, question)
    table = _as_announced(table, header)
    check_table(header.layout, table)
    return States(header.layout, table, header.answers, header.smallest_group)


def _places(column: pa.ChunkedArray) -> tuple[Any, _Texts]:
    """Places and the texts that they stand for; if these are many or long, the texts themselves and none."""
    whole = column.combine_chunks()
    texts = tuple(whole.dictionary.to_pylist()) if len(whole.dictionary) <= MOST_TEXTS else ()
    if not texts or max(map(len, texts)) > MOST_LENGTH:
        return whole.cast(pa.string()), ()
    return whole.indices.cast(pa.int16()), texts


def _narrowed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type != pa.int64():
        return column
    widest = max((abs(end) for end in pc.min_max(column).as_py().values() if end is not None), default=0)
    return column.cast(next((kind for kind in _WHOLE if widest < 1 << kind.bit_width - 1), pa.int64()))


def _as_announced(table: pa.Table, header: _Header) -> pa.Table:
    """The columns of the layout, whole numbers wide, texts of dimensions in dictionaries."""
    schema = header.layout.schema()
    dimensions = [dimension.name for dimension in header.layout.dimensions]
    if table.column_names != schema.names or not header.texts.keys() <= set(dimensions):
        raise BrokenStates("The columns are not those that the states' own description announces.")
    columns: dict[str, Any] = {}
    for field_, sent in zip(schema, table.columns, strict=True):
        columns[field_.name], kind = sent, field_.type
        if field_.name in header.texts and kind == pa.string() and sent.type in _WHOLE:
            columns[field_.name] = _texts_at(sent, header.texts[field_.name])
        elif kind == pa.int64() and sent.type in _WHOLE:
            columns[field_.name] = sent.cast(kind)
        elif sent.type != kind:
            raise BrokenStates("The columns are not those that the states' own description announces.")
    return coded(pa.table(columns).combine_chunks(), dimensions)


def _texts_at(places: pa.ChunkedArray, texts: _Texts) -> pa.DictionaryArray:
    if len(set(texts)) != len(texts):
        raise BrokenStates("In the texts that places stand for a text is twice.")
    try:
        return pa.DictionaryArray.from_arrays(places.cast(pa.int32()).combine_chunks(), pa.array(texts, pa.string()))
    except (pa.ArrowException, IndexError) as error:
        raise BrokenStates("A place stands for no text.") from error


def _read_header(schema: pa.Schema) -> _Header:
    described = (schema.metadata or {}).get(_KEY)
    if described is None:
        raise BrokenStates("The stream does not say that it holds states.")
    try:
        loaded = json.loads(described)
        versions = [loaded["contract"], loaded["buckets"], loaded["registers"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenStates("The description of the states cannot be read.") from error
    for version, known in zip(versions, (CONTRACT, BUCKETS_VERSION, REGISTERS_VERSION), strict=True):
        if version != known:
            raise BrokenStates(f"The states are of version {str(version)[:60]!r}; {known!r} is understood.")
    try:
        return _HEADER.validate_json(described)
    except ValidationError as error:
        raise BrokenStates(f"The description of the states is not valid: {error.errors()[0]['loc']} {error.errors()[0]['msg']}") from error


def _read_table(data: bytes) -> pa.Table:
    if not data.endswith(_END):
        raise ValueError("its end is missing")
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(data)):
        if message.type not in ("schema", "record batch"):
            raise ValueError(f"a {message.type} is in it")  # a dictionary, whose buffers may be compressed too
        if message.type == "record batch" and _is_compressed(message.metadata.to_pybytes()):
            raise ValueError("its buffers are compressed")
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        batches: list[Any] = []
        rows = 0
        for batch in reader:
            batch.validate(full=True)
            rows += batch.num_rows
            if rows > MAX_ROWS:
                raise ValueError(f"it has more than {MAX_ROWS} groups")
            batches.append(batch)
        return pa.Table.from_batches(batches, reader.schema)


def _is_compressed(metadata: bytes) -> bool:
    """Whether a record batch's flatbuffer says that its buffers are compressed, so that no small body can swell to any size."""
    message = struct.unpack_from("<I", metadata)[0]
    header = _table_field(metadata, message, _HEADER_SLOT)
    batch = header + struct.unpack_from("<I", metadata, header)[0] if header else 0
    return bool(batch) and bool(_table_field(metadata, batch, _COMPRESSION_SLOT))


def _table_field(buffer: bytes, table: int, slot: int) -> int:
    """Where a flatbuffer table keeps a field, 0 if it has none."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    size = struct.unpack_from("<H", buffer, vtable)[0]
    entry = 4 + 2 * slot
    offset: int = struct.unpack_from("<H", buffer, vtable + entry)[0] if entry < size else 0
    return table + offset if offset else 0
