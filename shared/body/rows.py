"""From a body to rows: JSON, NDJSON, CSV and Arrow streams, each bounded in rows, columns and nesting."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from shared.batches import RowError
from shared.body.arrow import read_stream
from shared.body.reading import Body
from shared.errors import BodyTooLarge, InvalidBody

ROWS = 50_000
"""Most rows of one body: a batch is one transaction."""
SMALL = 1 << 20
"""Bytes that may be parsed before their rows are counted."""
COLUMNS = 64
"""Most columns of a table, and most members of a row."""
Column: TypeAlias = "list[Any] | pa.Array"
"""Python values (JSON), texts (CSV) or typed values (Arrow); `shared.body.typed` makes one of all."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a body, by column; a column that was not sent is absent."""

    columns: Mapping[str, Column]
    numbers: NDArray[np.int32]
    """The position in the body of each readable row."""
    unreadable: Sequence[RowError] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def dicts(self) -> list[dict[str, Any]]:
        """The same by row, as plain Python values, without what is null."""
        if not self.columns:
            return [{} for _ in self.numbers]
        names = list(self.columns)
        lists = [listed(column) for column in self.columns.values()]
        return [{name: value for name, value in zip(names, values, strict=True) if value is not None} for values in zip(*lists, strict=True)]


def listed(column: Column) -> list[Any]:
    """A column as Python values. A value that a dictionary holds once is shared, not copied, however often it occurs."""
    if isinstance(column, list):
        return column
    if pa.types.is_dictionary(column.type):
        values = column.dictionary.to_pylist()
        return [None if code is None else values[code] for code in column.indices.to_pylist()]
    found: list[Any] = column.to_pylist()
    return found


def rows_of(body: Body, names: Collection[str]) -> Rows:
    """The rows of a body whose columns may be `names`.

    A row that cannot be read is an error of its own; a body that cannot be, or has other columns, raises `InvalidBody`,
    one with too many rows `BodyTooLarge`.
    """
    rows = _read(body, names)
    if len(rows) + len(rows.unreadable) > ROWS:
        raise _too_many()
    return rows


def _read(body: Body, names: Collection[str]) -> Rows:
    gc.disable()  # thousands of new objects, none of them garbage, would make the collector walk the whole process several times
    try:
        return READERS[body.media_type](body.content, names)
    finally:
        gc.enable()


def _text(content: bytes) -> bytes:
    """The content without a byte order mark, once it is known to be UTF-8 throughout."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InvalidBody(f"The body is not UTF-8: byte {error.start} cannot be read. Convert it to UTF-8 first.", pointer="") from error
    return content.removeprefix(b"\xef\xbb\xbf")


def _bounded(content: bytes, opening: bytes) -> None:
    """Refuse what would grow far beyond its own size when it is parsed; a small body cannot grow far. Each row has one `opening`."""
    if len(content) <= SMALL:
        return
    rows = content.count(opening) + 1
    if rows > ROWS + 1:
        raise _too_many()
    if content.count(b",") > COLUMNS * rows or content.count(b"[") > COLUMNS * rows:
        raise InvalidBody(f"The body is not a table: rows are flat objects of at most {COLUMNS} members.", pointer="")


def _too_many() -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {ROWS} rows; send smaller batches.")


def _json(content: bytes, names: Collection[str]) -> Rows:
    content = _text(content)
    _bounded(content, b"{")
    try:
        found = _parsed(content)
    except ValueError as error:
        raise InvalidBody(f"The body is not JSON: {error}.", pointer="") from error
    if not isinstance(found, list):
        raise InvalidBody("The body must be a JSON array of objects, one for each row.", pointer="")
    return _by_column(np.arange(len(found), dtype=np.int32), found, [], names)


def _parsed(content: bytes) -> Any:
    """Python's own parser also takes NaN and Infinity, which then are errors of their rows; `ValueError` for all other faults."""
    try:
        return orjson.loads(content)
    except ValueError:
        if (b"NaN" not in content and b"Infinity" not in content) or b"\\ud" in content.lower():  # half a surrogate pair is no text
            raise
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _ndjson(content: bytes, names: Collection[str]) -> Rows:
    content = _text(content)
    _bounded(content, b"\n")
    lines = [line for line in content.split(b"\n") if line.strip()]
    try:
        found = orjson.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        found = None
    if found is not None and len(found) == len(lines):
        return _by_column(np.arange(len(found), dtype=np.int32), found, [], names)
    return _line_by_line(lines, names)


def _line_by_line(lines: Sequence[bytes], names: Collection[str]) -> Rows:
    numbers, found, unreadable = [], [], []
    for number, line in enumerate(lines):
        try:
            found.append(_parsed(line))
            numbers.append(number)
        except ValueError as error:
            unreadable.append(RowError(number, f"/{number}", "invalid-json", f"The line is not JSON: {error}."))
    return _by_column(np.array(numbers, dtype=np.int32), found, unreadable, names)


def _by_column(positions: NDArray[np.int32], found: list[Any], unreadable: list[RowError], names: Collection[str]) -> Rows:
    if not set(map(type, found)) <= {dict}:
        proper = np.array([type(row) is dict for row in found], dtype=np.bool_)
        unreadable = unreadable + [RowError(number, f"/{number}", "not-an-object", "A row is a JSON object.") for number in positions[~proper].tolist()]
        positions, found = positions[proper], [row for row in found if type(row) is dict]
    if not found:
        return Rows({}, positions, unreadable)
    if set(map(len, found)) == {len(found[0])}:
        try:
            alike = {name: list(map(itemgetter(name), found)) for name in found[0]}
        except KeyError:
            pass  # equally many members, but not the same ones: looked at row by row
        else:
            _known(found[0], names)
            return Rows(alike, positions, unreadable)
    sent: set[str] = set()
    for row in found:
        sent.update(row)
    _known(sent, names)
    return Rows({name: [row.get(name) for row in found] for name in sent}, positions, unreadable)


def _csv(content: bytes, names: Collection[str]) -> Rows:
    content = _text(content)
    header, _, _ = content.partition(b"\n")
    if not header.strip():
        raise InvalidBody("The CSV body has no header line.", pointer="")
    if header.count(b",") >= COLUMNS:
        raise InvalidBody(f"The CSV header has more than {COLUMNS} columns.", pointer="")
    _bounded(content, b"\n")
    unreadable: list[RowError] = []

    def on_ragged(row: Any) -> str:
        number = row.number - 2  # counted from 1, header included
        detail = f"The line has {row.actual_columns} columns, the header {row.expected_columns}."
        unreadable.append(RowError(number, f"/{number}", "wrong-number-of-columns", detail))
        return "skip"

    try:
        table = arrow_csv.read_csv(
            io.BytesIO(content),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(content) + 1),
            parse_options=arrow_csv.ParseOptions(invalid_row_handler=on_ragged),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise InvalidBody(f"The body is not CSV: {error}.", pointer="") from error
    columns = _combined(table, names)
    taken = np.setdiff1d(np.arange(table.num_rows + len(unreadable)), [error.row for error in unreadable])
    return Rows(columns, taken.astype(np.int32), unreadable)


def _arrow(content: bytes, names: Collection[str]) -> Rows:
    table = read_stream(content, rows=ROWS, columns=COLUMNS)
    return Rows(_combined(table, names), np.arange(table.num_rows, dtype=np.int32))


def _combined(table: pa.Table, names: Collection[str]) -> dict[str, pa.Array]:
    if len(set(table.column_names)) != table.num_columns:
        raise InvalidBody("A column is there twice.", pointer="")
    _known(table.column_names, names)
    return {name: _one(table.column(name)) for name in table.column_names}


def _one(chunked: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(chunked.type):
        chunked = chunked.unify_dictionaries()
    return chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)


def _known(sent: Iterable[str], names: Collection[str]) -> None:
    unknown = sorted(set(sent) - set(names))
    if unknown:
        raise InvalidBody(f"Unknown column {unknown[0][:60]!r}; a row may have {', '.join(sorted(names))}.", pointer=f"/0/{unknown[0][:60]}")


READERS: Mapping[str, Callable[[bytes, Collection[str]], Rows]] = {
    "application/json": _json,
    "application/x-ndjson": _ndjson,
    "text/csv": _csv,
    "application/vnd.apache.arrow.stream": _arrow,
}
MEDIA_TYPES = tuple(READERS)
"""Media types that a bulk load takes."""
