"""Pages of records as GeoJSON, CSV and Arrow, and the choice among them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from shared.datasets.declaration import FieldType, Point
from shared.datasets.negotiation import choose_form
from shared.datasets.records import Page
from shared.datasets.view import View

Form = Literal["geojson", "json", "csv", "arrow"]
MEDIA_TYPES: dict[str, str] = {
    "geojson": "application/geo+json",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""`json` is the same document as `geojson`, for clients that know only that name."""
_ASKED: dict[str, Form] = {
    "application/geo+json": "geojson",
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "*/*": "geojson",
    "application/*": "geojson",
    "text/*": "csv",
}
ARROW_TYPES: dict[FieldType, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}
_JSON = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def asked_form(f: str | None, accept: str) -> Form:
    """The form of records that a request asks for."""
    return choose_form(f, accept, _ASKED)


def encode_json(value: Any) -> bytes:
    """JSON with times in UTC as `…Z` and decimals as numbers."""
    return orjson.dumps(value, default=float, option=_JSON)


def features(page: Page, *, swapped: bool = False) -> list[dict[str, Any]]:
    """The rows as GeoJSON features (RFC 7946); coordinates as latitude, longitude if `swapped` (OGC 18-058r1)."""
    names = page.names
    return [
        {"type": "Feature", "id": feature_id, "geometry": _geometry(geometry, swapped), "properties": dict(zip(names, row, strict=True))}
        for feature_id, row, geometry in zip(page.ids, page.rows, page.geometries, strict=True)
    ]


def _geometry(geometry: Any, swapped: bool) -> Any:
    if isinstance(geometry, tuple):
        return {"type": "Point", "coordinates": geometry[::-1] if swapped else geometry}
    if isinstance(geometry, str):
        return swap(json.loads(geometry)) if swapped else orjson.Fragment(geometry)
    return None


def swap(geometry: dict[str, Any]) -> dict[str, Any]:
    """A GeoJSON geometry with latitude before longitude."""
    if geometry["type"] == "GeometryCollection":
        return {**geometry, "geometries": [swap(part) for part in geometry["geometries"]]}

    def turn(part: Any) -> Any:
        return [part[1], part[0], *part[2:]] if isinstance(part[0], int | float) else [turn(inner) for inner in part]

    return {**geometry, "coordinates": turn(geometry["coordinates"])}


def table(page: Page, view: View) -> pa.Table:
    """The rows as a table: the feature's id, the fields, and where it lies (`lon`, `lat`, or `geometry` as GeoJSON text)."""
    columns: dict[str, pa.Array] = {}
    if "id" not in page.names:
        columns["id"] = pa.array(page.ids, pa.string())
    values = list(zip(*page.rows, strict=True)) or [()] * len(page.names)
    for name, column in zip(page.names, values, strict=True):
        columns[name] = _column(column, view.fields[name].type)
    if view.geometry is not None:
        for name, place in _places(view, page.geometries).items():
            columns.setdefault(name, place)
    return pa.table(columns)


def _column(values: Sequence[Any], kind: FieldType) -> pa.Array:
    if kind == "number":
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(values, ARROW_TYPES[kind])


def _places(view: View, geometries: Sequence[Any]) -> dict[str, pa.Array]:
    if not isinstance(view.dataset.geometry, Point):
        return {"geometry": pa.array(geometries, pa.string())}
    lon, lat = ([None if point is None else point[axis] for point in geometries] for axis in (0, 1))
    return {"lon": pa.array(lon, pa.float64()), "lat": pa.array(lat, pa.float64())}


def as_arrow(rows: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """An Arrow stream; `metadata` is JSON under `liandong` in the schema."""
    rows = rows.replace_schema_metadata({"liandong": encode_json(metadata)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def as_csv(rows: pa.Table, *, header: bool = True) -> bytes:
    """RFC 4180; null is empty, an empty text is quoted; times in UTC as `2026-11-01T00:00:00Z`, with microseconds where there are any."""
    for position, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(position, field.name, moments_as_text(rows[field.name]))
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(rows, sink, arrow_csv.WriteOptions(include_header=header))
    return bytes(sink.getvalue())


def moments_as_text(moments: Any) -> Any:
    """An array of UTC microseconds as texts, `…Z`, with a fraction of six digits only where it is not zero."""
    plain = moments.cast(pa.timestamp("us"))  # without the zone, so that no time zone database is needed
    texts = pc.strftime(plain, format="%Y-%m-%dT%H:%M:%SZ")  # of microseconds, %S has the fraction
    whole = pc.and_(pc.equal(pc.microsecond(plain), 0), pc.equal(pc.millisecond(plain), 0))
    return pc.if_else(whole, pc.binary_replace_slice(texts, start=19, stop=26, replacement=b""), texts)
