"""Federated records: pages of rows from every source in one order, and single rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow as pa
from fastapi import Request, Response

from services.hub.catalog.domain import Source
from services.hub.federation.ask import Outcomes, Target, ask_all, target
from services.hub.federation.domain import NobodyAnswered, SourceLeftOut, SourceUnsound, check_answered, coverage_of, failed, from_city
from services.hub.federation.levels import Position, advanced, check_position, counted, rows_by_leaf, through
from services.hub.federation.naming import OURS, named_in
from services.hub.federation.own_rows import own_page, own_row
from services.hub.federation.portions import Features, Wish, no_row, read_page, read_row
from services.hub.federation.union import Merged, merge
from services.hub.state import Hub
from shared.caller import Caller
from shared.client import MIB, Answer
from shared.database import reading
from shared.datasets.answers import AFTER_HEADER, CACHE, Asked, base_of, items_answer, now_text, row_answer
from shared.datasets.catalogue import link
from shared.datasets.coverage import Coverage, SourceAnswer
from shared.datasets.extent import CRS84, EPSG4326
from shared.datasets.formats import MEDIA_TYPES, Form, as_arrow, as_csv, asked_form, encode_json
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View, unknown_dataset, view
from shared.errors import InvalidRequest, NotFound
from shared.paging import paging_key, seal, unseal
from shared.passage import Passage
from shared.service import Runtime
from shared.source_failures import SourceRefused
from shared.threads import LITTLE_BYTES, worked

PAGE_BYTES = 64 * MIB
"""Most bytes of one source's page."""


@dataclass(frozen=True, slots=True)
class Journey:
    """Where a paging over several sources stands: what its token holds."""

    after: Mapping[str, Position]
    """For each source that still has rows, the place of the last row taken, None before the first; for a hub, how its own journey stands."""
    out: Mapping[str, str]
    """Sources that failed on an earlier page, with their status: they stay out, or rows would be missing in the middle."""
    known_at: Mapping[str, str]

    @classmethod
    def of(cls, held: Mapping[str, Any], aim: Target) -> Journey:
        """As a token holds it, or the beginning: all sources, from their first row."""
        return cls(held.get("after", {source.name: None for source in aim.sources}), held.get("out", {}), held.get("known_at", {}))


@dataclass(frozen=True, slots=True)
class Page:
    """A request for a page, understood."""

    runtime: Runtime
    caller: Caller
    aim: Target
    seen: View
    query: RecordQuery
    form: Form
    journey: Journey
    address: str
    url: str
    named: str | None
    """The sources that the question names, as they stand in links and bind page tokens."""

    @property
    def flat(self) -> bool:
        return self.form in ("csv", "arrow")

    @property
    def bound(self) -> dict[str, str]:
        """What page tokens are bound to."""
        return self.query.bound | self.naming

    @property
    def naming(self) -> dict[str, str]:
        return {"sources": self.named} if self.named else {}


async def items(runtime: Runtime, request: Request, caller: Caller, dataset: str, passage: Passage, *, strict: bool) -> Response:
    """A page of the rows of all sources. Raises what the sources find wrong with the query, or `NobodyAnswered`."""
    aim = target(runtime, caller, dataset, named_in(request))
    if aim.own is not None and len(aim.sources) == 1 and not caller.superior:
        async with reading(runtime.reader) as connection:
            return await items_answer(Asked(request, connection, caller, aim.own, OURS))
    page = _understand(runtime, request, caller, aim)
    asked = replace(aim, sources=tuple(source for source in aim.sources if source.name in page.journey.after))
    outcomes = await ask_all(asked, lambda source: page_of(page, source, passage.onward())) if asked.sources else Outcomes((), (), ())
    outcomes = _apart(dataset, outcomes)
    merged = merge([features.portion for _, features in outcomes.found], _wish(page).descending, page.query.limit(runtime.settings.page_limit))
    answers = (*_answers(page, outcomes, merged.taken), *outcomes.failures, *_left_out(page))
    coverage = coverage_of(caller, answers, limited=aim.limited)
    check_answered(coverage, outcomes.refusals, strict=strict)
    return await asyncio.to_thread(_answer, page, outcomes, merged, coverage)


async def item(runtime: Runtime, request: Request, caller: Caller, dataset: str, feature_id: str, passage: Passage) -> Response:
    """One row; of several sources that have one of this id, the first by name. An error if it was not found and a source did not answer."""
    aim = target(runtime, caller, dataset, named_in(request))
    if aim.own is not None and len(aim.sources) == 1:
        async with reading(runtime.reader) as connection:
            return await row_answer(Asked(request, connection, caller, aim.own, OURS), feature_id)
    page = _understand(runtime, request, caller, aim)
    outcomes = await ask_all(aim, lambda source: _row_of(page, source, feature_id, passage.onward()))
    found = next((features for _, features in outcomes.found if features.rows), None)
    rows = [len(features.rows) for _, features in outcomes.found]
    coverage = coverage_of(caller, (*_answers(page, outcomes, rows), *outcomes.failures), limited=aim.limited)
    if found is None and outcomes.refusals:
        check_answered(replace(coverage, sources=outcomes.failures), outcomes.refusals, strict=False)
    if found is None and outcomes.failures:
        raise NobodyAnswered(f"{dataset} item {feature_id[:80]!r} was not found, and not every source answered.", coverage=coverage.as_dict())
    if found is None:
        raise NotFound(f"{dataset} has no item {feature_id[:80]!r}.", pointer="/feature_id")
    if page.flat:
        return _flat(page, found.table, coverage, {"numberReturned": 1}, {})
    links = [link(f"{page.address}/items/{quote(feature_id, safe='')}", "self", MEDIA_TYPES[page.form]), link(page.address, "collection", "application/json")]
    return Response(encode_json({**found.rows[0], "links": links, "coverage": coverage.as_dict()}), media_type=MEDIA_TYPES[page.form], headers=_headers(page))


def _understand(runtime: Runtime, request: Request, caller: Caller, aim: Target) -> Page:
    if aim.declared is None:
        raise unknown_dataset(aim.dataset)
    seen = view(aim.declared, caller)
    parameters = [(name, value) for name, value in request.query_params.multi_items() if name not in OURS]
    query = RecordQuery.read(parameters, aim.declared, seen.fields)
    form = asked_form(query.given.get("f"), request.headers.get("accept", ""))
    key = _key(runtime)
    named = ",".join(source.name for source in aim.sources) if named_in(request) else None
    bound = query.bound | ({"sources": named} if named else {})
    held = unseal(key, query.given["token"], query=bound, caller=caller) if "token" in query.given else _told(request, caller)
    address = f"{base_of(request)}/collections/{quote(aim.dataset)}"
    return Page(runtime, caller, aim, seen, query, form, Journey.of(held, aim), address, str(request.url), named)


def _told(request: Request, caller: Caller) -> dict[str, Any]:
    """Where a superior hub wants to go on, after rows of which it was told the place. Nobody else may say so."""
    told = request.headers.get(AFTER_HEADER)
    if told is None or not caller.superior:
        return {}
    try:
        journey = json.loads(told)
        check_position(journey)
        return dict(journey)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise InvalidRequest(f"{AFTER_HEADER} is no journey through the sources of this hub.", pointer=f"/{AFTER_HEADER}") from error


def _apart(dataset: str, outcomes: Outcomes[Features]) -> Outcomes[Features]:
    """The outcomes without those that bring rows of a source whose rows another brings already."""
    kept: list[tuple[Source, Features]] = []
    doubted: list[SourceAnswer] = []
    counted_on: set[str] = set()
    for source, features in sorted(outcomes.found, key=lambda found: found[0].name):
        if twice := features.leaves & counted_on:
            doubted.append(failed(source.name, dataset, SourceUnsound(f"Rows of {', '.join(sorted(twice))} came twice."), 0))
        else:
            counted_on |= features.leaves
            kept.append((source, features))
    return replace(outcomes, found=tuple(kept), failures=(*outcomes.failures, *doubted)) if doubted else outcomes


def _key(runtime: Runtime) -> bytes:
    return paging_key(runtime.settings.reader_url.get_secret_value())


async def page_of(page: Page, source: Source, passage: Passage) -> Features:
    """One source's next rows, from where the last page left it."""
    place = page.journey.after[source.name]
    if (own := page.aim.own_at(source)) is not None:
        return await own_page(page.runtime, page.caller, own, page.query, source.name, place, page.journey.known_at.get(source.name), _wish(page))
    limit = page.query.limit(page.runtime.settings.page_limit)
    paging = {"token", "limit"}
    sent = [pair for pair in _theirs(page, known_at=page.journey.known_at.get(source.name)) if pair[0] not in paging] + [("limit", str(limit))]
    headers = {AFTER_HEADER: json.dumps(place)} if place is not None else {}
    answer = await _ask(page, source, "items", sent, headers, passage)
    return await worked(len(answer.content) <= LITTLE_BYTES, read_page, source, answer.content, _wish(page), answer.elapsed_ms, page.aim.dataset)


async def _row_of(page: Page, source: Source, feature_id: str, passage: Passage) -> Features:
    if (own := page.aim.own_at(source)) is not None:
        return await own_row(page.runtime, page.caller, own, page.query, source.name, feature_id, _wish(page))
    try:
        answer = await _ask(page, source, f"items/{quote(feature_id, safe='')}", _theirs(page), {}, passage)
    except SourceRefused as refused:
        if refused.answered == 404:
            return no_row(source.name)
        raise
    return await worked(len(answer.content) <= LITTLE_BYTES, read_row, source, answer.content, _wish(page), answer.elapsed_ms)


def _theirs(page: Page, *, known_at: str | None = None) -> list[tuple[str, str]]:
    """The parameters that the sources answer; tables have longitude and latitude as columns, in no other order."""
    given = {**page.query.given, "f": "geojson", **({"known_at": known_at} if known_at else {})}
    return [(name, value) for name, value in given.items() if not (page.flat and name == "crs")]


def _wish(page: Page) -> Wish:
    descending = [down for _, down in page.query.sorting(page.seen)]
    return Wish(descending, page.seen if page.flat else None, page.query.chosen())


async def _ask(page: Page, source: Source, path: str, params: list[tuple[str, str]], headers: Mapping[str, str], passage: Passage) -> Answer:
    hub: Hub = page.runtime.own
    url = f"{source.url}/collections/{page.aim.dataset}/{path}"
    token = hub.issuer.hop(page.caller, source.audience(hub.city))
    return await hub.client.ask(source.name, url, passage, token=token, params=params, headers=headers, limit_bytes=PAGE_BYTES)


def _answers(page: Page, outcomes: Outcomes[Features], rows: Sequence[int]) -> list[SourceAnswer]:
    """How it stands with each source; of a hub with each of its own."""
    depth = len(_wish(page).descending)
    by_hubs = [
        counted(features.below, rows_by_leaf(source.name, features.start, features.portion.places[:taken], depth))
        for (source, features), taken in zip(outcomes.found, rows, strict=True)
        if features.below
    ]
    return [answer for answers in by_hubs for answer in answers] + [
        from_city(source, _given(page, source, features, taken), features.agreement)
        for (source, features), taken in zip(outcomes.found, rows, strict=True)
        if not features.below
    ]


def _given(page: Page, source: Source, features: Features, taken: int) -> SourceAnswer:
    name, dataset, as_of, elapsed_ms = source.name, page.aim.dataset, features.as_of, features.elapsed_ms
    return SourceAnswer(source=name, dataset=dataset, status="ok", rows=taken, as_of=as_of, elapsed_ms=elapsed_ms, served_from="rows")


def _left_out(page: Page) -> list[SourceAnswer]:
    """Sources that failed on an earlier page, or are no longer known."""
    detail = "It gave no answer to an earlier page and stays out until the first page is asked again."
    problem = {"type": "/problems/source-left-out", "title": SourceLeftOut.title.en, "detail": detail}
    known = {source.name for source in page.aim.sources}
    out = {**page.journey.out, **{name: "error" for name in page.journey.after if name not in known}}
    return [SourceAnswer(source=name, dataset=page.aim.dataset, status=status, problem=problem) for name, status in out.items()]  # type: ignore[arg-type]  # as this hub wrote it


def _answer(page: Page, outcomes: Outcomes[Features], merged: Merged, coverage: Coverage) -> Response:
    """The rows that come next among all sources, in the form that was asked for."""
    found = [features for _, features in outcomes.found]
    about: dict[str, Any] = {"numberReturned": len(merged.picked)}
    matched = [features.matched for features in found]
    whole = merged.done or page.query.hits or page.query.counts
    if not page.journey.out and "token" not in page.query.given and all(number is not None for number in matched) and whole:
        about["numberMatched"] = sum(number or 0 for number in matched)
    known_at = [features.known_at for features in found if features.known_at]
    about |= {"known_at": min(known_at)} if known_at else {}
    following = _following(page, outcomes, merged)
    headers = {"Link": f'<{following}>; rel="next"; type="{MEDIA_TYPES[page.form]}"'} if following else {}
    if page.flat:
        return _flat(page, _picked_table(found, merged), coverage, about, headers)
    rows = [found[number].rows[row] for number, row in merged.picked]
    about |= _for_superior(page, outcomes, merged) if page.caller.superior else {}
    body = {"type": "FeatureCollection", "timeStamp": now_text(), **about, "features": rows, "links": _links(page, following), "coverage": coverage.as_dict()}
    return Response(encode_json(body), media_type=MEDIA_TYPES[page.form], headers={**_headers(page), **headers})


def _for_superior(page: Page, outcomes: Outcomes[Features], merged: Merged) -> dict[str, Any]:
    """What only a superior hub is told: the place of each row, and from where this page began in each source."""
    depth = len(_wish(page).descending)
    found = [(source.name, features) for source, features in outcomes.found]
    places = [through(found[number][0], found[number][1].portion.places[row], depth) for number, row in merged.picked]
    after = {name: _start(page, name, features) for name, features in found}
    out = {**page.journey.out, **{failure.source: failure.status for failure in outcomes.failures}}
    return {"places": places, "journey": {"after": after, "out": out, "known_at": {name: features.known_at for name, features in found if features.known_at}}}


def _start(page: Page, name: str, features: Features) -> Position:
    """Where this page begins in a source: of a hub as the hub tells, for it knows its own sources."""
    return features.start if features.start is not None else page.journey.after[name]


def _picked_table(found: list[Features], merged: Merged) -> pa.Table:
    starts, start = [], 0
    for features in found:
        starts.append(start)
        start += features.table.num_rows
    whole = pa.concat_tables([features.table for features in found])
    return whole.take(pa.array([starts[number] + row for number, row in merged.picked], pa.int64()))


def _flat(page: Page, rows: pa.Table, coverage: Coverage, about: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    if page.form == "arrow":
        body = as_arrow(rows, {"dataset": page.aim.dataset, **about, "coverage": coverage.as_dict()})
        return Response(body, media_type=MEDIA_TYPES["arrow"], headers={**CACHE, **headers})
    named = f'<data:application/json,{quote(encode_json(coverage.as_dict()))}>; rel="coverage"'
    links = ", ".join(filter(None, (headers.get("Link"), named)))
    return Response(as_csv(rows), media_type=MEDIA_TYPES["csv"], headers={**CACHE, "Link": links})


def _headers(page: Page) -> dict[str, str]:
    return {"Content-Crs": f"<{EPSG4326 if page.query.swapped else CRS84}>"} | CACHE


def _following(page: Page, outcomes: Outcomes[Features], merged: Merged) -> str | None:
    """The address of the next page: where each source goes on, and which stay out."""
    if merged.done:
        return None
    after: dict[str, Any] = {}
    for (source, features), taken in zip(outcomes.found, merged.taken, strict=True):
        if taken < len(features.portion.places) or not features.portion.exhausted:
            after[source.name] = advanced(_start(page, source.name, features), features.portion.places[:taken], len(_wish(page).descending))
    known_at = {source.name: features.known_at for source, features in outcomes.found if features.known_at}
    out = {**page.journey.out, **{failure.source: failure.status for failure in outcomes.failures}}
    token = seal(_key(page.runtime), {"after": after, "out": out, "known_at": known_at}, query=page.bound, caller=page.caller)
    return f"{page.address}/items?{urlencode({**page.query.given, **page.naming, 'token': token})}"


def _links(page: Page, following: str | None) -> list[dict[str, str]]:
    links = [link(page.url, "self", MEDIA_TYPES[page.form]), link(page.address, "collection", "application/json")]
    others = (other for other in ("geojson", "csv", "arrow") if other != page.form)
    links += [link(f"{page.address}/items?{urlencode({**page.query.given, **page.naming, 'f': other})}", "alternate", MEDIA_TYPES[other]) for other in others]
    return links + ([link(following, "next", MEDIA_TYPES[page.form])] if following else [])
