"""A publisher's file, whatever its form, as chunks of the size that a mapping wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ops.load.chunks import Chunk, cut
from ops.load.delimited import header_of, read_csv
from ops.load.feeds import read_feed
from ops.load.mapping import CannotMap, FileForm, FileMapping
from ops.load.matrix import names_of, read_matrix
from ops.load.records import read_lines, read_whole

ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".geojson": "geojson",
    ".rss": "rss",
    ".xml": "rss",
}
COMPRESSED = {".gz", ".bz2", ".zst", ".lz4"}


def chunks_of(path: Path, mapping: FileMapping) -> Iterator[Chunk]:
    """The file in pieces of `mapping.lines_in_batch` lines, never more than a few of them in memory. Raises `CannotMap`."""
    return cut(_read(path, mapping), mapping.lines_in_batch)


def fitted(path: Path, mapping: FileMapping) -> FileMapping:
    """The mapping with the columns of this file that it describes by an expression. Raises `CannotMap`."""
    if mapping.wide is None:
        return mapping
    if _format(path, mapping.file) != "csv":
        raise CannotMap("Only a CSV file has columns that [wide] could mean.")
    return mapping.fitted(names_of(path, mapping.matrix) if mapping.matrix else header_of(path, mapping.file))


def unit_of(path: Path, mapping: FileMapping) -> str:
    """What the file's rows are numbered by: `line`, or `record` where lines mean nothing. Raises `CannotMap`."""
    return "line" if _format(path, mapping.file) in ("csv", "ndjson") else "record"


def _read(path: Path, mapping: FileMapping) -> Iterator[Chunk]:
    form = mapping.file
    name = _format(path, form)
    if name == "csv":
        return read_matrix(path, form, mapping.matrix, mapping.sources) if mapping.matrix else read_csv(path, form, mapping.sources)
    if name == "rss":
        return read_feed(path, form)
    return read_lines(path, form) if name == "ndjson" else read_whole(path, form, features=name == "geojson")


def _format(path: Path, form: FileForm) -> str:
    endings = [ending.lower() for ending in path.suffixes if ending.lower() not in COMPRESSED]
    found = form.format or ENDINGS.get(endings[-1] if endings else "")
    if found is None:
        raise CannotMap(f'The name of {path} does not tell its format. Say it in the mapping: [file] format = "csv".')
    return found
