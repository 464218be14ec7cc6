"""Aggregates asked of sources once per change: kept states serve as long as the source says that nothing has changed.

Before kept states are given again, the source is asked for its versions, one short question for all panels of all viewers that ask at the
same moment; only what changed is computed anew. With `max_age` what was true so many seconds ago stands in for a source that fails, and what
was true a moment ago is not even asked about. The key holds the asker's rights; and whoever sees less than everything is given an unchanged
answer no sooner than a changed one, so that nobody learns from a quick answer that nothing happened where they may not look
(docs/adr/0019-one-question-per-change.md).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from services.hub.access.issuer import Issuer
from services.hub.catalog.domain import Source
from services.hub.federation.kept import Answered, Kept, SharedChecks, age_s
from shared.caller import Caller
from shared.client import MIB, Answer, SourceClient
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.states import States
from shared.datasets.coverage import SourceAnswer
from shared.datasets.extent import moment_in
from shared.datasets.versions import AS_OF_HEADER, VERSION_HEADER
from shared.passage import Passage, starting
from shared.source_failures import SourceDenied, SourceFailure, SourceRefused, SourceSkipped, SourceTimeout

FRESH_S = 1.0
"""Who says `max_age` is given without asking what was true so short a time ago, or less if `max_age` is less."""
LIFE_S = 900.0
"""After so long states are computed anew although the version is the same: what an owner does by hand (dropped partitions) bears no version."""
CHECK_S = 2.0
"""Patience with a source that is asked for its versions."""
TOKEN_S = 30.0
WITHOUT_S = 60.0
"""A source that knows no versions is not asked for them again so soon."""
_TEXT = 200
_OVERHEAD = 4096


@dataclass(frozen=True, slots=True)
class Versions:
    """What a source said of its datasets."""

    asked: float
    as_of: datetime | None
    by_dataset: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sent:
    """A question for states as every source is asked it, written once for all of them."""

    question: Question
    body: bytes
    """Its JSON,"""
    meant: str
    """and without what changes nothing about the answer."""

    @classmethod
    def of(cls, question: Question) -> Sent:
        body = question.model_dump_json(by_alias=True, exclude_defaults=True, exclude={"sources"})
        meant = question.model_dump_json(by_alias=True, exclude_defaults=True, exclude={"deadline_ms", "max_age", "sources"})
        return cls(question, body.encode(), meant)


@dataclass(frozen=True, slots=True)
class Wanted:
    """States of one dataset that are wanted of one source, on somebody's behalf."""

    source: Source
    dataset: str
    key: Hashable
    passage: Passage
    narrow: bool
    """Whether the asker sees less than everything."""
    max_age: float | None
    fixed: bool
    """Asked as of a past moment: the answer itself says which."""
    weight: int = 0
    """Bytes of the question, which is kept with its answer."""

    @classmethod
    def of(cls, source: Source, dataset: str, sent: Sent, caller: Caller, passage: Passage, *, max_age: float | None, narrow: bool) -> Wanted:
        offer = source.offers.get(dataset)
        rights = (caller.areas, caller.clearance, caller.scopes, caller.purpose)
        way = passage.via if source.kind == "hub" else ()  # whom a hub asks depends on who was asked before
        key = (source.name, source.url, dataset, offer.digest if offer else None, sent.meant, rights, way)
        return cls(source, dataset, key, passage, narrow, max_age, sent.question.known_at is not None, len(sent.meant))


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A source's word that what bears the tag is still the answer."""

    asked: float
    as_of: datetime | None


Fetch = Callable[[str | None], Awaitable[Answered[States] | Unchanged]]
"""Asks the source; only if it is given a tag, the answer may be `Unchanged`."""
Look = Callable[[], Awaitable[Versions | None]]


class KeptStates:
    """The states that the hub keeps, and how they are looked after."""

    def __init__(self, most_bytes: int, name: str, client: SourceClient, issuer: Issuer, city: str) -> None:
        self._name, self._client, self._issuer, self._city = name, client, issuer, city
        self.kept: Kept[States] = Kept(most_bytes)
        self._checks: SharedChecks[Versions | None] = SharedChecks()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._without: dict[str, float] = {}

    async def get(self, wanted: Wanted, fetch: Fetch, look: Look | None = None) -> States:
        """The source's states: asked for, kept and still true, or, if the source fails, kept and no older than `max_age`, marked `stale`."""
        if wanted.source.kind == "city":  # a peer answers under an agreement and logs every question: what it said is not given again
            return _new(await fetch(None), wanted.source).value
        came = time.monotonic()
        held = self.kept.held(wanted.key)
        if held is not None and wanted.max_age and age_s(held) <= min(wanted.max_age, FRESH_S):
            return _given(wanted, held, came)
        try:
            return _given(wanted, await self._fresh(wanted, fetch, look, came), came)
        except SourceFailure as failure:
            held = self.kept.held(wanted.key)
            if held is None or not wanted.max_age or age_s(held) > wanted.max_age or isinstance(failure, (SourceRefused, SourceDenied)):
                raise
            return _given(wanted, held, came, failure)

    async def _fresh(self, wanted: Wanted, fetch: Fetch, look: Look | None, came: float) -> Answered[States]:
        """What is true at some moment after the asker came; only of sources without versions what was asked for a moment before."""
        held, version, began = self.kept.held(wanted.key), None, came
        if self.kept.flying(wanted.key) or (held is not None and held.version is not None and not held.restless):
            found = await self._versions(wanted, look)
            version, began = found.by_dataset.get(wanted.dataset) if found else None, time.monotonic()
            held = self.kept.held(wanted.key)
            if held is not None and found is not None and held.version == version is not None and came - held.asked < LIFE_S:
                held.confirmed(found.asked, found.as_of)
                return await self._unhurried(wanted, held, began)
            if held is not None:
                held.restless = True
        while True:
            answered, joined = await self.kept.fly(wanted.key, wanted.passage, wanted.source.name, lambda: self._fetched(wanted, fetch))
            if not joined or version is None or answered.true_at >= came or answered.version == version:
                return await self._unhurried(wanted, answered, began)

    async def _fetched(self, wanted: Wanted, fetch: Fetch) -> Answered[States]:
        held = self.kept.held(wanted.key)
        asked = time.monotonic()
        tag = held.tag if held is not None and asked - held.asked < LIFE_S else None
        fetched = await fetch(tag)
        if held is not None and tag is not None and isinstance(fetched, Unchanged):
            held.confirmed(fetched.asked, fetched.as_of)
            held.restless = False
            return held
        answered = _new(fetched, wanted.source)
        answered.size += wanted.weight
        answered.restless = held is not None and held.restless and held.version != answered.version
        return answered

    async def _unhurried(self, wanted: Wanted, answered: Answered[States], began: float) -> Answered[States]:
        """For an asker who sees less than everything, after as long as the source took when it made the answer."""
        if wanted.narrow:
            wait_s = answered.took_s - (time.monotonic() - began)
            await asyncio.sleep(max(0.0, min(wait_s, wanted.passage.remaining_s * 0.9)))
        return answered

    async def _versions(self, wanted: Wanted, look: Look | None) -> Versions | None:
        """The versions now, in one question for all who want them at this moment; None if the source knows none."""
        source = wanted.source
        if self._without.get(source.name, 0.0) > time.monotonic():
            return None
        given_s = wanted.passage.remaining_s
        try:
            async with asyncio.timeout(given_s):
                return await self._checks.get(source.name, look or (lambda: self._ask_versions(source)))
        except TimeoutError as error:
            raise SourceTimeout(f"{source.name} did not answer within {given_s * 1000:.0f} ms.") from error
        except SourceTimeout:
            if wanted.passage.remaining_s > CHECK_S:
                return None  # who has more time than that asks for the whole answer
            raise
        except SourceSkipped:
            raise
        except SourceFailure:
            return None  # asked for the answer itself, it may do better, or says in its own words why not

    async def _ask_versions(self, source: Source) -> Versions | None:
        asked = time.monotonic()
        try:
            answer = await self._client.ask(source.name, f"{source.url}/versions", starting(self._name, CHECK_S), token=self._token(source), limit_bytes=MIB)
        except (SourceRefused, SourceDenied):
            self._without[source.name] = asked + WITHOUT_S
            return None
        try:
            said = orjson.loads(answer.content)
            versions = {str(name): str(version)[:_TEXT] for name, version in said["versions"].items()}
            return Versions(asked, moment_in(said["as_of"]), versions)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _token(self, source: Source) -> str:
        """A token in the hub's own name, which opens nothing but versions; kept for half its life."""
        token, until = self._tokens.get(source.name, ("", 0.0))
        if until < time.monotonic():
            token = self._issuer.hop(Caller(self._name, self._name, frozenset({"hub:query"}), purpose="catalogue"), source.audience(self._city))
            self._tokens[source.name] = token, time.monotonic() + TOKEN_S
        return token


def answered_by(answer: Answer, states: States, asked: float) -> Answered[States]:
    """What a source sent over HTTP, as it is kept."""
    version, tag = (_short(answer.headers.get(name)) for name in (VERSION_HEADER, "ETag"))
    return made(states, asked, version, tag)


def unchanged_by(answer: Answer, asked: float) -> Unchanged:
    """What a 304 says."""
    return Unchanged(asked, moment_in(answer.headers.get(AS_OF_HEADER)))


def made(states: States, asked: float, version: str | None, tag: str | None = None) -> Answered[States]:
    """States that were asked for at a moment and have just come."""
    return Answered(states, states.table.nbytes + _OVERHEAD, asked, time.monotonic() - asked, version, tag, true_at=asked)


def _new(fetched: Answered[States] | Unchanged, source: Source) -> Answered[States]:
    if isinstance(fetched, Unchanged):
        raise SourceFailure(f"{source.name} answered 304 to a question without a tag.")
    return fetched


def _given(wanted: Wanted, answered: Answered[States], came: float, failure: SourceFailure | None = None) -> States:
    """The states with the coverage of this time: as of when they are known to be true, and why they are stale if they are."""
    elapsed_ms = round((time.monotonic() - came) * 1000)
    problem: dict[str, Any] | None = None
    if failure is not None:
        problem = {"type": f"/problems/{failure.slug}", "title": failure.title.en, "detail": failure.detail}

    def entry(answer: SourceAnswer) -> SourceAnswer:
        if wanted.source.kind == "hub":  # it tells of each of its own sources when and how quickly that answered
            given = answer
        else:
            given = replace(answer, as_of=answer.as_of if wanted.fixed or answered.as_of is None else answered.as_of, elapsed_ms=elapsed_ms)
        return replace(given, status="stale", problem=problem) if problem and answer.status == "ok" else given

    return replace(answered.value, answers=tuple(map(entry, answered.value.answers)))


def _short(text: str | None) -> str | None:
    return text if text is not None and len(text) <= _TEXT else None
