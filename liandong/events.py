"""The city's events as they happen: server-sent events, resumed where they broke off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from liandong.flows import Ask, Flow, Pause, Session, answered
from liandong.problems import NotSignedIn, Unavailable

SILENCE_S = 35.0
"""A stream from which nothing comes for so long is dead: the hub shows every ten seconds that it lives."""


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent of the city's log."""

    position: str
    """Its place in the hub's log: give it as `after` to go on behind it."""
    envelope: Mapping[str, Any]
    """The whole CloudEvent."""

    @property
    def type(self) -> str:
        return str(self.envelope["type"])

    @property
    def source(self) -> str:
        return str(self.envelope["source"])

    @property
    def subject(self) -> str | None:
        return self.envelope.get("subject")

    @property
    def area(self) -> str | None:
        return self.envelope.get("area")

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.envelope["time"])

    @property
    def data(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.envelope.get("data", {})
        return found

    def __repr__(self) -> str:
        return f"<Event {self.position} {self.type} {self.subject or ''} at {self.envelope.get('time')}>"


@dataclass(slots=True)
class Listening:
    """What is wanted, and how far we have come."""

    wanted: Mapping[str, str | Sequence[str]]
    after: str | None = None
    pause_s: float = 2.0
    failures: int = 0
    _id: str | None = None
    _kind: str = "message"
    _data: tuple[str, ...] = ()

    def ask(self) -> Ask:
        params = [(name, value if isinstance(value, str) else ",".join(value)) for name, value in self.wanted.items()]
        headers = {"Last-Event-ID": self.after} if self.after is not None else {}
        return Ask("/events/stream", params=params, accept="text/event-stream", headers=headers, timeout_s=SILENCE_S, stream=True)

    def open(self, session: Session) -> Flow[httpx.Response]:
        """The stream, connected again after a pause for as long as the hub only cannot be reached."""
        if self.failures:
            yield Pause(min(self.pause_s * self.failures, 30.0))
        self._id, self._kind, self._data = None, "message", ()
        return (yield from answered(session, self.ask()))

    def line(self, text: str) -> Event | None:
        """The event that a line of the stream completes (WHATWG HTML, section 9.2.6)."""
        if not text:
            kind, data, self._kind, self._data = self._kind, "\n".join(self._data), "message", ()
            if kind != "message" or not data:
                return None
            self.failures = 0
            self.after = self._id if self._id is not None else self.after
            return Event(self.after or "", json.loads(data))
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data += (value,)
            case "id":
                self._id = value
            case "event":
                self._kind = value
            case "retry" if value.isdigit():
                self.pause_s = int(value) / 1000
        return None

    def broke(self, error: Exception | None, session: Session) -> None:
        """Note that the stream ended; raises what will not go away by itself."""
        self.failures += 1
        if isinstance(error, NotSignedIn):
            session.forget_token()
            if self.failures > 1:
                raise error
        elif error is not None and not isinstance(error, (Unavailable, httpx.RequestError)):
            raise error
