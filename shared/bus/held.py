"""Entries that wait: behind a failing event of their subject, never behind one of another."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from shared.bus.entries import Entry

Subject = tuple[str, str]


@dataclass(slots=True)
class _Queue:
    due: float
    entries: deque[Entry] = field(default_factory=deque)


class Held:
    """Queues by subject; the first entry of each is the one that fails, and is tried again when it is due."""

    def __init__(self) -> None:
        self._queues: dict[Subject, _Queue] = {}
        self.count = self.bytes = 0

    def add_if_waiting(self, entry: Entry) -> bool:
        """Queue an entry if an earlier one of its subject waits; whether it was."""
        queue = self._queues.get(entry.subject)
        if queue is None or entry.fault:
            return False
        queue.entries.append(entry)
        self._add(entry, 1)
        return True

    def begin(self, entry: Entry, due: float) -> None:
        """Hold back a subject from now on, beginning with this entry."""
        self._queues[entry.subject] = _Queue(due, deque([entry]))
        self._add(entry, 1)

    def postpone(self, subject: Subject, due: float) -> None:
        self._queues[subject].due = due

    def due(self, now: float) -> list[Subject]:
        """Subjects whose first entry is to be tried now."""
        return [subject for subject, queue in self._queues.items() if queue.due <= now]

    def next_due(self) -> float | None:
        return min((queue.due for queue in self._queues.values()), default=None)

    def first(self, subject: Subject) -> Entry | None:
        queue = self._queues.get(subject)
        return queue.entries[0] if queue else None

    def done(self, subject: Subject) -> None:
        """The first entry is dealt with; the subject is free again when none is left."""
        queue = self._queues[subject]
        self._add(queue.entries.popleft(), -1)
        if not queue.entries:
            del self._queues[subject]

    def clear(self) -> None:
        """Forget all: they are still pending in their streams, or were lost with them and will be published again."""
        self._queues.clear()
        self.count = self.bytes = 0

    def _add(self, entry: Entry, sign: int) -> None:
        self.count += sign
        self.bytes += sign * len(entry.payload)
