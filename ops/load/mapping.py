"""The mapping file: which column of a publisher's file becomes which column of a service's rows, and how."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as compute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ops.load.formats import FormatError, pattern_of
from ops.load.templates import TemplateError, parts_of
from ops.load.zones import zone_of
from shared.coordinates import Crs

SHIPPED = Path(__file__).resolve().parent.parent / "mappings"
LARGEST_BATCH = 50_000
"""Most rows that a service takes in one body."""
Scalar = str | bool | int | float
Missing = tuple[str, ...]


class CannotMap(Exception):
    """The mapping, or the file that it is used on, cannot be read; the text says where and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(_Part):
    """What the mapping loads."""

    zh: str
    en: str


class Target(_Part):
    """Where the rows go."""

    service: Annotated[str, Field(pattern=r"^[a-z]+$")]
    path: Annotated[str, Field(pattern=r"^/[a-z_/-]+$")]
    method: Literal["POST", "PUT"] = "POST"
    body: Literal["json", "arrow"] = "json"
    batch: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] = 5_000
    """Most rows in one request, which is one transaction."""
    concurrency: Annotated[int, Field(ge=1, le=4)] = 2
    """Requests under way at once; 1 where a row may refer to an earlier one."""


class FileForm(_Part):
    """How the file is written."""

    format: Literal["csv", "json", "ndjson", "geojson", "rss"] | None = None
    """What the file's name tells, if not given."""
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    missing: Missing = ()
    """Texts that stand for a missing value; an empty cell always does."""

    @model_validator(mode="after")
    def _known_encoding(self) -> Self:
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"Python knows no encoding {self.encoding!r}; some are utf-8, latin-1, gb18030") from error
        return self


class Clock(_Part):
    """How local times become instants."""

    zone: str
    """IANA zone, or a fixed offset such as +08:00."""
    ambiguous: Literal["first", "second", "reject"] = "reject"
    """A local time that the clock shows twice, in autumn: the first instant, the second, or neither."""
    skipped: Literal["shift", "reject"] = "reject"
    """A local time that the clock skips, in spring: as if it had not been changed yet (02:30 becomes 03:30), or not at all."""

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            zone_of(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no zone {self.zone!r}; name it as in the IANA database, or give an offset such as +08:00") from error
        return self


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Steps(_Part):
    """Times of a file that states none: each line is so many seconds after the one before it."""

    first: str
    """Of the first line after the header: `2012-03-01T00:00`, by the mapping's clock unless it bears an offset."""
    every_s: Annotated[int, Field(ge=1, le=31 * 86_400)]


class Column(_Part):
    """How one column is made: from a column of the file, a template of several, a constant, or steps of time; then extracted, looked up, converted."""

    source: Annotated[str | None, Field(alias="from")] = None
    template: str | None = None
    """`{name}` is a column of the file, `{=name}` one already made by this mapping; missing if any part is."""
    constant: Scalar | None = None
    steps: Steps | None = None
    missing: Missing = ()
    extract: str | None = None
    """An RE2 expression with one group, `(?P<value>…)`."""
    values: str | dict[str, Scalar] | None = None
    """A table from the file's texts to others, here or by its name in `tables`."""
    unknown: Literal["reject", "missing", "keep"] = "reject"
    """What becomes of a text that the table lacks."""
    otherwise: Scalar | None = None
    """What stands in for a text that the table lacks."""
    type: Literal["text", "number", "integer", "boolean", "geometry"] = "text"
    time: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    """Formats of a time, the first that fits: `iso`, or strptime's %Y %m %d %H %I %M %S %f %p %z."""
    required: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if sum(given is not None for given in (self.source, self.template, self.constant, self.steps)) != 1:
            raise ValueError("give one of from, template, constant, steps")
        try:
            for form in self.time:
                pattern_of(form)
            if self.template is not None:
                parts_of(self.template)
        except (FormatError, TemplateError) as error:
            raise ValueError(str(error)) from error
        if self.extract is not None:
            _check_extract(self.extract)
        if self.otherwise is not None and self.values is None:
            raise ValueError("otherwise needs values")
        if self.time and self.type != "text":
            raise ValueError("a time has no other type")
        return self


def _check_extract(expression: str) -> None:
    try:
        found = compute.extract_regex(pa.array([""]), expression)
    except pa.ArrowInvalid as error:
        raise ValueError(f"extract: {error}") from error
    if [field.name for field in found.type] != ["value"]:
        raise ValueError("extract needs one group, (?P<value>…)")


class Cell(Column):
    """A column of a wide file that becomes a row of its own."""

    type: Literal["text", "number", "integer", "boolean", "geometry"] = "number"
    into: str = "value"
    set: dict[str, Scalar]
    """What the row says beside the value: property, unit."""


class Wide(_Part):
    """Columns that are told by their names, each to become a row of its own: a sensor each, a year each."""

    columns: str
    """An RE2 expression for the whole name of such a column of the file."""
    name: str
    """The column of the target that the name goes into."""
    prefix: str = ""
    """Before the name: `metr-la-`."""
    into: str = "value"
    type: Literal["text", "number", "integer", "boolean"] = "number"
    missing: Missing = ()
    """Texts of these columns alone that stand for a missing value: `0` where it says that there is no relation."""
    set: dict[str, Scalar] = {}

    @model_validator(mode="after")
    def _an_expression(self) -> Self:
        try:
            compute.match_substring_regex(pa.array([""]), self.columns)
        except pa.ArrowInvalid as error:
            raise ValueError(f"columns: {error}") from error
        return self

    def cell(self, column: str) -> Cell:
        said = {"into": self.into, "type": self.type, "missing": self.missing, "set": {**self.set, self.name: self.prefix + column}}
        return Cell.model_validate({"from": column, **said})


class Matrix(_Part):
    """A square file without a header: its columns and, in the same order, its lines are named by a column of another file."""

    file: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    """Name of the CSV file with the names; it lies beside the one that is loaded."""
    column: str
    line: Annotated[str, Field(min_length=1)] = "line"
    """Under this name [columns] finds the name of a line, as if it were a column of the file."""


class Declared(_Part):
    """What the rows refer to, sent before them: their distinct combinations of some columns."""

    path: Annotated[str, Field(pattern=r"^/[a-z_/-]+$")]
    method: Literal["POST", "PUT"] = "PUT"
    distinct: Annotated[tuple[str, ...], Field(min_length=1)]
    constants: dict[str, Scalar] = {}


def _as_columns(value: Any) -> Any:
    """`"name"` is short for `{from = "name"}`; a list gives alternatives, the first that is not missing."""
    if isinstance(value, str):
        return ({"from": value},)
    return (value,) if isinstance(value, dict) else value


Columns = Annotated[tuple[Column, ...], BeforeValidator(_as_columns), Field(min_length=1)]


class FileMapping(_Part):
    """A whole mapping, as its file states it."""

    title: Title
    source: str
    """Who publishes the original, and under which name."""
    licence: str
    notes: str = ""
    target: Target
    file: FileForm = FileForm()
    clock: Clock | None = None
    columns: dict[str, Columns]
    """Made in this order; templates of later ones may use earlier ones."""
    cells: tuple[Cell, ...] = ()
    """A wide file: every line becomes a row for each of these that is not empty."""
    wide: Wide | None = None
    """Such columns, named by an expression: the file's header says which they are."""
    matrix: Matrix | None = None
    """Where the names are of a file that has no header; [wide] says what becomes of its cells."""
    add: tuple[dict[str, Scalar], ...] = ()
    """Rows that the file lacks, sent with its first batch."""
    declare: Declared | None = None
    tables: dict[str, dict[str, Scalar]] = {}
    name: str = ""
    digest: str = ""
    """SHA-256 of the mapping file, hexadecimal."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = sorted({each.values for each in self._every if isinstance(each.values, str)} - set(self.tables))
        if unknown:
            raise ValueError(f"there is no table {unknown[0]!r} in tables")
        if any(each.time or each.steps for each in self._every) and self.clock is None:
            raise ValueError('times need a [clock] with their zone, even if they bear offsets: zone = "UTC"')
        if self.wide and self.cells:
            raise ValueError("give cells, or wide")
        if self.matrix and not self.wide:
            raise ValueError("a matrix needs [wide]: its cells become rows")
        if self.matrix and any(each.steps for each in self._every):
            raise ValueError("steps follow the lines after a header, which a matrix has not")
        made = set(self.columns) | {name for cell in self.cells for name in (cell.into, *cell.set)}
        made |= {self.wide.name, self.wide.into, *self.wide.set} if self.wide else set()
        if self.declare and not set(self.declare.distinct) <= made:
            raise ValueError(f"declare: no column {min(set(self.declare.distinct) - made)!r} is made")
        if self.add and self.target.body != "json":
            raise ValueError('rows to add need target.body = "json"')
        if len({(cell.into, frozenset(cell.set)) for cell in self.cells}) > 1:
            raise ValueError("every cell must make the same columns")
        return self

    @model_validator(mode="after")
    def _with_crs(self) -> Self:
        """A point without its system would be taken for another, 500 m away."""
        stated = self.columns.get("crs", ())
        systems = ", ".join(Crs)
        if {"lon", "lat"} & set(self.columns) and (len(stated) != 1 or stated[0].constant not in set(Crs)):
            raise ValueError(f"lon and lat need crs = {{ constant = … }}, one of {systems}")
        return self

    @property
    def _every(self) -> list[Column]:
        return [each for columns in self.columns.values() for each in columns] + list(self.cells)

    @property
    def sources(self) -> set[str]:
        """Columns that the file must have."""
        named = {each.source for each in self._every if each.source is not None}
        templates = [piece for each in self._every if each.template is not None for piece in parts_of(each.template)]
        return named | {piece.column for piece in templates if piece.column is not None and not piece.made}

    def fitted(self, header: Sequence[str]) -> FileMapping:
        """This mapping with a cell for each column of a header that `wide` means. Raises `CannotMap` if there is none."""
        if self.wide is None:
            return self
        meant = compute.match_substring_regex(pa.array(header, pa.string()), f"^(?:{self.wide.columns})$").to_pylist()
        cells = tuple(self.wide.cell(name) for name, is_meant in zip(header, meant, strict=True) if is_meant)
        if not cells:
            raise CannotMap(f"No column of the file is named as {self.wide.columns!r} says. It has {', '.join(header[:20])}.")
        return self.model_copy(update={"cells": cells, "wide": None})

    @property
    def lines_in_batch(self) -> int:
        """Lines of the file that make one batch."""
        return max(1, self.target.batch // max(1, len(self.cells)))

    def table(self, values: str | dict[str, Scalar]) -> dict[str, Scalar]:
        """A column's table, wherever it stands."""
        return self.tables[values] if isinstance(values, str) else values


def shipped() -> list[FileMapping]:
    """The mappings that come with the project, by name."""
    return [read_mapping(path.stem) for path in sorted(SHIPPED.glob("*.toml"))]


def read_mapping(name: str) -> FileMapping:
    """A shipped mapping by its name, or any by the path of its file. Raises `CannotMap`."""
    path = Path(name) if name.endswith(".toml") or "/" in name else SHIPPED / f"{name}.toml"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotMap(_not_found(name, path, error)) from error
    try:
        stated = tomllib.loads(content.decode())
        return FileMapping.model_validate({**stated, "name": path.stem, "digest": hashlib.sha256(content).hexdigest()})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotMap(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise CannotMap(f"{path} is not a mapping: {_first_faults(error)}") from error


def _not_found(name: str, path: Path, error: OSError) -> str:
    if path.parent != SHIPPED:
        return f"The mapping {path} cannot be read: {error.strerror or error}."
    known = [found.stem for found in SHIPPED.glob("*.toml")]
    return f"No mapping {name!r} comes with the project.{suggestion(name, known)} `liandong load --list` shows all."


def suggestion(name: str, known: Sequence[str]) -> str:
    """` Did you mean 'x'?`, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _first_faults(error: ValidationError) -> str:
    found = [(".".join(str(part) for part in fault["loc"]), fault["msg"].removeprefix("Value error, ")) for fault in error.errors()[:3]]
    return "; ".join(f"{where or 'as a whole'}: {what}" for where, what in found)
