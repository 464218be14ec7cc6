"""Reads RSS 2.0 feeds: each item a record, its elements columns by their names without prefix."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from lxml import etree

from ops.load.chunks import Chunk
from ops.load.mapping import CannotMap, FileForm
from ops.load.opening import opened, readable
from ops.load.records import LARGEST, LINES, records_chunk

DATES = ("pubDate", "lastBuildDate")
"""Elements with an RFC 822 date, which becomes an RFC 3339 time in UTC."""


def read_feed(path: Path, form: FileForm) -> Iterator[Chunk]:
    """The items of a feed. Nothing outside the file is fetched, and no entity is expanded: a feed with a DOCTYPE is refused."""
    with readable(path), opened(path, form.encoding) as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise CannotMap(f"{path} has more than {LARGEST >> 20} MiB, and a feed is read whole.")
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise CannotMap(f"{path} is not XML: {error}.") from error
    if root.getroottree().docinfo.doctype:
        raise CannotMap(f"{path} has a DOCTYPE, which no feed needs; it is not read.")
    items = root.findall("./channel/item")
    if root.tag != "rss" or not items:
        raise CannotMap(f"{path} holds no items of an RSS feed (rss/channel/item).")
    for begin in range(0, len(items), LINES):
        yield records_chunk([(begin + place, _members(item)) for place, item in enumerate(items[begin : begin + LINES], start=1)], [])


def _members(item: Any) -> dict[str, str]:
    """Texts by element; of repeated ones the first."""
    found: dict[str, str] = {}
    for element in item:
        name = etree.QName(element).localname
        text = "".join(element.itertext())
        found.setdefault(name, _moment(text) if name in DATES else text)
    return found


def _moment(text: str) -> str:
    """An RFC 822 date as RFC 3339 in UTC; what is none stays as it is, and is a fault of its row."""
    try:
        found = parsedate_to_datetime(text.strip())
    except ValueError:
        return text
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC).isoformat()
