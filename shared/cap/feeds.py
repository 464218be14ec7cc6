"""Feeds of warnings: Atom (RFC 4287)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree

from shared.cap.document import MEDIA_TYPE

ATOM = "http://www.w3.org/2005/Atom"
ATOM_TYPE = "application/atom+xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One warning in a feed."""

    id: str
    """A URI that never changes."""
    title: str
    updated: datetime
    published: datetime
    link: str
    """Where the CAP document is."""
    summary: str = ""
    author: str = ""
    categories: Sequence[str] = ()


def atom(*, name: str, title: str, updated: datetime, link: str, author: str, entries: Iterable[Entry]) -> bytes:
    """The feed in UTF-8; the same bytes for the same entries. `name` is its URI."""
    root = etree.Element(f"{{{ATOM}}}feed", nsmap={None: ATOM})
    _add(root, "id", name)
    _add(root, "title", title)
    _add(root, "updated", _time(updated))
    _add(root, "link", rel="self", type=ATOM_TYPE, href=link)
    _add(_add(root, "author"), "name", author)
    for entry in entries:
        _entry(_add(root, "entry"), entry)
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return content


def _entry(at: Any, entry: Entry) -> None:
    _add(at, "id", entry.id)
    _add(at, "title", entry.title)
    _add(at, "updated", _time(entry.updated))
    _add(at, "published", _time(entry.published))
    if entry.author:
        _add(_add(at, "author"), "name", entry.author)
    for category in entry.categories:
        _add(at, "category", term=category)
    _add(at, "link", rel="alternate", type=MEDIA_TYPE, href=entry.link)
    if entry.summary:
        _add(at, "summary", entry.summary)


def _add(at: Any, name: str, text: str | None = None, **attributes: str) -> Any:
    made = etree.SubElement(at, f"{{{ATOM}}}{name}", attributes)
    made.text = text
    return made


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
