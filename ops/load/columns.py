"""Makes a column of the target's rows from a chunk of the file; what cannot be made is a fault of its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray

from ops.load.chunks import Chunk, Fault, Lines
from ops.load.formats import read_times
from ops.load.mapping import CannotMap, Cell, Clock, Column, FileMapping, Steps
from ops.load.opening import REPLACED
from ops.load.templates import parts_of
from ops.load.zones import offsets, zone_of

Mask = NDArray[np.bool_]
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_INTEGER = r"^[+-]?\d{1,18}$"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
INSTANT = pa.timestamp("us", "UTC")


@dataclass(slots=True)
class Faults:
    """The first fault of each line of a chunk."""

    lines: Lines
    alive: Mask = field(init=False)
    found: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alive = np.ones(len(self.lines), np.bool_)

    def reject(self, bad: Mask, code: str, detail: Callable[[int], str]) -> None:
        """Reject the lines that `bad` marks; `detail` explains one of them by its index."""
        indices = np.flatnonzero(bad & self.alive).tolist()
        if indices:
            self.alive[indices] = False
            self.found += [Fault(int(self.lines[index]), code, detail(index)) for index in indices]


@dataclass(slots=True)
class Maker:
    """Makes columns from one chunk; later ones may use earlier ones."""

    chunk: Chunk
    mapping: FileMapping
    made: dict[str, pa.Array] = field(default_factory=dict)

    def make(self, name: str, alternatives: tuple[Column, ...], faults: Faults) -> pa.Array:
        """The column, kept under its name; of several alternatives the first that is not missing."""
        found = [self.value(name, each, faults) for each in alternatives]
        self.made[name] = found[0] if len(found) == 1 else compute.coalesce(*found)
        if any(each.required for each in alternatives):
            faults.reject(_nulls(self.made[name]), "missing", lambda _: f"{name} is missing.")
        return self.made[name]

    def value(self, name: str, column: Column, faults: Faults) -> pa.Array:
        """One alternative of a column, of its type; null where it is missing or at fault."""
        if column.constant is not None:
            return pa.repeat(column.constant, len(self.chunk))
        if column.steps is not None:
            return _stepped(name, column.steps, self.chunk.lines, self.mapping.clock)
        text = self._template(column.template) if column.template is not None else self._source(column.source or "", faults)
        text = _without(text, (*self.mapping.file.missing, *column.missing))
        if column.extract is not None:
            text = _extracted(name, text, column.extract, faults)
        if column.values is not None:
            text = _looked_up(name, text, column, self.mapping.table(column.values), faults)
        if column.time:
            return _instants(name, text, column.time, self.mapping.clock, faults)
        return _typed(name, text, column, faults)

    def _source(self, source: str, faults: Faults) -> pa.Array:
        """A column of the file without the white space around its texts; empty ones are null, and so is what a JSON record leaves out."""
        if source not in self.chunk.table.column_names:
            return pa.nulls(len(self.chunk), pa.string())
        found = self.chunk.table.column(source).combine_chunks()
        broken = _marked(compute.match_substring(found, REPLACED))
        faults.reject(broken, "undecodable", lambda index: f"{source} is not {self.mapping.file.encoding}: {found[index].as_py()[:60]!r}.")
        return _without(compute.utf8_trim_whitespace(found), ("",))

    def _template(self, template: str) -> pa.Array:
        ignored = Faults(self.chunk.lines)
        parts: list[pa.Array | str] = []
        for piece in parts_of(template):
            parts.append(piece.text)
            if piece.column is not None:
                parts.append(self._already(piece.column) if piece.made else self._source(piece.column, ignored))
        return compute.binary_join_element_wise(*parts, "", null_handling="emit_null")

    def _already(self, name: str) -> pa.Array:
        if name not in self.made:
            raise CannotMap(f"The mapping uses {{={name}}} before it makes that column. Put {name} further up.")
        return self.made[name].cast(pa.string())


def cell_value(maker: Maker, cell: Cell, faults: Faults) -> pa.Array:
    """The values of a column of a wide file."""
    return maker.value(f"{cell.into} ({cell.source})", cell, faults)


def _without(text: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    if not missing:
        return text
    return compute.if_else(compute.is_in(text, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), text)


def _extracted(name: str, text: pa.Array, expression: str, faults: Faults) -> pa.Array:
    found = compute.extract_regex(text, expression)
    faults.reject(_valid(text) & ~_valid(found), "unexpected-form", lambda index: f"{name}: {_shown(text, index)} is not as the mapping expects.")
    return compute.if_else(found.is_valid(), found.field(0), pa.scalar(None, pa.string()))


def _looked_up(name: str, text: pa.Array, column: Column, table: Mapping[str, object], faults: Faults) -> pa.Array:
    encoded = text.dictionary_encode()
    known = encoded.dictionary.to_pylist()
    other = _text(column.otherwise) if column.otherwise is not None else None
    into = [_text(table[each]) if each in table else each if column.unknown == "keep" else other for each in known]
    found = pa.array(into, pa.string()).take(encoded.indices)
    if column.unknown == "reject" and column.otherwise is None:
        faults.reject(_valid(text) & ~_valid(found), "unknown-value", lambda index: f"{name}: the mapping has no value for {_shown(text, index)}.")
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _instants(name: str, text: pa.Array, forms: tuple[str, ...], clock: Clock | None, faults: Faults) -> pa.Array:
    """Local times as instants, by the text's own offset if it bears one, else by the mapping's clock."""
    assert clock is not None
    read = read_times(text, forms)
    faults.reject(_valid(text) & ~read.good, "not-a-time", lambda index: f"{name}: {_shown(text, index)} is not a time of the form {' or '.join(forms)}.")
    by_clock = read.good & ~read.has_offset
    before, after = offsets(np.where(by_clock, read.local, 0), zone_of(clock.zone))
    twice, never = by_clock & (before > after), by_clock & (before < after)
    if clock.ambiguous == "reject":
        faults.reject(twice, "ambiguous-time", lambda index: f"{name}: the clock of {clock.zone} shows {_shown(text, index)} twice.")
    if clock.skipped == "reject":
        faults.reject(never, "no-such-time", lambda index: f"{name}: the clock of {clock.zone} never shows {_shown(text, index)}.")
    chosen = np.where(twice & (clock.ambiguous == "second"), after, before)
    instants = read.local - np.where(read.has_offset, read.offset, chosen)
    return pa.array(instants, INSTANT, mask=~read.good)


def _stepped(name: str, steps: Steps, lines: Lines, clock: Clock | None) -> pa.Array:
    """Instants that follow one another by the line; the first line after the header is line 2."""
    refused = Faults(np.zeros(1, np.int64))
    first = _instants(name, pa.array([steps.first]), ("iso",), clock, refused)
    if refused.found or not first.is_valid()[0].as_py():
        raise CannotMap(f"{name}: the first of the steps, {steps.first!r}, is no time of the clock.")
    return pa.array(first.cast(pa.int64())[0].as_py() + (lines - 2) * steps.every_s * 1_000_000, INSTANT)


def _typed(name: str, text: pa.Array, column: Column, faults: Faults) -> pa.Array:
    if column.type == "number":
        return _numbers(name, text, faults)
    if column.type == "integer":
        proper = _proper(name, text, _INTEGER, "not-an-integer", faults)
        return proper.cast(pa.int64())
    if column.type == "boolean":
        lower = compute.utf8_lower(text)
        proper = _proper(name, lower, f"^(?:{'|'.join(_TRUE + _FALSE)})$", "not-a-boolean", faults)
        return compute.if_else(proper.is_valid(), compute.is_in(proper, pa.array(_TRUE)), pa.scalar(None, pa.bool_()))
    return text


def _numbers(name: str, text: pa.Array, faults: Faults) -> pa.Array:
    proper = _proper(name, text, _NUMBER, "not-a-number", faults)
    found = proper.cast(pa.float64())
    infinite = ~np.isfinite(found.fill_null(0).to_numpy(zero_copy_only=False))
    faults.reject(infinite, "not-finite", lambda index: f"{name}: {_shown(text, index)} is too large for a number.")
    return found


def _proper(name: str, text: pa.Array, expression: str, code: str, faults: Faults) -> pa.Array:
    good = compute.match_substring_regex(text, expression)
    faults.reject(_valid(text) & ~_marked(good), code, lambda index: f"{name}: {_shown(text, index)} is {code.replace('-', ' ')}.")
    return compute.if_else(good, compute.utf8_ltrim(text, "+"), pa.scalar(None, pa.string()))


def _valid(array: pa.Array) -> Mask:
    found: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return found


def _nulls(array: pa.Array) -> Mask:
    return ~_valid(array)


def _marked(array: pa.Array) -> Mask:
    found: Mask = compute.fill_null(array, fill_value=False).to_numpy(zero_copy_only=False)
    return found


def _shown(text: pa.Array, index: int) -> str:
    return repr(text[index].as_py())[:80]
