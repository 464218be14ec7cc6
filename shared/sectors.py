"""The services that a city may have, and how far the port of each lies from the hub's. `liandong new sector` adds a line."""

from __future__ import annotations

PORT_OFFSETS = {
    "hub": 0,
    "food": 1,
    "traffic": 2,
    "fire": 3,
    "env": 4,
    "worksafety": 5,
    "community": 6,
    "intercity": 7,
    "water": 8,
}
