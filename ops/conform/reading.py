"""Reads answers in other forms than JSON, and compares values across forms."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from ops.conform.asking import Reply
from ops.conform.model import Failed, fail, must
from ops.conform.subject import Field, moment
from shared.body.arrow import is_compressed

MOST_ROWS, MOST_COLUMNS = 5_000, 500
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def well_typed(field: Field, value: Any) -> bool:
    """Whether a JSON value is of the field's type and among its permitted values; null is of any type."""
    if value is None:
        return True
    values = field.described.get("enum")
    if isinstance(values, list) and value not in values:
        return False
    if field.type in _CHECKS:
        return _CHECKS[field.type](value)
    try:
        return isinstance(value, str) and field.value(value) is not None
    except (Failed, ValueError):
        return False


def same(field: Field, one: Any, other: Any) -> bool:
    """Whether two values of a field are the same, each in the form of its answer: JSON, CSV text or Arrow."""
    if one in (None, "") or other in (None, ""):
        return one in (None, "") and other in (None, "")
    try:
        return bool(_alike(_value(field, one), _value(field, other)))
    except (Failed, ValueError, TypeError):
        return False


def close(one: float, other: float, relative: float = 1e-9, scale: float | None = None) -> bool:
    """Whether two numbers differ by no more than a share of their size, or of `scale`."""
    return abs(one - other) <= relative * max(abs(one), abs(other), scale or 0.0, 1e-12)


def _alike(one: Any, other: Any) -> bool:
    return close(one, other) if isinstance(one, float) else one == other


def _value(field: Field, given: Any) -> Any:
    match field.type:
        case "number":
            return float(given)
        case "integer":
            return int(given)
        case "boolean":
            return given if isinstance(given, bool) else {"true": True, "false": False}[str(given).lower()]
        case "datetime":
            return (given if isinstance(given, datetime) else moment(given)).astimezone(UTC)
        case "date":
            return given if isinstance(given, date) else date.fromisoformat(str(given))
    return str(given)


def csv_rows(reply: Reply) -> list[dict[str, Any]]:
    """The rows of a CSV with a header; what is empty is None."""
    try:
        lines = csv.reader(io.StringIO(reply.content.decode("utf-8")), strict=True)
        head = next(lines, [])
        rows = [line for _, line in zip(range(MOST_ROWS + 1), lines, strict=False)]
    except (UnicodeDecodeError, csv.Error) as error:
        fail(f"{reply.asked} is not CSV in UTF-8: {error}")
    must(head and len(set(head)) == len(head), f"The header of {reply.asked} is empty, or names a column twice.")
    must(len(rows) <= MOST_ROWS, f"{reply.asked} has more than {MOST_ROWS} rows.")
    must(all(len(row) == len(head) for row in rows), f"A line of {reply.asked} has another number of fields than the header.")
    return [dict(zip(head, (text or None for text in row), strict=True)) for row in rows]


def arrow_rows(reply: Reply) -> list[dict[str, Any]]:
    """The rows of an Arrow stream of plain columns, read without trust: nothing compressed, nothing that refers to itself over and over."""
    try:
        for message in pa.ipc.MessageReader.open_stream(reply.content):
            must(not is_compressed(message.metadata.to_pybytes()), "The buffers of the Arrow stream are compressed.")
        with pa.ipc.open_stream(reply.content) as reader:
            _plain(reader.schema)
            batches: list[pa.RecordBatch] = []
            for batch in reader:
                must(sum(one.num_rows for one in batches) + batch.num_rows <= MOST_ROWS and len(batches) < 64, "The Arrow stream has too many rows or batches.")
                batch.validate(full=True)
                batches.append(batch)
            found: list[dict[str, Any]] = pa.Table.from_batches(batches, reader.schema).to_pylist()
            return found
    except (pa.ArrowException, OSError, struct.error, IndexError, MemoryError, OverflowError, ValueError, TypeError) as error:
        fail(f"{reply.asked} is not a readable Arrow stream: {error}")


def _plain(schema: pa.Schema) -> None:
    must(len(schema) <= MOST_COLUMNS and len(set(schema.names)) == len(schema), "The Arrow stream has too many columns, or one twice.")
    kinds: Sequence[Callable[[Any], bool]] = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp, pa.types.is_date32,
    )  # fmt: skip
    for column in schema:
        must(any(kind(column.type) for kind in kinds), f"The Arrow column {column.name} has the type {column.type}; texts, numbers, times are expected.")
