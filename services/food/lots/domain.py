"""Quantities of lots: in kilograms, litres or pieces, whatever they were stated in."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

UNITS: dict[str, tuple[str, Decimal]] = {
    "g": ("kg", Decimal("0.001")),
    "kg": ("kg", Decimal(1)),
    "t": ("kg", Decimal(1000)),
    "jin": ("kg", Decimal("0.5")),
    "mL": ("L", Decimal("0.001")),
    "L": ("L", Decimal(1)),
    "m3": ("L", Decimal(1000)),
    "piece": ("piece", Decimal(1)),
}
"""A unit as stated, the unit of record, and how many of the latter it is. One jin (市斤) is 0.5 kg."""
TRANSFORMATION = ("input", "output")
HANDING_OVER = ("ship", "receive")
KINDS = (*HANDING_OVER, *TRANSFORMATION, "sell", "dispose")
"""GS1 EPCIS 2.0: ship, receive, sell and dispose are ObjectEvents with bizStep shipping, receiving, retail_selling, destroying;
input and output rows of one `event` are the two lists of a TransformationEvent, or the children and the parent of an AggregationEvent."""


def unmade(made_on: date | None, now: datetime) -> str | None:
    """What is wrong with the day on which a lot was made, if it has not begun anywhere on Earth."""
    return f"{made_on} lies in the future; what is not made yet has no lot." if made_on and made_on > (now + timedelta(hours=14)).date() else None


def in_unit_of_record(quantity: float, unit: str) -> tuple[float, str]:
    """The quantity in kg, L or pieces; exact in decimal before it becomes binary."""
    into, factor = UNITS[unit]
    return float(Decimal(str(quantity)) * factor), into
