"""Tells the tasks of this process that a transaction on a database has just been committed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, make_url

_waiting: dict[str, set[asyncio.Event]] = defaultdict(set)


def place(url: URL | str) -> str:
    """Which database a URL means, whatever the role: `127.0.0.1:5432/food`."""
    parts = make_url(url)
    return f"{parts.host}:{parts.port or 5432}/{parts.database}"


def wake(database: str) -> None:
    """Wake everybody in this process who waits for commits on a database."""
    for event in _waiting.get(database, ()):
        event.set()


@contextmanager
def waking(database: str) -> Iterator[asyncio.Event]:
    """An event that is set after each commit with news; whoever waits on it clears it before looking."""
    event = asyncio.Event()
    _waiting[database].add(event)
    try:
        yield event
    finally:
        _waiting[database].discard(event)
