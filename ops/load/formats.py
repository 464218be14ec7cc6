"""Reads times in stated formats, a whole column at once, and strictly: 30 February is no date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
_DIGITS = {"Y": r"\d{4}", "f": r"\d{1,6}", "p": r"[AaPp]\.?[Mm]\.?", "z": r"Z|[+-]\d{2}:?\d{2}"}
_TWO = ("m", "d", "H", "I", "M", "S")
_ISO = (
    r"(?P<Y>\d{4})-?(?P<m>\d{2})-?(?P<d>\d{2})(?:[Tt ](?P<H>\d{2})(?::?(?P<M>\d{2})(?::?(?P<S>\d{2})(?:[.,](?P<f>\d{1,6})\d*)?)?)?)?"
    r" ?(?P<z>[Zz]|[+-]\d{2}(?::?\d{2})?)?"
)
_HOUR_US = 3_600_000_000
_MINUTE_US = 60_000_000
_DAY_US = 24 * _HOUR_US


class FormatError(ValueError):
    """What is wrong with a format."""


@dataclass(frozen=True, slots=True)
class Read:
    """Times as they were written."""

    local: Numbers
    """Microseconds since 1970 on the clock that the text shows; 0 where there is no time."""
    offset: Numbers
    """The offset that the text bears, in microseconds."""
    has_offset: Mask
    good: Mask


@cache
def pattern_of(form: str) -> str:
    """A format as an RE2 expression with a group for each directive. Digits without a separator between them have their full number.

    Raises `FormatError` for directives other than %Y %m %d %H %I %M %S %f %p %z, repeated ones, and a format without a whole date.
    """
    if form == "iso":
        return f"^{_ISO}$"
    found, last = [], 0
    directives = list(re.finditer(r"%(.?)", form))
    for index, directive in enumerate(directives):
        found.append(re.escape(form[last : directive.start()]))
        last = directive.end()
        adjoining = index + 1 < len(directives) and directives[index + 1].start() == last
        adjoining |= index > 0 and directives[index - 1].end() == directive.start()
        found.append(_expression(directive[1], form, adjoining=adjoining))
    letters = [directive[1] for directive in directives if directive[1] != "%"]
    if len(set(letters)) != len(letters):
        raise FormatError(f"time format {form!r} has a directive twice")
    if not {"Y", "m", "d"} <= set(letters):
        raise FormatError(f"time format {form!r} needs %Y, %m and %d")
    if ("I" in letters) != ("p" in letters):
        raise FormatError(f"time format {form!r}: %I and %p come together")
    return "^" + "".join(found) + re.escape(form[last:]) + "$"


def _expression(directive: str, form: str, *, adjoining: bool) -> str:
    if directive == "%":
        return "%"
    if directive in _TWO:
        return rf"(?P<{directive}>\d{{{'2' if adjoining else '1,2'}}})"
    if directive in _DIGITS:
        return f"(?P<{directive}>{_DIGITS[directive]})"
    raise FormatError(f"time format {form!r}: %{directive} is not taken; use %Y %m %d %H %I %M %S %f %p %z, or iso")


def read_times(texts: pa.Array, forms: tuple[str, ...]) -> Read:
    """Times by the first format that fits each text; a null is not good."""
    size = len(texts)
    found = Read(np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.bool_), np.zeros(size, np.bool_))
    for form in forms:
        if found.good.all():
            break
        each = _read(texts, form)
        new = each.good & ~found.good
        for have, got in ((found.local, each.local), (found.offset, each.offset), (found.has_offset, each.has_offset), (found.good, each.good)):
            have[new] = got[new]
    return found


def _read(texts: pa.Array, form: str) -> Read:
    parts = compute.extract_regex(texts, pattern_of(form))
    good = parts.is_valid().to_numpy(zero_copy_only=False)
    groups = {field.name: parts.field(index) for index, field in enumerate(parts.type)}
    number = {name: _integers(group, good) for name, group in groups.items() if name in ("Y", *_TWO)}
    day, dated = _days(number["Y"], number["m"], number["d"])
    hour, timed = _hours(number, groups.get("p"), good)
    zero = np.zeros(len(texts), np.int64)
    minute, second = number.get("M", zero), number.get("S", zero)
    good = good & dated & timed & (minute < 60) & (second < 60)
    local = day * _DAY_US + hour * _HOUR_US + minute * _MINUTE_US + second * 1_000_000 + _fraction(groups.get("f"), good)
    offset, has_offset = _offset(groups.get("z"), good)
    return Read(np.where(good, local, 0), offset, has_offset, good & (np.abs(offset) < _DAY_US))


def _integers(group: pa.Array, good: Mask) -> Numbers:
    """Digits as numbers; 0 where the group is empty or the text did not fit."""
    digits = compute.if_else(compute.and_(pa.array(good), compute.not_equal(group, "")), group, "0")
    found: Numbers = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


def _days(year: Numbers, month: Numbers, day: Numbers) -> tuple[Numbers, Mask]:
    """Days since 1970, and whether the calendar has that day."""
    sound = (month >= 1) & (month <= 12) & (year >= 1)
    months = np.where(sound, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first
    sound &= (day >= 1) & (day <= length)
    return np.where(sound, first + day - 1, 0), sound


def _hours(number: dict[str, Numbers], half: pa.Array | None, good: Mask) -> tuple[Numbers, Mask]:
    if half is not None:
        hour = number["I"]
        after_noon = compute.fill_null(compute.match_substring_regex(half, "^[Pp]"), fill_value=False).to_numpy(zero_copy_only=False)
        return hour % 12 + 12 * after_noon, (hour >= 1) & (hour <= 12)
    hour = number.get("H", np.zeros(len(good), np.int64))
    return hour, hour < 24


def _fraction(group: pa.Array | None, good: Mask) -> Numbers:
    if group is None:
        return np.zeros(len(good), np.int64)
    return _integers(compute.if_else(compute.equal(group, ""), "", compute.utf8_rpad(group, 6, "0")), good)


def _offset(group: pa.Array | None, good: Mask) -> tuple[Numbers, Mask]:
    """Offsets in microseconds, and which texts bear one."""
    if group is None:
        return np.zeros(len(good), np.int64), np.zeros(len(good), np.bool_)
    stated = compute.fill_null(compute.not_equal(group, ""), fill_value=False).to_numpy(zero_copy_only=False) & good
    parts = compute.extract_regex(group, r"^(?P<sign>[+-])(?P<h>\d{2}):?(?P<m>\d{2})?$")
    there = parts.is_valid().to_numpy(zero_copy_only=False)
    amount = _integers(parts.field(1), there) * _HOUR_US + _integers(parts.field(2), there) * _MINUTE_US
    west = compute.fill_null(compute.equal(parts.field(0), "-"), fill_value=False).to_numpy(zero_copy_only=False)
    return np.where(west, -amount, amount), stated
