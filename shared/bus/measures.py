"""How the exchange of events is doing: Prometheus measures, and a word on each part for /readyz."""

from __future__ import annotations

from collections import defaultdict

from prometheus_client import Counter, Gauge

BACKLOG = Gauge("liandong_outbox_backlog", "Events that are recorded but not yet published", ["service"])
BACKLOG_AGE = Gauge("liandong_outbox_backlog_seconds", "Age of the oldest event that is not yet published", ["service"])
KEPT = Gauge("liandong_stream_entries", "Entries in the service's stream that some group has yet to acknowledge", ["service"])
PUBLISHED = Counter("liandong_events_published_total", "Events appended to the service's stream, repetitions included", ["service"])
CONSUMED = Counter("liandong_events_consumed_total", "Entries of others' streams by what became of them", ["service", "source", "outcome"])
LAG = Gauge("liandong_events_lag_seconds", "Time from the recording of the last event to its effect here", ["service", "source"])
HELD = Gauge("liandong_events_held", "Entries that wait behind a failing event of their subject", ["service"])
DEAD_LETTERS = Counter("liandong_dead_letters_total", "Entries given up, by reason", ["service", "reason"])

_states: dict[str, dict[str, str]] = defaultdict(dict)


def report(service: str, part: str, state: str) -> None:
    """Say how a part of the exchange is doing: `ok`, or what it waits for."""
    _states[service][part] = state


def states(service: str) -> dict[str, str]:
    """What the parts (`outbox`, `consumer`) last reported. Anything but `ok` means degraded: the outbox is there for that."""
    return dict(_states[service])
