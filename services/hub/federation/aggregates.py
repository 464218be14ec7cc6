"""Federated aggregates: states from every source, merged, finished, covered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from services.hub.catalog.domain import Source
from services.hub.federation.ask import Target, ask_all, target, targets
from services.hub.federation.crowd import Crowd
from services.hub.federation.described import check_described
from services.hub.federation.domain import SourceUnsound, agreeing, check_answered, coverage_of, failed, from_city, passed_on, speaks_for
from services.hub.federation.kept import Answered
from services.hub.federation.kept_own import own_states, own_versions
from services.hub.federation.kept_states import Sent, Unchanged, Wanted, answered_by, unchanged_by
from services.hub.federation.layouts import empty_states
from services.hub.governance.noting import note_question
from services.hub.state import Hub
from shared.caller import Caller
from shared.client import MIB
from shared.datasets.aggregate import states as wire
from shared.datasets.aggregate.across import Standing, require_shared, side_by_side
from shared.datasets.aggregate.columns import GROUP_ROWS, Layout
from shared.datasets.aggregate.finish import Finished, finish, select_rows
from shared.datasets.aggregate.merge import merge_states
from shared.datasets.aggregate.problems import BrokenStates
from shared.datasets.aggregate.question import Across, Question
from shared.datasets.aggregate.states import States
from shared.datasets.coverage import Coverage, SourceAnswer
from shared.datasets.filter_bounds import check_text, read_json
from shared.datasets.labels import visible_fields
from shared.passage import Passage
from shared.service import Runtime
from shared.source_failures import SourceRefused
from shared.threads import worked

STATES_BYTES = 64 * MIB
"""Most bytes of states taken from one source."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_READ_AT_ONCE = 768 * 1024
"""Bytes of states that are read and checked in about a millisecond: threads for a dozen sources cost more than they give."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The good states of one dataset, and how it stands with each source."""

    aim: Target
    states: tuple[States, ...]
    answers: tuple[SourceAnswer, ...]
    failures: tuple[SourceAnswer, ...]
    """Those of the answers that bring no states."""
    refusals: tuple[SourceRefused, ...]


async def states_upward(runtime: Runtime, caller: Caller, dataset: str, question: Question, passage: Passage, named: frozenset[str] | None) -> States:
    """What a superior hub merges with others': the states of all sources under this hub, which of them gave none, and each by its own name."""
    _check_filter(question, "/filter")
    gathered = await _gather(runtime, question, passage, target(runtime, caller, dataset, named), caller)
    check_answered(coverage_of(caller, gathered.answers, limited=gathered.aim.limited), gathered.refusals, strict=False)
    merged = await asyncio.to_thread(merge_states, gathered.states)
    return replace(merged, answers=(*merged.answers, *gathered.failures))


async def aggregate(
    runtime: Runtime, caller: Caller, dataset: str, question: Question, passage: Passage, named: frozenset[str] | None = None
) -> tuple[Finished, Coverage]:
    """The answer of all sources of a dataset, or of those named. Raises `NobodyAnswered`, `Incomplete` under `strict`, or what is wrong with the question."""
    _check_filter(question, "/filter")
    gathered = await _gather(runtime, question, passage, target(runtime, caller, dataset, named), caller)
    coverage = coverage_of(caller, gathered.answers, limited=gathered.aim.limited)
    check_answered(coverage, gathered.refusals, strict=question.strict)
    crowd: Crowd = runtime.own.crowd
    return await crowd.worked_on(_groups(gathered), _finished, gathered.states, question, coverage)


async def aggregate_across(runtime: Runtime, caller: Caller, asked: Across, passage: Passage, named: frozenset[str] | None = None) -> tuple[Finished, Coverage]:
    """The answers of several datasets side by side; of each those of the named sources that have it.

    A dataset of which nobody answered is all nulls, and named in the coverage.
    """
    questions = asked.questions()
    for name, question in questions.items():
        _check_filter(question, f"/across/{name}/filter")
    aims = targets(runtime, caller, {name: part.dataset for name, part in asked.across.items()}, named)
    require_shared(asked.by, {name: (aim.declared, visible_fields(aim.declared, caller)) for name, aim in aims.items() if aim.declared})
    parts = await asyncio.gather(*(_gather(runtime, question, passage, aims[name], caller) for name, question in questions.items()))
    gathered = dict(zip(questions, parts, strict=True))
    for name, part in gathered.items():
        if not part.states and part.refusals:
            raise passed_on(part.refusals[0], within=f"/across/{name}")
    answers = [answer for part in parts for answer in part.answers]
    coverage = coverage_of(caller, answers, limited=any(part.aim.limited for part in parts))
    check_answered(coverage, (), strict=asked.strict)
    crowd: Crowd = runtime.own.crowd
    return await crowd.worked_on(_groups(*parts), _finished_across, gathered, asked, questions, coverage)


def _check_filter(question: Question, pointer: str) -> None:
    """Refuse what no source would read, and what could not even be sent to one: half characters, huge numbers, bottomless nesting."""
    if isinstance(question.filter, str):
        check_text(question.filter, pointer=pointer)
    elif question.filter is not None:
        read_json(question.filter, pointer=pointer)


async def _gather(runtime: Runtime, question: Question, passage: Passage, aim: Target, caller: Caller) -> Gathered:
    hub: Hub = runtime.own
    dataset, onward = aim.dataset, passage.onward()
    note_question(dataset, question.model_dump(by_alias=True, exclude_defaults=True), ())
    asked = {"tz": question.tz or runtime.settings.timezone, "deadline_ms": max(1, int(onward.remaining_s * 1000))}
    sent = Sent.of(question.for_states().model_copy(update=asked))

    async def ask(source: Source) -> States:
        wanted = Wanted.of(source, dataset, sent, caller, onward, max_age=question.max_age, narrow=aim.limited)
        if source.name == hub.name and aim.own is not None:
            own = aim.own
            return await hub.kept.get(wanted, lambda _: own_states(runtime, own, sent.question, caller), lambda: own_versions(runtime))
        return await hub.kept.get(wanted, lambda tag: _fetch(hub, source, dataset, sent, caller, onward, tag))

    outcomes = await ask_all(aim, ask)
    states, doubted = _sound_together(dataset, {source.name: found for source, found in outcomes.found})
    answers = [replace(answer, rows=None) if part.smallest_group else answer for part in states for answer in part.answers]
    failures = (*outcomes.failures, *doubted)
    return Gathered(aim, tuple(states), (*answers, *failures), failures, outcomes.refusals)


async def _fetch(hub: Hub, source: Source, dataset: str, sent: Sent, caller: Caller, onward: Passage, tag: str | None) -> Answered[States] | Unchanged:
    asked = time.monotonic()
    answer = await hub.client.ask(
        source.name,
        f"{source.url}/collections/{dataset}/aggregate",
        onward,
        token=hub.issuer.hop(caller, source.audience(hub.city)),
        method="POST",
        content=sent.body,
        headers={"Accept": wire.MEDIA_TYPE, "Content-Type": "application/json", **({"If-None-Match": tag} if tag else {})},
        limit_bytes=STATES_BYTES,
    )
    if answer.status == 304:
        return unchanged_by(answer, asked)
    return answered_by(
        answer, await worked(len(answer.content) <= _READ_AT_ONCE, _read, source, dataset, answer.content, sent.question, answer.elapsed_ms), asked
    )


def _read(source: Source, dataset: str, content: bytes, question: Question, elapsed_ms: int) -> States:
    """The states that a source sent, if they are what they should be: whole, of a known version, its own, and true as far as one can tell."""
    try:
        states = wire.read_states(content, question=question)
    except BrokenStates as error:
        raise SourceUnsound(error.detail) from error
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise SourceUnsound(f"{source.name} sent states that cannot be read: {str(error)[:200]}") from error
    if (offer := source.offers.get(dataset)) is not None:
        check_described(source.name, states.layout, offer.declared)
    if any(answer.dataset != dataset for answer in states.answers) or not speaks_for(source, [answer.source for answer in states.answers]):
        raise SourceUnsound(f"{source.name} answered in another's name or of another dataset.")
    given = [answer for answer in states.answers if answer.status in ("ok", "stale")]
    rows = [answer.rows for answer in given if answer.rows is not None]
    if not given or (len(rows) == len(given) and sum(rows) != (pc.sum(states.table[GROUP_ROWS]).as_py() or 0)):
        raise SourceUnsound(f"{source.name} says that its answer rests on {sum(rows)} rows, and its groups add up to another number.")
    if source.kind == "hub":
        return states
    return replace(states, answers=tuple(from_city(source, replace(answer, elapsed_ms=elapsed_ms)) for answer in states.answers))


def _sound_together(dataset: str, found: Mapping[str, States]) -> tuple[list[States], list[SourceAnswer]]:
    """The states that can be merged: those that describe their columns as most do, and no leaf source's rows twice."""
    same = agreeing({name: states.layout for name, states in found.items()})
    kept: list[States] = []
    doubted: list[SourceAnswer] = []
    counted: set[tuple[str, str]] = set()
    for name, states in sorted(found.items()):
        leaves = {(answer.source, answer.dataset) for answer in states.answers}
        if name not in same:
            doubted.append(failed(name, dataset, SourceUnsound(f"{name} describes its columns differently from the other sources."), 0))
        elif leaves & counted:
            doubted.append(failed(name, dataset, SourceUnsound(f"Rows of {', '.join(sorted(source for source, _ in leaves & counted))} came twice."), 0))
        else:
            counted |= leaves
            kept.append(states)
    return kept, doubted


def _groups(*parts: Gathered) -> int:
    return sum(states.table.num_rows for part in parts for states in part.states)


def _finished(states: tuple[States, ...], question: Question, coverage: Coverage) -> tuple[Finished, Coverage]:
    finished = finish(merge_states(states))
    return select_rows(finished, having=question.having, sortby=question.sortby, limit=question.limit), replace(coverage, suppressed=finished.suppressed)


def _standing(part: Gathered) -> Standing:
    """Whether every source of a dataset answered, and from when to when it can have rows."""
    answered = [answer for answer in part.answers if answer.status in ("ok", "stale")]
    until = max((answer.as_of for answer in answered if answer.as_of), default=None)
    retention = part.aim.declared.retention if part.aim.declared else None
    since = until - retention if until and retention and until - _EARLIEST > retention else None
    return Standing(len(answered) == len(part.answers), since, until)


def _finished_across(gathered: Mapping[str, Gathered], asked: Across, questions: Mapping[str, Question], coverage: Coverage) -> tuple[Finished, Coverage]:
    layout: Layout = next(part.states[0].layout for part in gathered.values() if part.states)
    parts = {name: finish(merge_states(part.states or (empty_states(part.aim, questions[name], layout),))) for name, part in gathered.items()}
    joined = side_by_side(parts, {name: _standing(part) for name, part in gathered.items()})
    return select_rows(joined, having=asked.having, sortby=asked.sortby, limit=asked.limit), replace(coverage, suppressed=joined.suppressed)
