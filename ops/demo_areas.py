"""The demo city's areas without cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.demo import areas
from ops.demo.xiangtan import TOWNS

__all__ = ["CITY", "TOWNS", "demo_areas"]
CITY = "430300"


def demo_areas() -> Iterator[dict[str, Any]]:
    return areas.demo_areas(CITY, cells=False)
