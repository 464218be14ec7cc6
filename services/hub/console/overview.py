"""The overview of the city: indicators, incidents, warnings, outlines, closures, newest events, sources, and the coverage of all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import FastAPI, Request
from sqlalchemy.exc import SQLAlchemyError

from services.hub.console.domain import INDICATORS, LISTS, MOST_EVENTS, MOST_ROWS, WINDOW_H, Indicator, Listed, Moment, added_up, is_complete
from services.hub.events.log import newest
from services.hub.federation.aggregates import aggregate
from services.hub.federation.ask import target
from services.hub.federation.records import items
from services.hub.state import Hub
from shared.caller import Caller
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.render import rows_of
from shared.datasets.answers import now_text
from shared.datasets.coverage import Scope
from shared.errors import NotFound, Problem
from shared.passage import Passage, starting
from shared.problems import from_exception
from shared.service import Runtime

DEADLINE_S = 1.5
ASKER = "hub:overview"
"""Whose question it is at the sectors: nobody's in particular, so that no viewer's name stands for the others'."""


def moment_of(hub: Hub) -> Moment:
    """The end of the log and the health of the sources, now."""
    return Moment(hub.live.head, tuple(sorted((name, source.health) for name, source in hub.registry.sources.items())))


def rights_of(caller: Caller) -> tuple[Any, ...]:
    """What must be equal for two people to be shown the same."""
    return (caller.areas, caller.clearance, caller.scopes, caller.purpose)


async def overview(app: FastAPI, caller: Caller, moment: Moment) -> bytes:
    """The overview within the rights of the caller, as JSON. What cannot be had is named in it; nothing but a programming error makes it fail."""
    runtime: Runtime = app.state.runtime
    asker = replace(caller, subject=ASKER)
    passage = starting(runtime.settings.audience, DEADLINE_S)
    until = datetime.now(UTC)
    since = until.replace(minute=0, second=0, microsecond=0) - timedelta(hours=WINDOW_H - 1)
    indicators, lists, events = await asyncio.gather(
        asyncio.gather(*(_indicator(runtime, asker, indicator, since, passage) for indicator in INDICATORS)),
        asyncio.gather(*(_list(app, asker, listed, passage) for listed in LISTS)),
        _events(runtime, caller),
    )
    sources = _sources(runtime.own)
    return orjson.dumps(
        {
            "city": runtime.settings.city,
            "position": moment.position,
            "made_at": now_text(),
            "window": {"from": since, "until": until, "hours": WINDOW_H},
            "indicators": indicators,
            "lists": {listed.id: part for listed, part in zip(LISTS, lists, strict=True)},
            "events": events,
            "sources": sources,
            "scope": Scope.of(caller).as_dict(),
            "complete": is_complete([*indicators, *lists], sources) and events is not None,
        }
    )


async def _indicator(runtime: Runtime, caller: Caller, indicator: Indicator, since: datetime, passage: Passage) -> dict[str, Any]:
    measures: dict[str, Any] = {"n": {"fn": "count"}}
    if indicator.mean_of is not None:
        measures = {"n": {"fn": "count", "field": indicator.mean_of}, "sum": {"fn": "sum", "field": indicator.mean_of}}
    question = Question.model_validate(
        {
            "measures": measures,
            "by": {"district": "area:district", "town": "area:town", "hour": "time:hour"},
            "filter": indicator.filter,
            "from": since,
        }
    )
    described: dict[str, Any] = {"id": indicator.id, "title": indicator.title.as_dict(), "dataset": indicator.dataset, "unit": indicator.unit}
    described["kind"] = "mean" if indicator.mean_of else "count"
    try:
        finished, coverage = await aggregate(runtime, caller, indicator.dataset, question, passage)
    except (Problem, SQLAlchemyError, OSError) as error:
        return described | {"places": [], "hours": []} | _without(error, indicator.dataset)
    rows = await asyncio.to_thread(rows_of, finished)
    places, hours = added_up((*row[:4], row[4] if len(row) > 4 else None) for row in rows)
    return described | {"state": "ok", "places": places, "hours": hours, "coverage": coverage.as_dict()}


async def _list(app: FastAPI, caller: Caller, listed: Listed, passage: Passage) -> dict[str, Any]:
    runtime: Runtime = app.state.runtime
    described: dict[str, Any] = {"dataset": listed.dataset}
    try:
        declared = target(runtime, caller, listed.dataset).declared
        params = {"f": "geojson", "limit": str(MOST_ROWS)}
        if declared is not None and declared.time:
            params["sortby"] = f"-{declared.time}"
        if declared is not None and (going_on := listed.filter({field.name for field in declared.fields}, datetime.now(UTC))):
            params["filter"] = going_on
        answer = await items(runtime, _request(app, listed.dataset, params), caller, listed.dataset, passage, strict=False)
    except (Problem, SQLAlchemyError, OSError) as error:
        return described | {"features": []} | _without(error, listed.dataset)
    page = orjson.loads(bytes(answer.body))
    features = [{name: row.get(name) for name in ("id", "geometry", "properties")} for row in page["features"]]
    more = any(link["rel"] == "next" for link in page["links"])
    coverage = page.get("coverage") or _own_coverage(runtime, caller, listed.dataset, len(features))
    return described | {"state": "ok", "features": features, "more": more, "coverage": coverage}


def _request(app: FastAPI, dataset: str, params: Mapping[str, str]) -> Request:
    """The request that a client would make for these rows."""
    scope = {"type": "http", "method": "GET", "scheme": "http", "server": ("hub", 80), "root_path": "", "headers": [], "app": app}
    return Request({**scope, "path": f"/collections/{dataset}/items", "query_string": urlencode(params).encode()})


def _without(error: Exception, dataset: str) -> dict[str, Any]:
    """A part that could not be had: nobody shares it with this caller, or those who do gave no answer."""
    problem = error if isinstance(error, Problem) else from_exception(error)
    if isinstance(problem, NotFound):
        return {"state": "absent", "coverage": {"complete": False, "sources": []}}
    said = {"type": f"/problems/{problem.slug}", "title": problem.title.en}
    coverage = problem.extra.get("coverage") or {"complete": False, "sources": [{"source": "", "dataset": dataset, "status": "error", "problem": said}]}
    return {"state": "failed", "problem": said | {"title_zh": problem.title.zh}, "coverage": coverage}


def _own_coverage(runtime: Runtime, caller: Caller, dataset: str, rows: int) -> dict[str, Any]:
    """Of the hub's own rows, which come without one."""
    as_of = now_text()
    answer = {"source": runtime.settings.audience, "dataset": dataset, "status": "ok", "rows": rows, "as_of": as_of}
    return {"complete": True, "as_of": as_of, "scope": Scope.of(caller).as_dict(), "sources": [answer]}


async def _events(runtime: Runtime, caller: Caller) -> list[dict[str, Any]] | None:
    """The newest events, the newest first; None if the log cannot be read."""
    if not caller.has("hub:events", "hub:query"):
        return None
    try:
        async with runtime.sessions() as session:
            found = await newest(session, caller, MOST_EVENTS)
    except (SQLAlchemyError, OSError, TimeoutError):
        return None
    return [{"position": logged.position, "event": orjson.Fragment(logged.envelope)} for logged in found]


def _sources(hub: Hub) -> list[dict[str, Any]]:
    """Every source, as the last heartbeat found it some seconds ago; the hub itself is among them, since it answers for its own data."""
    seen: Sequence[dict[str, Any]] = [
        {
            "name": source.name,
            "kind": source.kind,
            "health": source.health,
            "since": source.since,
            "last_seen": source.last_seen,
            "problem": {"type": source.problem.get("type"), "title": source.problem.get("title")} if source.problem else None,
        }
        for _, source in sorted(hub.registry.sources.items())
    ]
    return [{"name": hub.name, "kind": "hub", "health": "up", "since": None, "last_seen": datetime.now(UTC), "problem": None}, *seen]
