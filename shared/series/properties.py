"""What a service observes, declared as data: properties with unit and range, rules between them, limits worth an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import IntEnum, StrEnum

from shared.vocabulary import Text


class Timing(StrEnum):
    """What the time of a value means. Recorded is always the beginning of the interval, so that an hour ending at midnight belongs to the day before."""

    INSTANT = "instant"
    BEGIN = "begin"
    END = "end"


class Quality(IntEnum):
    """Quality flags of IOC Manuals and Guides 54, volume 3 (the scheme of QARTOD)."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    BAD = 4


COUNTED = Quality.SUSPECT
"""Roll-ups count values up to this flag: suspect ones count, bad ones do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """Something that is measured."""

    code: str
    title: Text
    unit: str
    """UCUM code in which values are kept; others of its kind are converted."""
    minimum: float = float("-inf")
    maximum: float = float("inf")
    """What an instrument can report; values beyond are rejected."""
    definition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverAbove:
    """At one place and time, `lesser` cannot exceed `greater`; where it does, the values are kept and flagged suspect.

    Both are flagged if they come in one batch, otherwise the one that comes later.
    """

    lesser: str
    greater: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit of the mean over an hour, from `since` until the day before `until` (days of observation, UTC)."""

    property: str
    value: float
    source: str
    since: date = date.min
    until: date = date.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that a service observes and how its senders name it."""

    feature: str
    """What a sender's rows call the place of measurement: `station`, `detector`, `gauge`."""
    properties: tuple[Property, ...]
    never_above: tuple[NeverAbove, ...] = ()
    limits: tuple[Limit, ...] = ()
    earliest: datetime = datetime(1950, 1, 1, tzinfo=UTC)
    """Times before it are taken for errors of the sender."""
    by_code: dict[str, Property] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_code", {each.code: each for each in self.properties})


def hour_needs(interval_s: int | None) -> int:
    """Values without which an hourly mean is not valid: 45 minutes of the hour (GB 3095-2012, table 4); one for instants."""
    if interval_s is None or interval_s >= 3600:
        return 1
    return -(-45 * 60 // interval_s)
