"""What a tour tells: steps with words, figures, answers' coverage, and expectations that came true or did not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from ops.hub import Refused
from shared.vocabulary import Text

Found = TypeVar("Found")
LOOK_AGAIN_S = 0.1
MARKS = {"said": "  ", "true": "✓ ", "missed": "✗ ", "aside": "· "}


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence."""

    kind: Literal["said", "true", "missed", "aside"]
    text: Text


@dataclass(slots=True)
class Step:
    """One part of the tour."""

    key: str
    title: Text
    began: datetime
    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)
    figures: list[tuple[Text, Text]] = field(default_factory=list)
    coverage: list[dict[str, Any]] = field(default_factory=list)
    """Of the hub's answers, as they came."""


class Story:
    """Tells as it goes, and keeps everything for the report. `pace`: seconds to read each step, 0 for none."""

    def __init__(self, show: Callable[[str], None], language: str, pace: float) -> None:
        self._show, self.language, self._pace = show, language, pace
        self.steps: list[Step] = []
        self.began = datetime.now(UTC)
        self.interrupted = False

    @property
    def missed(self) -> list[Line]:
        return [line for step in self.steps for line in step.lines if line.kind == "missed"]

    @contextmanager
    def step(self, key: str, zh: str, en: str) -> Iterator[Step]:
        """One step; what a service refuses in it is a missed expectation, and the tour goes on."""
        step = Step(key, Text(zh, en), datetime.now(UTC))
        self.steps.append(step)
        began = time.monotonic()
        self._show(f"\n{self._of(step.title)}")
        try:
            yield step
        except Refused as error:
            self._line("missed", Text(f"未能完成：{error}", f"It could not be done: {error}"))
        finally:
            step.seconds = round(time.monotonic() - began, 2)
        if self._pace:
            time.sleep(self._pace)

    def tidying(self) -> None:
        """No more pauses: whoever interrupted does not want to wait."""
        self._pace = 0

    def say(self, zh: str, en: str) -> None:
        self._line("said", Text(zh, en))

    def aside(self, zh: str, en: str) -> None:
        """Something that is missing and may be."""
        self._line("aside", Text(zh, en))

    def check(self, came_true: bool, zh: str, en: str) -> None:
        """Something that must be so now."""
        self._line("true" if came_true else "missed", Text(zh, en))

    def figure(self, zh: str, en: str, value: object, value_en: object = None) -> None:
        label = Text(zh, en)
        shown = Text(str(value), str(value if value_en is None else value_en))
        self.steps[-1].figures.append((label, shown))
        self._show(f"    {self._of(label)}: {self._of(shown)}")

    def keep(self, coverage: dict[str, Any]) -> None:
        self.steps[-1].coverage.append(coverage)

    def expect(self, zh: str, en: str, within_s: float, look: Callable[[], Found | None]) -> Found | None:
        """Look until something is there; how long it took is told, and plainly if it did not come in time."""
        began = time.monotonic()
        last = ""
        while True:
            try:
                found = look()
            except Refused as error:
                found, last = None, f" ({error})"
            passed = time.monotonic() - began
            if found:
                self._line("true", Text(f"{zh}（{passed:.1f} 秒）", f"{en} ({passed:.1f} s)"))
                return found
            if passed > within_s:
                self._line("missed", Text(f"{within_s:g} 秒内未见：{zh}{last}", f"Not within {within_s:g} s: {en}{last}"))
                return None
            time.sleep(LOOK_AGAIN_S)

    def _line(self, kind: Literal["said", "true", "missed", "aside"], text: Text) -> None:
        line = Line(kind, text)
        self.steps[-1].lines.append(line)
        self._show(f"  {MARKS[kind]}{self._of(text)}")

    def _of(self, text: Text) -> str:
        return text.zh if self.language == "zh" else text.en
