"""Tasks end when they are told to, and are told again if they did not hear it."""

from __future__ import annotations

import asyncio

from shared.ending import end_all


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    lost: list[str] = []

    async def hard_of_hearing() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lost.append("once")
        await asyncio.sleep(60)

    async def fails_at_its_end() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("at the end")

    tasks = [asyncio.create_task(work()) for work in (hard_of_hearing, fails_at_its_end)]
    await asyncio.sleep(0)
    await end_all(tasks, again_s=0.01)
    assert lost == ["once"] and all(task.done() for task in tasks)


async def test_no_tasks_end_at_once() -> None:
    await end_all([])
