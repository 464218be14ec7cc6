"""Quality over all sources of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from services.hub.catalog.domain import Source
from services.hub.federation.ask import ask_all, target
from services.hub.federation.domain import check_answered, coverage_of
from services.hub.federation.naming import Parameter, named_in
from services.hub.governance.qualities import ask_source
from services.hub.state import Hub
from shared.auth import AnyCaller
from shared.datasets.coverage import SourceAnswer
from shared.datasets.quality_keeping import check_told, only_cells, shown_fields
from shared.datasets.quality_told import Quality, suppressed, together, told
from shared.datasets.routes import QUALITY
from shared.datasets.view import view
from shared.passage import arriving
from shared.service import Runtime

router = APIRouter(tags=["catalogue"])
DEADLINE_S, LONGEST_S = 5.0, 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """What one source said, if it says anything."""

    quality: Quality | None


@router.get("/collections/{collection}/quality", summary="Completeness, validity and timeliness over all sources", responses=QUALITY)
async def quality(
    collection: str,
    request: Request,
    caller: AnyCaller,
    sources: Parameter = None,
    deadline_ms: Annotated[int | None, Query(ge=1, le=600_000, description="Milliseconds the answer may take")] = None,
) -> dict[str, Any]:
    """Each source looks at its own rows; their counts are added up here. For callers who may see every row, of the fields that they see."""
    runtime: Runtime = request.app.state.runtime
    hub: Hub = runtime.own
    passage = arriving(request, runtime.settings.audience, wanted_s=deadline_ms / 1000 if deadline_ms else DEADLINE_S, most_s=LONGEST_S)
    aim = target(runtime, caller, collection, named_in(request))
    if aim.declared is not None:
        check_told(aim.declared, caller)
    onward = passage.onward()

    async def ask(source: Source) -> Said:
        if source.name == hub.name and aim.own is not None:
            return Said(None if only_cells(aim.own, caller) else await runtime.qualities.get(runtime, aim.own))
        return Said(await ask_source(hub, source, collection, caller, onward))

    outcomes = await ask_all(aim, ask)
    found = {source.name: said.quality for source, said in outcomes.found if said.quality is not None}
    answers = [
        SourceAnswer(source=source.name, dataset=collection, status="ok", rows=said.quality.rows if said.quality else None, as_of=_as_of(said))
        for source, said in outcomes.found
    ]
    coverage = coverage_of(caller, (*answers, *outcomes.failures), limited=aim.limited)
    check_answered(coverage, outcomes.refusals, strict=False)
    declared = aim.own or aim.declared
    if declared is None or not found:
        told_all: dict[str, Any] = suppressed(declared, datetime.now(UTC)) if declared else {"dataset": collection, "suppressed": True}
        return {**told_all, "coverage": coverage.as_dict()}
    shown = shown_fields(view(declared, caller))
    by_source = {name: told(each, declared, shown)["scores"] for name, each in sorted(found.items()) if each.rows >= declared.smallest_group}
    return {**told(together(found), declared, shown), "sources": by_source, "coverage": coverage.as_dict()}


def _as_of(said: Said) -> datetime | None:
    return said.quality.computed_at if said.quality else None
