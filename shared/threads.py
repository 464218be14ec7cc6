"""Work that holds the processor: in a thread if there is much of it, at once if a thread would take longer to begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

LITTLE_BYTES = 64 * 1024
"""Bytes that are decoded, checked or written in about a millisecond,"""
LITTLE_ROWS = 1_000
"""and rows."""
Given = ParamSpec("Given")
Result = TypeVar("Result")


async def worked(little: bool, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """The result of the work; nothing else waits for it unless it is said to be `little`."""
    return work(*given, **named) if little else await asyncio.to_thread(work, *given, **named)
