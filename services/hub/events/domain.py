"""What a receiver asked for, and what of the log that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Logged:
    """An event in the city's log."""

    position: int
    source: str
    """`430300/fire`."""
    type: str
    area: str | None
    scales: Mapping[str, str | None]
    """`incidentgrade`, `warninglevel`, `responselevel`: I to IV, or None where the event names none."""
    envelope: str
    """The CloudEvent as JSON text, as it is stored and as it is sent."""
    regarding: str | None = None
    """What it belongs to across sectors: `releases/…`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter: each part that names anything must hold; a part that names several holds if one of them does."""

    types: tuple[str, ...] = ()
    """`*` stands for any characters: `worksafety.*`."""
    areas: tuple[str, ...] = ()
    """Prefixes of area codes."""
    sources: tuple[str, ...] = ()
    regarding: tuple[str, ...] = ()
    scales: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def matches(self, logged: Logged) -> bool:
        """Whether the receiver asked for this event; an event without an area or a scale is not of any that is named."""
        return (
            (not self.types or any(fnmatchcase(logged.type, pattern) for pattern in self.types))
            and (not self.areas or (logged.area is not None and logged.area.startswith(self.areas)))
            and (not self.sources or logged.source in self.sources)
            and (not self.regarding or logged.regarding in self.regarding)
            and all(logged.scales.get(name) in levels for name, levels in self.scales.items() if levels)
        )
