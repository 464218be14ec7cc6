"""What the rows of a stream consist of, and how the columns that the database sends become them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Column, ColumnElement

from shared.datasets.bulk_sql import arriving, key_column, place_columns, place_types
from shared.datasets.formats import ARROW_TYPES, moments_as_text
from shared.datasets.view import View

Shape = Literal["table", "features", "fields"]
"""`table`: as the paged Arrow form, `id` before the fields, `lon`, `lat` or `geometry` after them, unless a field is called so.
`features`: `_id`, the fields, then `_lon`, `_lat` or `_geometry`, whatever fields there are. `fields`: the chosen fields alone."""


def schema_of(view: View, names: Sequence[str], shape: Shape) -> pa.Schema:
    """The columns of a stream, with the types of the paged Arrow form."""
    fields = {name: ARROW_TYPES[view.fields[name].type] for name in names}
    places = {} if shape == "fields" else place_types(view)
    if shape == "features":
        return pa.schema({"_id": pa.string(), **fields, **{f"_{name}": kind for name, kind in places.items()}})
    ids = {} if shape == "fields" or "id" in fields else {"id": pa.string()}
    return pa.schema({**ids, **fields, **{name: kind for name, kind in places.items() if name not in fields}})


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns are read, and which of them make which column of the stream."""

    schema: pa.Schema
    read: Mapping[str, ColumnElement[Any]]
    """What the database is asked for, by the name under which it arrives."""
    keys: Sequence[str]
    """Names of the arriving columns that make the feature's id, if it is wanted."""
    fields: Mapping[str, str]
    """Arriving name of each field."""
    places: Sequence[tuple[str, str]]
    """Name in the stream and arriving name of each part of the place."""

    @classmethod
    def of(cls, view: View, names: Sequence[str], shape: Shape) -> Self:
        schema = schema_of(view, names, shape)
        read: dict[str, ColumnElement[Any]] = {}
        fields = {name: _kept(read, arriving(view.columns[name], view.fields[name].type)) for name in names}
        with_id = "_id" in schema.names or (schema.names[:1] == ["id"] and "id" not in fields)
        keys = [_kept(read, key_column(column)) for column in view.keys] if with_id else []
        prefix = "_" if shape == "features" else ""
        wanted = [] if shape == "fields" else [(prefix + name, column) for name, column in place_columns(view) if prefix or name not in fields]
        places = [(name, _kept(read, column)) for name, column in wanted]
        return cls(schema, read, keys, fields, places)

    def shaped(self, arrived: pa.RecordBatch) -> pa.RecordBatch:
        """A batch as the database sent it, as a batch of the stream."""
        columns = [arrived.column(source) for source in self.fields.values()]
        if self.keys:
            columns.insert(0, _ids([arrived.column(name) for name in self.keys]))
        columns += _together([arrived.column(source) for _, source in self.places])
        typed = [column if column.type == field.type else column.cast(field.type) for column, field in zip(columns, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(typed, schema=self.schema)


def _kept(read: dict[str, ColumnElement[Any]], column: ColumnElement[Any]) -> str:
    """The arriving name of a column; one that is read already is not read again."""
    found = next((name for name, known in read.items() if known is column), None) if isinstance(column, Column) else None
    name = found or f"c{len(read)}"
    read[name] = column
    return name


def _ids(keys: Sequence[pa.Array]) -> pa.Array:
    """The feature's id: the texts of the key's columns joined by `~`."""
    texts = [moments_as_text(key) if pa.types.is_timestamp(key.type) else key.cast(pa.string()) for key in keys]
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "~")


def _together(parts: Sequence[pa.Array]) -> list[pa.Array]:
    """A longitude without a latitude is no place, and the other way round."""
    if len(parts) != 2 or not any(part.null_count for part in parts):
        return list(parts)
    whole = pc.and_(parts[0].is_valid(), parts[1].is_valid())
    return [pc.if_else(whole, part, pa.scalar(None, part.type)) for part in parts]
