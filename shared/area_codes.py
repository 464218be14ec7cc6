"""What an area's code tells by itself: GB/T 2260 and GB/T 10114."""

from __future__ import annotations

import re

from shared.vocabulary import AreaLevel

GB_NATION = "cn"
"""Code of the nation above all codes of GB/T 2260, which itself has none."""
CODE_PATTERN = r"^[0-9a-z](?:[0-9a-z-]{0,30}[0-9a-z])?$"
"""Codes of other countries start with letters: `us-06075`. Rights go by prefix, so a code begins with its parent's code."""
LEVELS = tuple(AreaLevel)
_CODE = re.compile(CODE_PATTERN)
_GB_LEVELS = {level.digits: level for level in LEVELS if level.digits}


def is_code(text: str) -> bool:
    """Whether a text has the form of an area code."""
    return _CODE.match(text) is not None


def gb_level(code: str) -> AreaLevel | None:
    """The level that a GB code's length tells (GB/T 2260: 2, 4, 6 digits; GB/T 10114: 9, 12); None for other codes."""
    return _GB_LEVELS.get(len(code)) if code.isascii() and code.isdigit() else None


def gb_parent(code: str) -> str | None:
    """The code one level up by GB prefix, the nation above a province; None for other codes."""
    level = gb_level(code)
    return None if level is None else code[: LEVELS[LEVELS.index(level) - 1].digits] or GB_NATION
