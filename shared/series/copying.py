"""Arrays as PostgreSQL's binary COPY format, without a Python object for each value."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH_SHIFT = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin."""
Array = NDArray[Any]


def timestamps(moments: NDArray[np.int64]) -> Array:
    """Microseconds since 1970 as values of a timestamptz column."""
    return moments - EPOCH_SHIFT


def binary(columns: Sequence[Array]) -> io.BytesIO:
    """Columns of equal length and fixed width as the source of a binary COPY; none may be null.

    The widths are those of the arrays: int16 smallint, int32 integer, int64 bigint or timestamptz, float64 double precision, bytes text.
    """
    fields: list[tuple[str, str]] = [("width", ">i2")]
    for place, column in enumerate(columns):
        kind = column.dtype.str if column.dtype.kind == "S" else column.dtype.newbyteorder(">").str
        fields += [(f"length{place}", ">i4"), (f"value{place}", kind)]
    rows = np.empty(len(columns[0]), dtype=np.dtype(fields))
    rows["width"] = len(columns)
    for place, column in enumerate(columns):
        rows[f"length{place}"] = column.dtype.itemsize
        rows[f"value{place}"] = column
    return io.BytesIO(SIGNATURE + rows.tobytes() + TRAILER)


def literal(column: Array) -> str:
    """Numbers as the text of a PostgreSQL array, for `$1::text::float8[]`: the driver would look at each element of a list. NaN becomes NULL."""
    return "{" + orjson.dumps(column, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1] + "}"


def constant(value: str, rows: int) -> Array:
    """A text column with the same text in every row."""
    encoded = value.encode()
    return np.full(rows, encoded, dtype=f"S{len(encoded)}")
