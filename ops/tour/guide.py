"""Leads a tour from its first step to its report, and leaves the city in order whatever happens."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from ops.hub import Refused
from ops.secretfiles import private_folder
from ops.tour import aftermath, leak
from ops.tour.by_hand import by_hand
from ops.tour.city import RunningCity
from ops.tour.report import report
from ops.tour.state import RETURNS_WITHIN_S, Begun, end, roads_open
from ops.tour.story import Story

PACE_S = 7.0
"""To read a step."""
BROKEN_OFF = "巡览中断 / the tour was interrupted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a tour went."""

    missed: int
    interrupted: bool
    report: Path
    script: Path | None


def tour(var: Path, run: dict[str, Any], neighbour: tuple[Path, dict[str, Any]] | None, *, language: str, quick: bool, show: Callable[[str], None]) -> Outcome:
    """One tour of a running city; raises `Refused` if another one is under way there."""
    folder = private_folder(var / "tour")
    with _alone(folder / "lock"), _signals_interrupt(), closing(RunningCity(var, run)) as city, ExitStack() as also:
        beside = also.enter_context(closing(RunningCity(*neighbour))) if neighbour else None
        story, begun = Story(show, language, 0 if quick else PACE_S), Begun()
        try:
            _steps(story, city, begun, beside)
        except KeyboardInterrupt:
            story.interrupted = True
        finally:
            if not begun.concluded:
                _put_right(story, city, begun)
        script = _script(city, var, begun)
        path = folder / "report.html"
        path.write_text(report(story, city.code, script), encoding="utf-8")
        if script:
            (folder / "by-hand.sh").write_text(script, encoding="utf-8")
        return Outcome(len(story.missed), story.interrupted, path, folder / "by-hand.sh" if script else None)


def _steps(story: Story, city: RunningCity, begun: Begun, neighbour: RunningCity | None) -> None:
    leak.overview(story, city)
    leak.leak(story, city, begun)
    if begun.release is None:
        return
    leak.outline(story, city, begun)
    leak.roads(story, city, begun)
    leak.crews(story, city, begun)
    leak.without_traffic(story, city, begun)
    aftermath.warning(story, city, begun, neighbour)
    aftermath.neighbour_told(story, city, begun, neighbour)
    aftermath.known_when(story, city, begun)
    aftermath.over(story, city, begun)


def _put_right(story: Story, city: RunningCity, begun: Begun) -> None:
    """After an interruption or a failure; a second Ctrl-C does not keep it from ending."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        story.tidying()
        with story.step("order", "恢复原状", "Everything is put right"):
            failed = end(city, begun, BROKEN_OFF)
            story.check(not failed, "泄漏终止，车组归队，事件关闭", "The release is concluded, crews turn back, the incident is closed")
            for fault in failed:
                story.aside(fault, fault)
            if begun.release:
                reopened = partial(roads_open, city, begun.release)
                story.expect("枢纽得到交通部门答复：道路已重新开放", "Traffic tells the hub that the roads are open again", RETURNS_WITHIN_S, reopened)
    finally:
        signal.signal(signal.SIGINT, before)


def _script(city: RunningCity, var: Path, begun: Begun) -> str | None:
    if not begun.site:
        return None
    return by_hand(city, var, begun.site, leak.elsewhere(city, begun))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused("A tour is under way in this city. Wait until it has ended.") from error
        yield


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM like Ctrl-C; both also where a shell started this in the background."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
