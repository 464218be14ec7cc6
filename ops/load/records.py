"""Reads JSON: lines of objects as a stream, an array of objects or GeoJSON features whole; nested members become `outer.inner`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ops.load.chunks import Chunk, Fault
from ops.load.mapping import CannotMap, FileForm
from ops.load.opening import opened, readable

LARGEST = 256 << 20
"""Bytes of a file that must be read whole."""
LINES = 5_000
DEPTH = 4
"""Levels of nesting that become columns; deeper objects stay JSON."""
Numbered = tuple[int, Any]


def read_lines(path: Path, form: FileForm) -> Iterator[Chunk]:
    """The objects of a file with one on each line (NDJSON)."""
    with readable(path), opened(path, form.encoding) as stream:
        lines = ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
        while some := list(islice(lines, LINES)):
            found: list[Numbered] = []
            bad = []
            for number, line in some:
                try:
                    found.append((number, orjson.loads(line)))
                except orjson.JSONDecodeError as error:
                    bad.append(Fault(number, "invalid-json", f"The line is not JSON: {error}."))
            yield records_chunk(found, bad)


def read_whole(path: Path, form: FileForm, *, features: bool) -> Iterator[Chunk]:
    """The objects of an array, or the features of a GeoJSON FeatureCollection: `id`, their properties, and `geometry` as JSON."""
    with readable(path), opened(path, form.encoding) as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise CannotMap(f"{path} has more than {LARGEST >> 20} MiB, and JSON is read whole. Write it as NDJSON, one object on each line.")
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CannotMap(f"{path} is not JSON: {error}.") from error
    if features:
        found = [_feature(each) for each in found.get("features", ())] if isinstance(found, dict) else None
    if not isinstance(found, list) or not found:
        raise CannotMap(f"{path} holds no {'GeoJSON features' if features else 'JSON array of objects'}.")
    rows = enumerate(found, start=1)
    while some := list(islice(rows, LINES)):
        yield records_chunk(some, [])


def _feature(feature: Any) -> Any:
    if not isinstance(feature, dict):
        return None
    geometry = feature.get("geometry")
    shape = {"geometry": orjson.dumps(geometry).decode()} if geometry else {}
    return {"id": feature.get("id"), **(feature.get("properties") or {}), **shape}


def records_chunk(found: Iterable[Numbered], bad: list[Fault]) -> Chunk:
    """Numbered records as a chunk; those that are no objects join `bad`."""
    rows, lines = [], []
    for number, each in found:
        if isinstance(each, dict):
            rows.append(dict(_flat(each)))
            lines.append(number)
        else:
            bad.append(Fault(number, "not-an-object", "A record is a JSON object."))
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names} or {"": pa.nulls(len(rows), pa.string())})
    return Chunk(table, np.array(lines, np.int64), bad)


def _flat(members: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, str]]:
    """Every member as text, as a CSV file would have it; null is left out."""
    for name, value in members.items():
        if isinstance(value, dict) and depth < DEPTH:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, str):
            yield prefix + name, value
        elif value is not None:
            yield prefix + name, orjson.dumps(value).decode()
