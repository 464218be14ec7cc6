"""The states of one source as an Arrow stream: written by the source, read strictly by whoever merges."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, TypeAdapter, ValidationError

from shared.datasets.aggregate.agreement import MOST_ROWS
from shared.datasets.aggregate.columns import GROUP_ROWS, Layout
from shared.datasets.aggregate.consistency import check_layout, check_table
from shared.datasets.aggregate.grouping import coded, most_times, times_at
from shared.datasets.aggregate.problems import BrokenStates
from shared.datasets.aggregate.question import MAX_ROWS, Question
from shared.datasets.aggregate.sketches import BUCKETS_VERSION, REGISTERS_VERSION
from shared.datasets.coverage import SourceAnswer
from shared.datasets.extent import told_moment

MEDIA_TYPE = "application/vnd.liandong.states+arrow"
CONTRACT = "1"
MAX_BYTES = 256 * 1024 * 1024
"""Most bytes of one source's states that a reader takes."""
MOST_DESCRIPTION = 8 * 1024 * 1024
"""Of these what describes them: read, a description may take fifty times its size."""
_KEY = b"liandong"
_BATCH_ROWS = MAX_ROWS
MOST_BATCHES = 1_000
"""Of a stream that is read: empty ones are cheap to send, and each costs some time."""
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
MOST_TEXTS, MOST_LENGTH = 1_000, 200
"""Of texts that travel as places, and of the characters of each: what a place stands for never swells beyond a bound."""
_WHOLE = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
"""How whole numbers travel."""
_HEADER_SLOT, _COMPRESSION_SLOT = 2, 3
"""Places in Arrow's Message.fbs of a message's header, and of the compression in a record batch."""


@dataclass(frozen=True, slots=True)
class States:
    """Mergeable states: one row per group, the columns of `layout.schema()`; texts and regular times of dimensions may be in a dictionary (`coded`)."""

    layout: Layout
    table: pa.Table
    answers: tuple[SourceAnswer, ...]
    """The source that computed them; after a merge all of them."""
    smallest_group: int = 0
    """Groups with fewer rows must be suppressed after the merge."""


_Texts = Annotated[tuple[Annotated[str, Field(max_length=MOST_LENGTH)], ...], Field(max_length=MOST_TEXTS)]
_Micros = Annotated[int, Field(ge=-(2**62), lt=2**62)]


@dataclass(frozen=True, slots=True)
class _Times:
    """Times at equal distances, in microseconds, the first since 1970."""

    first: _Micros
    step: Annotated[_Micros, Field(ge=1)]
    count: Annotated[int, Field(ge=1, le=most_times(MAX_ROWS))]


@dataclass(frozen=True, slots=True)
class _Header:
    contract: str
    buckets: str
    registers: str
    smallest_group: Annotated[int, Field(ge=0, le=MOST_ROWS)]
    layout: Layout
    answers: tuple[SourceAnswer, ...]
    texts: Mapping[str, _Texts] = field(default_factory=dict)
    """The texts of a dimension whose column holds places among them, as those of few texts do;"""
    times: Mapping[str, _Times] = field(default_factory=dict)
    """and the times of one whose times are at equal distances."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Counts that do not travel, as they are those of another column."""


_HEADER = TypeAdapter(_Header)


def write_states(states: States) -> bytes:
    """The states as an Arrow stream, uncompressed, whole numbers as narrow as they all fit and once; the schema's metadata say how to read them."""
    known = coded(states.table, [dimension.name for dimension in states.layout.dimensions])
    columns = dict(zip(known.column_names, known.columns, strict=True))
    texts: dict[str, _Texts] = {}
    times: dict[str, _Times] = {}
    for name, column in columns.items():
        if not pa.types.is_dictionary(column.type):
            continue
        whole = column.combine_chunks()
        if pa.types.is_timestamp(whole.type.value_type):
            columns[name], times[name] = _places(whole), _times(whole.dictionary)
        elif short := _short(whole.dictionary):
            columns[name], texts[name] = _places(whole), short
        else:
            columns[name] = whole.cast(pa.string())
    same = {name: GROUP_ROWS for name in _counts(states.layout) if columns[name].equals(columns[GROUP_ROWS])}
    header = _Header(CONTRACT, BUCKETS_VERSION, REGISTERS_VERSION, states.smallest_group, states.layout, states.answers, texts, times, same)
    sent = {name: column if name in texts or name in times else _narrowed(column) for name, column in columns.items() if name not in same}
    table = pa.table(sent, metadata={_KEY: _HEADER.dump_json(header)})
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
    _check_answers(header.answers)
    table = _as_announced(table, header)
    check_table(header.layout, table)
    return States(header.layout, table, header.answers, header.smallest_group)


def _short(texts: Any) -> _Texts:
    """The texts, if they are few and short enough to travel beside places; else none."""
    listed = tuple(texts.to_pylist()) if len(texts) <= MOST_TEXTS else ()
    return listed if max(map(len, listed), default=0) <= MOST_LENGTH else ()


def _times(dictionary: Any) -> _Times:
    first, second = (*dictionary[:2].cast(pa.int64()).to_pylist(), None)[:2]
    return _Times(first, second - first if second is not None else 1, len(dictionary))


def _places(whole: Any) -> Any:
    return whole.indices.cast(_narrowest(len(whole.dictionary)))


def _narrowed(column: Any) -> Any:
    if column.type != pa.int64():
        return column
    return column.cast(_narrowest(max((abs(end) for end in pc.min_max(column).as_py().values() if end is not None), default=0)))


def _narrowest(widest: int) -> pa.DataType:
    """The narrowest whole numbers that reach so far."""
    return next((kind for kind in _WHOLE if widest < 1 << kind.bit_width - 1), pa.int64())


def _as_announced(table: pa.Table, header: _Header) -> pa.Table:
    """The columns of the layout, whole numbers wide, texts of dimensions and regular times in dictionaries."""
    schema, sent = header.layout.schema(), dict(zip(table.column_names, table.columns, strict=True))
    dimensions = [dimension.name for dimension in header.layout.dimensions]
    placed = header.texts.keys() | header.times.keys()
    _require_columns(table.column_names == [name for name in schema.names if name not in header.same])
    _require_columns(placed <= set(dimensions) and not header.texts.keys() & header.times.keys())
    _require_columns(header.same.keys() <= set(_counts(header.layout)) and set(header.same.values()) <= {GROUP_ROWS})
    columns: dict[str, Any] = {}
    for described in (one for one in schema if one.name not in header.same):
        column, kind = sent[described.name], described.type
        whole = column.type in _WHOLE
        if described.name in header.texts and kind == pa.string() and whole:
            column = _texts_at(column, header.texts[described.name])
        elif described.name in header.times and pa.types.is_timestamp(kind) and whole:
            column = _times_at(column, header.times[described.name])
        elif kind == pa.int64() and whole:
            column = column.cast(kind)
        else:
            _require_columns(column.type == kind)
        columns[described.name] = column
    columns |= {name: columns[same] for name, same in header.same.items()}
    return coded(pa.table({name: columns[name] for name in schema.names}).combine_chunks(), dimensions)


def _counts(layout: Layout) -> list[str]:
    return [name for measure in layout.measures for name in measure.states() if name.endswith(".count")]


def _require_columns(hold: bool) -> None:
    if not hold:
        raise BrokenStates("The columns are not those that the states' own description announces.")


def _texts_at(places: pa.ChunkedArray, texts: _Texts) -> pa.DictionaryArray:
    if len(set(texts)) != len(texts):
        raise BrokenStates("In the texts that places stand for a text is twice.")
    try:
        return pa.DictionaryArray.from_arrays(_indices(places), pa.array(texts, pa.string()))
    except (pa.ArrowException, IndexError) as error:
        raise BrokenStates("A place stands for no text.") from error


def _times_at(places: pa.ChunkedArray, times: _Times) -> pa.DictionaryArray:
    if times.count > most_times(len(places)) or abs(times.first) + times.step * times.count >= 2**62:
        raise BrokenStates("There are too many times, or they lie beyond all times.")
    try:
        return times_at(_indices(places), times.first, times.step, times.count)
    except (pa.ArrowException, IndexError) as error:
        raise BrokenStates("A place stands for no time.") from error


def _indices(places: pa.ChunkedArray) -> Any:
    return places.cast(pa.int32()).combine_chunks()


def _read_header(schema: pa.Schema) -> _Header:
    described = (schema.metadata or {}).get(_KEY)
    if described is None:
        raise BrokenStates("The stream does not say that it holds states.")
    if len(described) > MOST_DESCRIPTION:
        raise BrokenStates(f"The description of the states takes {len(described)} bytes; at most {MOST_DESCRIPTION} are read.")
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


def _check_answers(answers: tuple[SourceAnswer, ...]) -> None:
    """What they say goes on to whoever asked: it must be possible to say it, and to reckon with it."""
    try:
        for answer in answers:
            if answer.as_of is not None:
                told_moment(answer.as_of)
            if not all(0 <= number <= MOST_ROWS for number in (answer.rows or 0, answer.elapsed_ms or 0)):
                raise ValueError("a number is out of range")
        orjson.dumps([answer.as_dict() for answer in answers])
    except (TypeError, ValueError) as error:
        raise BrokenStates(f"What the states say of their sources cannot be passed on: {str(error)[:100]}.") from error


def _read_table(data: bytes) -> pa.Table:
    if not data.endswith(_END):
        raise ValueError("its end is missing")
    for number, message in enumerate(pa.ipc.MessageReader.open_stream(pa.py_buffer(data))):
        if number > MOST_BATCHES:
            raise ValueError(f"it has more than {MOST_BATCHES} batches")
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
