"""When a site is due for inspection. Rules stand here, without any I/O and without a clock; each names its source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, get_args

Kind = Literal["public", "industrial", "other"]
KINDS: tuple[str, ...] = get_args(Kind)
INTERVALS: Mapping[str, timedelta] = {"public": timedelta(days=90), "industrial": timedelta(days=180), "other": timedelta(days=365)}
"""An example, to be replaced by the rule of the sector, with standard and clause."""


def due_after(kind: str, inspected_at: datetime | None) -> datetime | None:
    """When the next inspection is due; None if there never was one."""
    return None if inspected_at is None else inspected_at + INTERVALS[kind]
