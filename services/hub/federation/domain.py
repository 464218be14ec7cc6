"""What becomes of many sources' outcomes: one answer, or one error that says the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.hub.catalog.domain import Source, lies_under
from services.hub.governance.noting import note_answers
from shared.caller import Caller
from shared.datasets.coverage import Coverage, Scope, SourceAnswer
from shared.errors import InvalidRequest, Problem, problem_types
from shared.source_failures import SourceFailure, SourceRefused
from shared.vocabulary import Text


class Incomplete(Problem):
    slug, status = "incomplete-answer", 502
    title = Text("答案不完整", "Incomplete answer")
    remedy = Text("去掉 strict 可得到其余来源的答案；或稍后重试。", "Without `strict` the other sources' answer is given; or try again later.")


class NobodyAnswered(Problem):
    slug, status = "nobody-answered", 502
    title = Text("没有来源作答", "No source answered")
    remedy = Text("稍后重试；coverage 说明每个来源的情况。", "Try again later; `coverage` says how it stands with each source.")


class NobodyAnsweredInTime(NobodyAnswered):
    slug, status = "nobody-answered-in-time", 504
    title = Text("没有来源及时作答", "No source answered in time")
    remedy = Text("缩小查询，或给更长的 deadline_ms。", "Ask for less, or allow a longer deadline_ms.")


class SourceUnsound(SourceFailure):
    slug = "source-unsound"
    title = Text("来源的答案不可信", "Source's answer is unsound")


class SourceLeftOut(SourceFailure):
    slug = "source-left-out"
    title = Text("来源在前一页失败，本次翻页不再询问", "Source left out since an earlier page")


def speaks_for(source: Source, names: Sequence[str]) -> bool:
    """Whether a source may answer in these names: its own alone, as a peer city in those of that city, as a hub in all under its area."""
    match source.kind:
        case "city":
            return bool(names) and all(name.startswith(source.city + "/") for name in names)
        case "hub":
            return bool(names) and all(lies_under(name.partition("/")[0], source.city) for name in names)
    return list(names) == [source.name]


def failed(source: str, dataset: str, failure: SourceFailure, elapsed_ms: int) -> SourceAnswer:
    """How the coverage names a source that gave no answer."""
    problem = {"type": f"/problems/{failure.slug}", "title": failure.title.en, "detail": failure.detail}
    return SourceAnswer(source=source, dataset=dataset, status=failure.coverage, elapsed_ms=elapsed_ms, problem=problem)


def from_city(source: Source, answer: SourceAnswer, agreement: str | None = None) -> SourceAnswer:
    """The same with the city that a peer's rows come from and the agreement under which they came; nobody else says such things."""
    if source.kind != "city":
        return replace(answer, origin=None, agreement=None) if answer.origin or answer.agreement else answer
    return replace(answer, origin=source.city, agreement=agreement or answer.agreement)


def check_answered(coverage: Coverage, refusals: Sequence[SourceRefused], *, strict: bool) -> None:
    """Raise unless the answer may be given: somebody answered, and under `strict` everybody did.

    A question that every source refuses as wrong is wrong: their problem is passed on as ours.
    """
    statuses = {answer.status for answer in coverage.sources}
    answered = statuses & {"ok", "stale"}
    if not answered and refusals:
        raise passed_on(refusals[0])
    if not answered:
        kind = NobodyAnsweredInTime if statuses == {"timeout"} else NobodyAnswered
        raise kind(f"None of {_named(coverage.sources)} answered.", coverage=coverage.as_dict())
    if strict and not coverage.complete:
        missing = [answer for answer in coverage.sources if answer.status != "ok"]
        raise Incomplete(f"strict was asked for, and {_named(missing)} gave no fresh answer.", coverage=coverage.as_dict())


def passed_on(refusal: SourceRefused, *, within: str = "") -> Problem:
    """A source's problem as one of ours: of the kind that it names, if that kind is known here; its pointer lies `within` the question."""
    said = refusal.said
    kind = problem_types().get(str(said.get("type", "")).removeprefix("/problems/"), InvalidRequest)
    if kind.status != refusal.answered:
        kind = InvalidRequest
    pointer = said.get("pointer")
    errors = said.get("errors")
    return kind(
        refusal.detail,
        pointer=within + pointer[:200] if isinstance(pointer, str) else within or None,
        errors=[error for error in errors[:50] if isinstance(error, Mapping)] if isinstance(errors, list) else (),
    )


def coverage_of(caller: Caller, answers: Sequence[SourceAnswer], *, limited: bool, suppressed: int = 0) -> Coverage:
    """The coverage of an answer, sources in the order of their names."""
    note_answers(answers)
    ordered = tuple(sorted(answers, key=lambda answer: (answer.dataset, answer.source)))
    return Coverage(scope=Scope.of(caller), sources=ordered, limited=limited, suppressed=suppressed)


def _named(answers: Sequence[SourceAnswer]) -> str:
    return ", ".join(sorted({answer.source for answer in answers})) or "the sources"


def agreeing(layouts: Mapping[str, Any]) -> set[str]:
    """The sources that describe their columns as most do; of equally many, those of the first by name."""
    groups: list[tuple[Any, list[str]]] = []
    for source, layout in sorted(layouts.items()):
        for known, members in groups:
            if known == layout:
                members.append(source)
                break
        else:
            groups.append((layout, [source]))
    return set(max(groups, key=lambda group: len(group[1]))[1]) if groups else set()
