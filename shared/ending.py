"""How tasks that run until they are cancelled are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import structlog

AGAIN_S = 6.0
"""Longer than what a task may take to write down what it still holds."""
_log = structlog.get_logger("service")


async def end_all(tasks: Collection[asyncio.Task[Any]], again_s: float = AGAIN_S) -> None:
    """Cancel tasks and wait until all have ended, however they end.

    A cancellation can be lost: a wait with a limit may take it for its own, and the task goes on. It is said again until it is heard.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_s)
        if left:
            _log.warning("tasks did not end and are cancelled again", tasks=sorted(str(task.get_coro()) for task in left))
    await asyncio.gather(*tasks, return_exceptions=True)  # whoever failed has said so; nobody else asks
