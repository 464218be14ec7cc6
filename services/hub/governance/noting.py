"""What is noted of a question while it is answered. Noting costs a few list entries; what they mean is worked out afterwards, out of everybody's way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.caller import Caller
from shared.datasets.coverage import SourceAnswer
from shared.datasets.declaration import Dataset

MOST_PARTS = 100
"""Datasets and questions noted of one request."""


@dataclass(slots=True)
class Part:
    """What one request asks of one dataset."""

    declared: Dataset | None = None
    fields: set[str] | None = None
    """Fields that are answered with; None: all that the asker may see."""
    questions: list[Mapping[str, Any]] = field(default_factory=list)
    """Aggregates and scans; records and items are read from the request's own parameters."""


@dataclass(slots=True)
class Asking:
    """One request at the hub, as far as it asks for data."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)
    parts: dict[str, Part] = field(default_factory=dict)
    answers: dict[tuple[str, str], SourceAnswer] = field(default_factory=dict)
    growing: list[Sequence[SourceAnswer]] = field(default_factory=list)
    """Answers of streams, complete once the stream has ended."""
    statement: str | None = None
    """SQL as it was written."""
    caller: Caller | None = None
    kind: str = ""
    request_id: str = ""
    params: Sequence[tuple[str, str]] = ()
    item: str | None = None
    status: int = 0
    whole: bool = True
    """Whether the answer left to its end: a client may leave in the middle, a stream may break off."""
    elapsed_ms: int = 0
    returned: int | None = None

    @property
    def names(self) -> set[str]:
        """The fields of all datasets that it names."""
        return {field.name for part in self.parts.values() if part.declared for field in part.declared.fields}


_current: ContextVar[Asking | None] = ContextVar("asking", default=None)


def begin() -> Asking:
    """A request begins; what happens in its context is noted on it."""
    asking = Asking()
    _current.set(asking)
    return asking


def note_dataset(dataset: str, declared: Sequence[Dataset]) -> None:
    """The request asks for a dataset, of which so much is known."""
    asking = _current.get()
    if asking is not None and (dataset in asking.parts or len(asking.parts) < MOST_PARTS):
        part = asking.parts.setdefault(dataset, Part())
        part.declared = part.declared or next(iter(declared), None)


def note_question(dataset: str, question: Mapping[str, Any], fields: Iterable[str] | None) -> None:
    """What is asked of it, and the fields that are answered with (None: all that the asker may see)."""
    asking = _current.get()
    if asking is not None and (part := asking.parts.get(dataset)) is not None and len(part.questions) < MOST_PARTS:
        part.questions.append(question)
        part.fields = None if fields is None else (part.fields or set()) | set(fields)


def note_statement(text: str) -> None:
    """The SQL that the request is about."""
    asking = _current.get()
    if asking is not None:
        asking.statement = text


def note_answers(answers: Iterable[SourceAnswer]) -> None:
    """How it stands with the sources."""
    asking = _current.get()
    if asking is not None:
        asking.answers.update(((answer.dataset, answer.source), answer) for answer in answers)


def note_growing(answers: Sequence[SourceAnswer]) -> None:
    """The same for a stream, whose entries are there once it has ended."""
    asking = _current.get()
    if asking is not None and len(asking.growing) < MOST_PARTS:
        asking.growing.append(answers)
