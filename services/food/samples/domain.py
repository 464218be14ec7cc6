"""Results of tests: read exactly, converted exactly, and held against a limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal

LIVE_FOR = timedelta(days=30)
"""A failure of a sample taken longer ago than this is history, not news: no event tells of it."""
CONFORMING, EXCEEDS, NOT_ASSESSED = "conforming", "exceeds", "not_assessed"
VERDICTS = (CONFORMING, EXCEEDS, NOT_ASSESSED)
MOST_UNITS = 60
"""Most sample units of one result (n of a sampling plan)."""
_EXACT = Context(prec=60)
_MASS = {"ng": Decimal("1e-9"), "ug": Decimal("1e-6"), "mg": Decimal("1e-3"), "g": Decimal(1), "kg": Decimal(1000)}
_VOLUME = {"mL": Decimal(1), "L": Decimal(1000), "dL": Decimal(100)}
_COUNTS = ("CFU", "MPN")
_NUMBER = r"\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?"
_BELOW = re.compile(rf"<\s*({_NUMBER})")
_PLAIN = re.compile(_NUMBER)
_NOTHING, _SOMETHING = ("<LOD", "ND", "未检出", "absent"), ("present", "检出")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of concentration: what is counted, in what, and how much of the dimension's own unit one is."""

    dimension: str
    """`mass/mass` (g/g), `mass/volume` (g/mL), `CFU/mass`, `MPN/volume` …; only units of one dimension convert."""
    factor: Decimal


def unit_of(text: str) -> Unit | None:
    """`mg/kg`, `ug/L`, `g/100 g`, `%`, `CFU/g`, `MPN/100 mL`, `/25 g` (found or not in so much); None if it is none of these. Exact."""
    text = text.strip().replace("µ", "u").replace("μ", "u")
    if text in ("%", "% (m/m)"):
        return Unit("mass/mass", Decimal("0.01"))
    found = re.fullmatch(r"([A-Za-z]*) ?/ ?(\d{1,4})? ?([A-Za-z]+)", text)
    if not found:
        return None
    above, many, below = found[1], Decimal(found[2] or 1), found[3].replace("ml", "mL")
    per, into = (_MASS.get(below), "mass") if below in _MASS else (_VOLUME.get(below), "volume")
    if per is None or not many:
        return None
    if above == "":
        return Unit(f"presence/{(many * per).normalize()} {into}", Decimal(1))
    if above in _COUNTS:
        return Unit(f"{above}/{into}", _EXACT.divide(Decimal(1), many * per))
    return Unit(f"mass/{into}", _EXACT.divide(_MASS[above], many * per)) if above in _MASS else None


def convert(value: Decimal, unit: str, into: str) -> Decimal:
    """The same concentration in another unit, exactly; ValueError if one cannot become the other."""
    one, other = unit_of(unit), unit_of(into)
    if one is None or other is None or one.dimension != other.dimension:
        raise ValueError(f"{unit} cannot be converted to {into}")
    ratio = _EXACT.divide(one.factor, other.factor)
    return _EXACT.multiply(value, ratio)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sample unit showed."""

    value: Decimal
    """As reported; the bound itself where nothing was found above it."""
    below: bool = False
    """Nothing was found above `value`."""


def readings_of(text: str, detection_limit: Decimal | None = None) -> tuple[Reading, ...]:
    """`0.12`, `<0.05`, `<LOD`, `未检出`, `present`; several sample units with `;` between. ValueError says what cannot be read."""
    parts = [part.strip() for part in text.split(";")]
    if len(parts) > MOST_UNITS:
        raise ValueError(f"at most {MOST_UNITS} sample units")
    return tuple(_reading(part, detection_limit) for part in parts)


def _reading(text: str, detection_limit: Decimal | None) -> Reading:
    if text in _NOTHING:
        return Reading(detection_limit or Decimal(0), below=True)
    if text in _SOMETHING:
        return Reading(Decimal(1))
    if below := _BELOW.fullmatch(text):
        return Reading(Decimal(below[1]), below=True)
    if _PLAIN.fullmatch(text):
        return Reading(Decimal(text))
    raise ValueError(f"{text[:40]!r} is neither a number, '<' and a number, '<LOD', '未检出' nor 'present'")


def beyond_all(readings: Iterable[Reading], unit: Unit) -> bool:
    """Whether more of the analyte would be there than of the food: over 1 g/g."""
    return unit.dimension == "mass/mass" and any(_EXACT.multiply(each.value, unit.factor) > 1 for each in readings)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a standard allows of an analyte in a category of food."""

    analyte: str
    product: str
    """Category; those below it (`cereal.rice` below `cereal`) are meant too, unless they have a limit of their own."""
    value: Decimal
    """M of a sampling plan, or the highest permitted content."""
    unit: str
    source: str
    since: date
    until: date | None = None
    """The first day on which it no longer held."""
    n: int = 1
    c: int = 0
    m: Decimal | None = None
    """A sampling plan (GB 4789.1): of n units at most c above m, none above `value`."""
    verified: bool = False
    """Whether the figure was compared with the standard's text; else it is from memory and to be verified."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """A verdict, with what it follows from."""

    verdict: str
    reason: str
    limit: Limit | None = None
    amount: Decimal | None = None
    """The highest reading in the limit's unit; None if none was above its bound."""


def limit_for(limits: Iterable[Limit], analyte: str, product: str, day: date) -> Limit | None:
    """The limit of the finest category that holds the product, in the edition of that day."""
    holding = (each for each in limits if each.since <= day and (each.until is None or day < each.until))
    fitting = [each for each in holding if each.analyte == analyte and (product == each.product or product.startswith(f"{each.product}."))]
    return max(fitting, key=lambda each: (len(each.product), each.since), default=None)


def assess(limit: Limit | None, readings: Sequence[Reading], unit: str) -> Assessment:
    """Hold readings against a limit. A bound above the limit decides nothing: the method was not fine enough."""
    if limit is None:
        return Assessment(NOT_ASSESSED, "no-limit")
    try:
        found = [Reading(convert(each.value, unit, limit.unit), each.below) for each in readings]
    except ValueError:
        return Assessment(NOT_ASSESSED, "unit", limit)
    amount = max((each.value for each in found if not each.below), default=None)
    plan = limit.m if limit.m is not None else limit.value
    marginal = sum(each.value > plan for each in found if not each.below)
    if amount is not None and amount > limit.value:
        return Assessment(EXCEEDS, "above-limit" if limit.m is None else "above-M", limit, amount)
    if marginal > limit.c:
        return Assessment(EXCEEDS, "more-than-c-above-m", limit, amount)
    if any(each.below and each.value > plan for each in found):
        return Assessment(NOT_ASSESSED, "detection-limit-above-limit", limit, amount)
    if len(found) < limit.n:
        return Assessment(NOT_ASSESSED, "fewer-units-than-n", limit, amount)
    return Assessment(CONFORMING, "within-limit" if limit.n == 1 else "within-plan", limit, amount)


def is_news(taken_at: datetime, now: datetime) -> bool:
    """Whether a failure found now should still be told as an event."""
    return now - taken_at <= LIVE_FOR
