"""A finished answer as JSON, CSV or Arrow, with its coverage."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
from fastapi.responses import Response

from shared.datasets.aggregate.finish import Finished
from shared.datasets.coverage import Coverage

Form = Literal["json", "csv", "arrow"]
MEDIA_TYPES: dict[str, str] = {"json": "application/json", "csv": "text/csv", "arrow": "application/vnd.apache.arrow.stream"}


def respond(finished: Finished, coverage: Coverage, form: Form) -> Response:
    """The answer in a form. CSV names its coverage by a `Link` with the relation `coverage`, Arrow in the schema's metadata."""
    if form == "json":
        return Response(as_json(finished, coverage), media_type=MEDIA_TYPES["json"])
    if form == "csv":
        coverage_json = quote(json.dumps(coverage.as_dict(), separators=(",", ":")))
        link = f'<data:application/json,{coverage_json}>; rel="coverage"'
        return Response(as_csv(finished), media_type=MEDIA_TYPES["csv"], headers={"Link": link})
    return Response(as_arrow(finished, coverage), media_type=MEDIA_TYPES["arrow"])


def as_json(finished: Finished, coverage: Coverage) -> bytes:
    """`columns`, `rows` and `coverage` as in the contract."""
    return orjson.dumps({"columns": [dict(column) for column in finished.columns], "rows": rows_of(finished), "coverage": coverage.as_dict()})


def as_csv(finished: Finished) -> bytes:
    """RFC 4180 with a header; what is null is empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column["name"] for column in finished.columns])
    writer.writerows([str(value).lower() if isinstance(value, bool) else value for value in row] for row in rows_of(finished))
    return out.getvalue().encode()


def as_arrow(finished: Finished, coverage: Coverage) -> bytes:
    """An Arrow stream; times bear the answer's zone, columns and coverage are JSON under `liandong` in the metadata."""
    table = finished.table
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(position, field.name, table[field.name].cast(pa.timestamp("us", finished.tz)))
    described = {"columns": [dict(column) for column in finished.columns], "coverage": coverage.as_dict()}
    table = table.replace_schema_metadata({"liandong": json.dumps(described)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def rows_of(finished: Finished) -> list[tuple[Any, ...]]:
    """The rows with times as text in the answer's zone, with its offset."""
    zone = ZoneInfo(finished.tz)
    return list(zip(*(_values(finished.table[column["name"]], zone) for column in finished.columns), strict=True))


def _values(column: pa.ChunkedArray, zone: ZoneInfo) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        texts = pa.array([_local(moment, zone) for moment in encoded.dictionary.to_pylist()], pa.string())
        return texts.take(encoded.indices).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_date(column.type):
        return [day.isoformat() if day else None for day in column.to_pylist()]
    return column.to_pylist()  # type: ignore[no-any-return]


def _local(moment: datetime, zone: ZoneInfo) -> str:
    try:
        return moment.astimezone(zone).isoformat()
    except OverflowError:  # the last hours of the calendar
        return moment.astimezone(UTC).isoformat()
