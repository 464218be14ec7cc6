"""What is kept is bounded by bytes; a request serves all who wait; a look tells nothing of what came after it began."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.hub.federation.crowd import MOST_EACH, Crowd
from services.hub.federation.kept import PATIENCE_S, Answered, Kept, SharedChecks
from shared.errors import TooMany, Unavailable
from shared.passage import starting
from shared.source_failures import SourceDenied, SourceFailure, SourceTimeout


def answered(size: int = 10, value: str = "") -> Answered[str]:
    return Answered(value, size, time.monotonic(), 0.0)


def test_the_answer_used_longest_ago_goes_first_and_bytes_are_bounded() -> None:
    kept: Kept[str] = Kept(100)
    for name in "abcdefghij":
        kept.keep(name, answered(10))
    assert kept.held("a") is not None
    kept.keep("k", answered(10))
    assert (kept.size, kept.held("b"), kept.held("a") is not None) == (100, None, True)
    kept.keep("large", answered(13))
    assert kept.held("large") is None, "one answer may not push out all others"
    kept.keep("a", answered(5))
    assert kept.size == 95


async def test_who_has_little_time_or_leaves_takes_nothing_from_the_others() -> None:
    kept: Kept[str] = Kept(100)
    made = 0

    async def make() -> Answered[str]:
        nonlocal made
        made += 1
        await asyncio.sleep(0.2)
        return answered(value=str(made))

    async def fly(seconds: float) -> str:
        return (await kept.fly("q", starting("430300/hub", seconds), "430300/fire", make))[0].value

    leaving, hasty, patient = (asyncio.create_task(fly(seconds)) for seconds in (5, 0.05, 5))
    await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(SourceTimeout):
        await hasty
    assert await patient == "1"
    assert not kept.flying("q")


async def test_a_request_that_nobody_waits_for_ends_and_one_that_failed_for_its_first_asker_is_made_again() -> None:
    kept: Kept[str] = Kept(100)
    begun: list[str] = []
    ended = asyncio.Event()

    async def make() -> Answered[str]:
        begun.append("")
        try:
            await asyncio.sleep(0.1 if len(begun) > 1 else 9)
        finally:
            ended.set()
        return answered(value="good")

    alone = asyncio.create_task(kept.fly("q", starting("430300/hub", 5), "430300/fire", make))
    await asyncio.sleep(0.01)
    alone.cancel()
    await asyncio.sleep(0)
    assert (await kept.fly("q", starting("430300/hub", 5), "430300/fire", make))[0].value == "good", "what is being given up is not joined"
    async with asyncio.timeout(1):
        await ended.wait()

    async def refused() -> Answered[str]:
        await asyncio.sleep(0.02)
        raise SourceDenied("revoked")

    first = asyncio.create_task(kept.fly("q", starting("430300/hub", 5), "430300/fire", refused))
    await asyncio.sleep(0)
    second = asyncio.create_task(kept.fly("q", starting("430300/hub", 5), "430300/fire", make))
    with pytest.raises(SourceDenied):
        await first
    assert (await second)[0].value == "good"


async def test_a_look_begins_after_whoever_asks_for_it_and_serves_all_who_came_before() -> None:
    checks: SharedChecks[tuple[float, int]] = SharedChecks()
    looks = 0

    async def look() -> tuple[float, int]:
        nonlocal looks
        looks += 1
        began = time.monotonic()
        await asyncio.sleep(0.02)
        if looks == 2:
            raise SourceFailure("once")
        return began, looks

    async def ask(after_s: float) -> tuple[float, tuple[float, int] | SourceFailure]:
        await asyncio.sleep(after_s)
        came = time.monotonic()
        try:
            return came, await checks.get("430300/fire", look)
        except SourceFailure as failure:
            return came, failure

    found = await asyncio.gather(*(ask(number / 1000) for number in range(60)))
    assert all(isinstance(seen, SourceFailure) or seen[0] >= came for came, seen in found)
    assert looks <= 6
    assert any(isinstance(seen, SourceFailure) for _, seen in found)


async def test_a_look_that_hangs_holds_nobody_up_for_long() -> None:
    checks: SharedChecks[str] = SharedChecks()
    hanging = asyncio.Event()

    async def hang() -> str:
        hanging.set()
        await asyncio.sleep(60)
        return "never"

    async def quick() -> str:
        return "quick"

    patient = asyncio.create_task(checks.get("430300/fire", hang))
    await hanging.wait()
    started = time.monotonic()
    assert await checks.get("430300/fire", quick) == "quick"
    assert PATIENCE_S - 0.1 < time.monotonic() - started < PATIENCE_S + 1
    patient.cancel()
    started = time.monotonic()
    assert await checks.get("430300/fire", quick) == "quick"
    assert time.monotonic() - started < 0.3, "what nobody waits for is given up"


async def test_more_questions_than_the_hub_takes_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.hub.federation.crowd.MOST", MOST_EACH + 1)
    crowd = Crowd()
    for _ in range(MOST_EACH):
        crowd.enter("client:eager")
    with pytest.raises(TooMany) as refused:
        crowd.enter("client:eager")
    assert refused.value.headers["Retry-After"] == "1"
    crowd.enter("person:calm")
    with pytest.raises(Unavailable):
        crowd.enter("person:late")
    crowd.leave("client:eager")
    crowd.enter("person:late")
