"""Does something again and again at a fixed pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any


async def paced(number: int, rate: float, act: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Call `act` with 0, 1, … at `rate` per second, whether the one before has ended or not; until all have ended."""
    started, running = time.monotonic(), set()
    for each in range(number):
        await asyncio.sleep(max(0.0, started + each / rate - time.monotonic()))
        task = asyncio.create_task(act(each))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
