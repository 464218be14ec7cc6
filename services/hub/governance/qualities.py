"""The quality of everything shared in the city: asked of the sources now and then, and told in the catalogue within the asker's rights."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import ValidationError

from services.hub.catalog.domain import Source, asked_for
from services.hub.governance.schemas import SourceQuality
from services.hub.state import Hub
from shared.caller import Caller, Clearance
from shared.client import MIB
from shared.datasets.quality_keeping import hides_rows, shown_fields, summarised, summary
from shared.datasets.quality_told import Quality, together, told
from shared.datasets.view import View
from shared.passage import Passage, starting
from shared.service import Runtime
from shared.source_failures import SourceFailure
from shared.vocabulary import DataGrade, Personal

FIRST_S, EVERY_S = 60.0, 300.0
PATIENCE_S = 4.0
AT_ONCE = 4


def quality_of(runtime: Runtime, seen: View, caller: Caller) -> dict[str, Any] | None:
    """The scores of a dataset for the catalogue, if all its sources have told them and no row is hidden from the caller."""
    hub: Hub = runtime.own
    if any(dataset.id == seen.dataset.id for dataset in runtime.service.datasets):
        return summary(runtime, seen, caller)
    if hides_rows(seen.dataset, caller):
        return None
    offers = hub.registry.offers(wanted=lambda source: asked_for(caller, source, hub.city)).get(seen.dataset.id, [])
    found = hub.measured.of(seen.dataset.id, [source.name for source, _ in offers])
    return summarised(told(together(found), seen.dataset, shown_fields(seen))) if found else None


async def keep_measured(runtime: Runtime) -> None:
    """Ask every source for the quality of every dataset, until cancelled."""
    await asyncio.sleep(FIRST_S)
    while True:
        await hub_round(runtime)
        await asyncio.sleep(EVERY_S)


async def hub_round(runtime: Runtime) -> None:
    """One round; a source that does not say has no scores in the catalogue until it does."""
    hub: Hub = runtime.own
    turns = asyncio.Semaphore(AT_ONCE)
    asked = [(source, dataset) for source in list(hub.registry.sources.values()) if source.kind != "city" for dataset in source.offers]

    async def one(source: Source, dataset: str) -> tuple[tuple[str, str], Quality | None]:
        async with turns:
            try:
                return (dataset, source.name), await ask_source(hub, source, dataset, _itself(hub), starting(hub.name, PATIENCE_S))
            except SourceFailure:
                return (dataset, source.name), None

    found = await asyncio.gather(*(one(source, dataset) for source, dataset in asked))
    hub.measured.take({key: quality for key, quality in found if quality is not None})


async def ask_source(hub: Hub, source: Source, dataset: str, caller: Caller, passage: Passage) -> Quality | None:
    """What a source says of its rows, of the fields that the caller sees; nothing if it keeps that to itself."""
    answer = await hub.client.ask(
        source.name,
        f"{source.url}/collections/{dataset}/quality",
        passage,
        token=hub.issuer.hop(caller, source.audience(hub.city)),
        headers={"Accept": "application/json"},
        limit_bytes=MIB,
    )
    try:
        said = SourceQuality.model_validate_json(answer.content)
    except ValidationError as error:
        raise SourceFailure(f"{source.name} tells the quality of {dataset} in a way that is not understood.") from error
    return None if said.suppressed else said.quality()


def _itself(hub: Hub) -> Caller:
    """The hub when it asks for the catalogue: every field that may be shared."""
    return Caller(hub.name, hub.name, frozenset({"hub:query"}), ("*",), Clearance(DataGrade.IMPORTANT, Personal.SENSITIVE), "catalogue")
