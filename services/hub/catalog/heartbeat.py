"""Listens to every source: what it offers, whether its schemas drift, how it is."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from services.hub.catalog.declared import Misdescribed, declaration
from services.hub.catalog.domain import KEPT_HERE, Announced, Offer, Source, drift_between, schema_digest
from services.hub.catalog.peers import keep_peers
from services.hub.catalog.proving import prove
from services.hub.catalog.registry import keep
from services.hub.catalog.schemas import Announcement
from services.hub.state import Hub
from shared.caller import Caller, Clearance
from shared.client import MIB
from shared.passage import Passage, starting
from shared.service import Runtime
from shared.source_failures import SourceFailure
from shared.vocabulary import DataGrade, Personal

EVERY_S = 3.0
"""How often each source is asked how it is,"""
DOWN_EVERY_S = 1.0
"""and one that did not answer: who waits for it should not wait for us."""
DESCRIBE_EVERY_S = 60.0
"""How often its schemas are looked at again although nothing announced a change."""
PATIENCE_S = 2.0
RELOAD_S = 5.0
_SCHEMA_BYTES = 256 * 1024
_log = structlog.get_logger("catalog")


async def keep_catalog(runtime: Runtime) -> None:
    """Watch all registered sources, each in a task of its own, until cancelled."""
    hub: Hub = runtime.own
    watching: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            hub.registry.changed.clear()
            try:
                await hub.registry.reload(runtime.sessions)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("registry of sources not read", error=repr(error))
            for name in hub.registry.sources.keys() - watching.keys():
                watching[name] = group.create_task(_watch(runtime, name))
            for name in watching.keys() - hub.registry.sources.keys():
                watching.pop(name).cancel()
                hub.client.forget(name)
            with suppress(TimeoutError):
                async with asyncio.timeout(RELOAD_S):  # wait_for would lose a cancellation that comes with the event (Python 3.11)
                    await hub.registry.changed.wait()


async def _watch(runtime: Runtime, name: str) -> None:
    hub: Hub = runtime.own
    described = 0.0
    while (source := hub.registry.sources.get(name)) is not None:
        due = time.monotonic() - described >= DESCRIBE_EVERY_S
        try:
            if await listen(runtime, source, describe=due):
                described = time.monotonic()
        except (SQLAlchemyError, OSError) as error:
            _log.warning("what a source offers was not kept", source=name, error=repr(error))
        await asyncio.sleep((min(EVERY_S, DOWN_EVERY_S) if source.health == "down" else EVERY_S) * random.uniform(0.7, 1.3))


async def listen(runtime: Runtime, source: Source, *, describe: bool) -> bool:
    """Ask a source how it is and note it; whether its datasets were described anew."""
    hub: Hub = runtime.own
    try:
        await prove(runtime, source)
        announced, elapsed_ms = await _announcement(hub, source)
        anew = describe or announced.version != source.version or {item.id for item in announced.datasets} != source.offers.keys()
        offers = await _describe(hub, source, announced) if anew else dict(source.offers)
    except SourceFailure as failure:
        _note(source, "down", failure.body())
        return False
    now = datetime.now(UTC)
    changed = [offer for offer in offers.values() if (known := source.offers.get(offer.dataset)) is None or known.digest != offer.digest]
    offered = {item.id: replace(offers[item.id], version=item.version, as_of=item.as_of) for item in announced.datasets}
    if anew:
        async with runtime.sessions.begin() as session:
            await keep(session, source.name, announced.version, offered.values(), now)
    source.lookups = tuple(Announced(lookup.id, lookup.path, lookup.title) for lookup in announced.lookups if lookup.id.startswith(f"{announced.service}."))
    source.offers, source.version, source.last_seen, source.elapsed_ms = offered, announced.version, now, elapsed_ms
    _note(source, "up", None)
    await keep_peers(runtime, hub.registry, source, announced.peers)
    for offer in changed:
        what = asdict(offer.drift) if offer.drift else {}
        _log.log(30 if offer.drifted else 20, "dataset drifted" if offer.drifted else "dataset met", source=source.name, dataset=offer.dataset, **what)
    return anew


def _note(source: Source, health: Any, problem: dict[str, Any] | None) -> None:
    if source.health != health:
        source.health, source.since = health, datetime.now(UTC)
        _log.log(20 if health == "up" else 30, f"source is {health}", source=source.name, problem=(problem or {}).get("detail"))
    source.problem = problem


async def _announcement(hub: Hub, source: Source) -> tuple[Announcement, int]:
    answer = await _get(hub, source, "/capabilities", starting(hub.name, PATIENCE_S), 4 * MIB)
    try:
        announced = Announcement.model_validate_json(answer.content)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise SourceFailure(f"{source.name} announces itself wrongly at /{'/'.join(map(str, first['loc']))}: {first['msg']}") from error
    if f"{announced.city}/{announced.service}" != source.name:
        raise SourceFailure(f"At the address of {source.name} answers {announced.city}/{announced.service}.")
    if source.kind == "hub":
        announced.datasets = [item for item in announced.datasets if item.id not in KEPT_HERE]
    return announced, answer.elapsed_ms


async def _describe(hub: Hub, source: Source, announced: Announcement) -> dict[str, Offer]:
    """Collection and schema of every announced dataset, asked at once."""
    passage = starting(hub.name, 2 * PATIENCE_S)
    found = await asyncio.gather(*(_describe_one(hub, source, item.id, passage) for item in announced.datasets))
    return {offer.dataset: offer for offer in found}


async def _describe_one(hub: Hub, source: Source, dataset: str, passage: Passage) -> Offer:
    parts = (f"/collections/{dataset}", f"/collections/{dataset}/schema")
    collection, schema = await asyncio.gather(*(_get(hub, source, path, passage, _SCHEMA_BYTES) for path in parts))
    described, fields = _object(source, collection.content), _object(source, schema.content)
    try:
        declared = declaration(dataset, described, fields)
    except Misdescribed as error:
        raise SourceFailure(f"{source.name}: {error}") from error
    digest, known = schema_digest(fields), source.offers.get(dataset)
    same = known is not None and known.digest == digest
    return Offer(
        dataset=dataset,
        collection=described,
        schema=fields,
        declared=declared,
        digest=digest,
        previous_digest=known.previous_digest if known and same else known.digest if known else None,
        drift=known.drift if known and same else drift_between(known.schema, fields) if known else None,
        changed_at=known.changed_at if known and same else datetime.now(UTC),
    )


def _object(source: Source, content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise SourceFailure(f"{source.name} describes itself in something other than JSON.") from error
    if not isinstance(found, dict):
        raise SourceFailure(f"{source.name} describes itself in JSON that is no object.")
    return found


async def _get(hub: Hub, source: Source, path: str, passage: Passage, limit_bytes: int) -> Any:
    return await hub.client.ask(
        source.name,
        source.url.rstrip("/") + path,
        passage,
        token=hub.issuer.hop(_itself(hub), source.audience(hub.city)),
        headers={"Accept": "application/json"},
        limit_bytes=limit_bytes,
        insist=True,
    )


def _itself(hub: Hub) -> Caller:
    """The hub when it asks for descriptions: every field that may be shared; a source tells its version to those who see everything."""
    return Caller(hub.name, hub.name, frozenset({"hub:query"}), ("*",), Clearance(DataGrade.IMPORTANT, Personal.SENSITIVE), "catalogue")
