"""Columns of a body as NumPy arrays of one type each; what is missing or of another type rejects its row, not the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from shared.batches import Mask, Rejections
from shared.body.rows import Column, Rows, listed

Numbers = NDArray[np.float64]
Moments = NDArray[np.int64]
"""Microseconds since 1970-01-01T00:00:00Z."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEYOND = np.iinfo(np.int64).max
"""Stands for a moment that no calendar has; it lies after every real one."""
LONGEST = 64
"""Most characters of a number or a time."""
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: `values[codes[i]]`, a code of -1 where there is none."""

    codes: NDArray[np.int32]
    values: Sequence[str]


def microseconds(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_text(moment: int) -> str:
    """A moment as RFC 3339 in UTC, for messages."""
    try:
        return (EPOCH + timedelta(microseconds=moment)).isoformat(timespec="seconds").replace("+00:00", "Z")
    except OverflowError:
        return "beyond the calendar"


def texts(rows: Rows, name: str, rejections: Rejections, *, required: bool = True) -> Texts:
    """A column of texts. A required one that is missing, and anything but a text, rejects its row."""
    column = rows.columns.get(name)
    if column is None:
        found = Texts(np.full(len(rows), -1, dtype=np.int32), ())
    elif isinstance(column, list):
        found = _listed_texts(column, name, rejections)
    elif pa.types.is_null(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_dictionary(column.type):
        found = _arrow_texts(column)
    else:
        rejections.reject(np.ones(len(rows), dtype=np.bool_), name, "not-a-text", lambda _: f"{name} must be text; the column has the type {column.type}.")
        found = Texts(np.full(len(rows), -1, dtype=np.int32), ())
    if required:
        rejections.reject(found.codes < 0, name, "missing", lambda _: f"{name} is missing.")
    return found


def _listed_texts(column: list[Any], name: str, rejections: Rejections) -> Texts:
    proper = column
    if not set(map(type, column)) <= {str, type(None)}:
        proper = [value if isinstance(value, str) else None for value in column]
        wrong = np.array([value is not None and not isinstance(value, str) for value in column], dtype=np.bool_)
        rejections.reject(wrong, name, "not-a-text", lambda index: f"{name} must be text, not {_shown(column[index])}.")
    coded = _Codes()
    codes = np.fromiter(map(coded.__getitem__, proper), dtype=np.int32, count=len(proper))
    return Texts(codes, coded.texts)


class _Codes(dict[str | None, int]):
    """Numbers texts as they are met; None is -1."""

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.texts: list[str] = []

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self.texts)
        self.texts.append(text)
        return code


def _arrow_texts(column: pa.Array) -> Texts:
    if pa.types.is_null(column.type):
        return Texts(np.full(len(column), -1, dtype=np.int32), ())
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = encoded.indices.cast(pa.int32(), safe=True).fill_null(-1).to_numpy(zero_copy_only=False)
    values = encoded.dictionary.to_pylist()
    if None in values:
        codes = np.where(np.isin(codes, [code for code, value in enumerate(values) if value is None]), -1, codes)
        values = ["" if value is None else value for value in values]
    return Texts(codes.astype(np.int32, copy=False), values)


def numbers(rows: Rows, name: str, rejections: Rejections) -> Numbers:
    """A required column of finite numbers; rejected rows hold NaN."""
    column = _sent(rows, name)
    values, missing = _fast_numbers(column) or _slow_numbers(listed(column), name, rejections)
    rejections.reject(missing, name, "missing", lambda _: f"{name} is missing.")
    rejections.reject(~np.isfinite(values), name, "not-finite", lambda index: f"{name} is {values[index]}; leave a missing measurement out instead.")
    return values


def _sent(rows: Rows, name: str) -> Column:
    column = rows.columns.get(name)
    return pa.nulls(len(rows)) if column is None else column


def _fast_numbers(column: Column) -> tuple[Numbers, Mask] | None:
    """All values at once, if all are numbers."""
    if isinstance(column, list) and bool in set(map(type, column)):
        return None
    if not isinstance(column, list) and (pa.types.is_timestamp(column.type) or pa.types.is_dictionary(column.type)):
        return None
    try:
        array = pa.array(column, pa.float64()) if isinstance(column, list) else column.cast(pa.float64(), safe=False)
    except pa.ArrowException:
        return None
    missing = array.is_null().to_numpy(zero_copy_only=False)
    return array.fill_null(np.nan).to_numpy(zero_copy_only=False), missing


def _slow_numbers(column: list[Any], name: str, rejections: Rejections) -> tuple[Numbers, Mask]:
    values = [_number(value) for value in column]
    wrong = np.array([value is None and sent is not None for value, sent in zip(values, column, strict=True)], dtype=np.bool_)
    rejections.reject(wrong, name, "not-a-number", lambda index: f"{name} must be a number, not {_shown(column[index])}.")
    missing = np.array([sent is None for sent in column], dtype=np.bool_)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64), missing


def _number(value: Any) -> float | None:
    """A number, also from the text of a CSV field."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or (isinstance(value, str) and len(value) > LONGEST):
        return None
    try:
        return float(value)
    except ValueError:
        return None
    except OverflowError:
        return float("inf")


def moments(rows: Rows, name: str, rejections: Rejections) -> Moments:
    """A required column of times with their zone: RFC 3339 texts or Arrow timestamps. Rejected rows hold `BEYOND`."""
    column = _sent(rows, name)
    if not isinstance(column, list) and pa.types.is_timestamp(column.type):
        values, missing = _timestamps(column, name, rejections)
    else:
        values, missing = _fast_moments(column) or _slow_moments(listed(column), name, rejections)
    rejections.reject(missing, name, "missing", lambda _: f"{name} is missing.")
    return values


def _timestamps(column: pa.Array, name: str, rejections: Rejections) -> tuple[Moments, Mask]:
    if column.type.tz is None:
        rejections.reject(np.ones(len(column), dtype=np.bool_), name, "time-without-zone", lambda _: f"{name} has no zone; make it timestamp[us, UTC].")
    missing = column.is_null().to_numpy(zero_copy_only=False)
    counts = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if column.type.unit == "ns":
        return counts // 1000, missing
    factor = _UNITS[column.type.unit]
    within = (counts <= BEYOND // factor) & (counts >= -(BEYOND // factor))
    return np.where(within, np.where(within, counts, 0) * factor, BEYOND), missing


def _fast_moments(column: Column) -> tuple[Moments, Mask] | None:
    """All texts at once, if all bear a zone and are in the form that Arrow reads. A batch repeats its times, so each is read once."""
    codes: NDArray[np.int32] | None = None
    try:
        if isinstance(column, list):
            if not set(map(type, column)) <= {str, type(None)}:
                return None
            coded = _Codes()
            codes = np.fromiter(map(coded.__getitem__, column), dtype=np.int32, count=len(column))
            column = pa.array([*coded.texts, None], pa.string())  # the last one is what -1 stands for
        elif not pa.types.is_string(column.type):
            return None
        found = compute.cast(column, pa.timestamp("us", "UTC"))
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    missing = found.is_null().to_numpy(zero_copy_only=False)
    moments = found.cast(pa.int64()).fill_null(BEYOND).to_numpy(zero_copy_only=False)
    return (moments, missing) if codes is None else (moments[codes], missing[codes])


def _slow_moments(column: list[Any], name: str, rejections: Rejections) -> tuple[Moments, Mask]:
    parsed = [_moment(value) for value in column]
    for code, why in (("not-a-time", "is not a time; write it as 2026-11-22T08:00:00+08:00"), ("time-without-zone", "has no zone; add Z or +08:00")):
        wrong = np.array([value == code for value in parsed], dtype=np.bool_)
        rejections.reject(wrong, name, code, _explain(column, name, why))
    missing = np.array([value is None for value in column], dtype=np.bool_)
    return np.array([value if isinstance(value, int) else BEYOND for value in parsed], dtype=np.int64), missing


def _explain(column: list[Any], name: str, why: str) -> Callable[[int], str]:
    return lambda index: f"{name} {_shown(column[index])} {why}."


def _moment(value: Any) -> int | str | None:
    """Microseconds since 1970, or the code of what is wrong."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST:
        return "not-a-time"
    try:
        moment = datetime.fromisoformat(value.strip().upper())
    except ValueError:
        return "not-a-time"
    if moment.tzinfo is None:
        return "time-without-zone"
    return microseconds(moment)


def _shown(value: Any) -> str:
    """A value in a message: short, whatever was sent."""
    return repr(value)[:40] if isinstance(value, str | int | float | bool) else f"a {type(value).__name__}"
