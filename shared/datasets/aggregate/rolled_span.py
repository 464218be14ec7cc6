"""Which part of a question a roll-up can answer: the times it asks for, and what its filter is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.datasets.aggregate.question import Question
from shared.datasets.declaration import RollUp
from shared.datasets.extent import parse_datetime, parse_moment
from shared.datasets.filter_bounds import read_json
from shared.datasets.filter_text import read_text

HOUR = timedelta(hours=1)
_STEP = timedelta(microseconds=1)
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """From `since`, included, to `until`, not included; None is open."""

    since: datetime | None = None
    until: datetime | None = None

    def within(self, other: Span) -> Span:
        """The times in both."""
        since = max((moment for moment in (self.since, other.since) if moment), default=None)
        until = min((moment for moment in (self.until, other.until) if moment), default=None)
        return Span(since, until)

    def whole_hours(self) -> Span | None:
        """The whole hours (UTC) in the span; None if there is not one."""
        since = self.since and self.since - (self.since - _EPOCH) % -HOUR
        until = self.until and self.until - (self.until - _EPOCH) % HOUR
        return None if since and until and since >= until else Span(since, until)

    def edges(self, inner: Span) -> list[Span]:
        """What of this span lies before and after `inner`."""
        before = [Span(self.since, inner.since)] if self.since != inner.since else []
        return before + ([Span(inner.until, self.until)] if self.until != inner.until else [])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks of a roll-up: hours, and a filter over the columns that it has."""

    span: Span
    filter: Mapping[str, Any] | None
    """CQL2 JSON."""
    covered: bool
    """Whether the question itself leaves out what the roll-up leaves out."""


def asked_of(question: Question, rollup: RollUp, time: str, columns: frozenset[str]) -> Asked | None:
    """The times and the filter of a question, or None if its filter is about anything that a roll-up with these columns cannot tell."""
    span = Span(question.from_, question.until)
    if question.datetime is not None:
        interval = parse_datetime(question.datetime)
        span = Span(interval.start, interval.end + _STEP if interval.end else None)
    asked = Asked(span, None, covered=rollup.covers is None)
    kept: list[Any] = []
    for condition in _conditions(question):
        narrowed = _narrowed(asked, condition, rollup, time)
        if narrowed is not None:
            asked = narrowed
        elif _properties(condition) <= columns:
            kept.append(condition)
        else:
            return None
    return replace(asked, filter={"op": "and", "args": kept} if len(kept) > 1 else kept[0] if kept else None)


def _conditions(question: Question) -> list[Any]:
    """The conditions that must all hold."""
    if question.filter is None:
        return []
    tree = read_text(question.filter, pointer="/filter") if isinstance(question.filter, str) else read_json(question.filter, pointer="/filter")
    found, queue = [], [tree]
    while queue:
        match queue.pop(0):
            case {"op": "and", "args": [_, _, *_] as parts}:
                queue = [*parts, *queue]
            case condition:
                found.append(condition)
    return found


def _narrowed(asked: Asked, condition: Any, rollup: RollUp, time: str) -> Asked | None:
    """The question with a condition taken into its times or its coverage, None if it is neither."""
    covers, most = rollup.covers or ("", 0)
    match condition:
        case {"op": ("<" | "<=" | ">" | ">=") as op, "args": [{"timestamp": str(text)}, {"property": str(name)}]} if name == time:
            return replace(asked, span=asked.span.within(_bound(_MIRRORED[op], text)))
        case {"op": ("<" | "<=" | ">" | ">=") as op, "args": [{"property": str(name)}, {"timestamp": str(text)}]} if name == time:
            return replace(asked, span=asked.span.within(_bound(op, text)))
        case {"op": "between", "args": [{"property": str(name)}, {"timestamp": str(low)}, {"timestamp": str(high)}]} if name == time:
            return replace(asked, span=asked.span.within(_bound(">=", low)).within(_bound("<=", high)))
        case {"op": ("<" | "<=") as op, "args": [{"property": str(name)}, (int() | float()) as limit]} if name == covers and limit - (op == "<") == most:
            return replace(asked, covered=True)
    return None


def _bound(op: str, text: str) -> Span:
    """The times for which `time op text` holds; times are whole microseconds."""
    moment = parse_moment(text, pointer="/filter")
    match op:
        case ">=":
            return Span(since=moment)
        case ">":
            return Span(since=moment + _STEP)
        case "<":
            return Span(until=moment)
    return Span(until=moment + _STEP)


def _properties(node: Any) -> frozenset[str]:
    """The fields that a condition is about."""
    found: set[str] = set()
    queue = [node]
    while queue:
        match queue.pop():
            case {"property": str(name)}:
                found.add(name)
            case dict() as parts:
                queue += parts.values()
            case list() as parts:
                queue += parts
    return frozenset(found)
