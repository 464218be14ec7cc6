"""The source registry over HTTP: who is asked and how they are; adding and removing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from services.hub.catalog.domain import Offer, Source, seen_by
from services.hub.catalog.models import SourceRow
from services.hub.catalog.peers import gateway_of
from services.hub.catalog.proving import pin, pinned
from services.hub.catalog.registry import BY_SETTINGS
from services.hub.catalog.schemas import DriftOut, KeyIn, OfferOut, SourceIn, SourceOut
from services.hub.state import Hub, HubState
from shared.auth import Caller, may
from shared.datasets.labels import visible_fields
from shared.errors import Conflict, NotFound
from shared.service import Runtime

router = APIRouter(tags=["catalog"])
Admin = Annotated[Caller, may("hub:admin")]
Part = Annotated[str, Path(max_length=32)]


@router.get("/sources", summary="The sources that this hub asks, and how they are")
async def list_sources(hub: HubState, caller: Annotated[Caller, may("hub:query", "hub:admin", "hub:audit")]) -> list[SourceOut]:
    """Health is what the last heartbeat found, some seconds ago at most. Datasets are those that exist for the caller."""
    return [_shown(hub, source, caller) for _, source in sorted(hub.registry.sources.items())]


@router.post("/sources", status_code=201, summary="Ask one more source from now on")
async def add_source(source: SourceIn, request: Request, hub: HubState, admin: Admin) -> SourceOut:
    runtime: Runtime = request.app.state.runtime
    row = {"name": source.name, "kind": source.kind, "url": str(source.url).rstrip("/"), "key": pinned(source.key, admin.subject), "added_by": admin.subject}
    gateway = hub.registry.sources.get(gateway_of(hub.city))
    if source.kind == "city" and (gateway is None or not str(source.url).startswith(gateway.url.rstrip("/") + "/")):
        raise Conflict(f"A peer city is asked below the address of {gateway_of(hub.city)}, since tokens for it are that service's.", pointer="/url")
    made = None
    if source.name != hub.name:
        async with runtime.sessions.begin() as session:
            made = await session.scalar(insert(SourceRow).values(row).on_conflict_do_nothing().returning(SourceRow.name))
    if made is None:
        raise Conflict(f"{source.name} is a source already.", pointer="/name")
    await hub.registry.reload(runtime.sessions)
    hub.registry.changed.set()
    return _shown(hub, hub.registry.sources[source.name], admin)


@router.put("/sources/{city}/{service}/key", summary="Believe another key of a source from now on")
async def pin_key(city: Part, service: Part, wish: KeyIn, request: Request, hub: HubState, admin: Admin) -> SourceOut:
    """For a source that was given a new key, or to state the key before the source is first met. It is sent nothing until it has proven to hold it."""
    source = hub.registry.sources.get(f"{city}/{service}")
    if source is None:
        raise NotFound(f"There is no source {city}/{service}.")
    await pin(request.app.state.runtime, source, pinned(wish.key, admin.subject))
    return _shown(hub, source, admin)


@router.delete("/sources/{city}/{service}", status_code=204, summary="Stop asking a source")
async def remove_source(city: Part, service: Part, request: Request, hub: HubState, admin: Admin) -> Response:
    runtime: Runtime = request.app.state.runtime
    name = f"{city}/{service}"
    source = hub.registry.sources.get(name)
    if source is None:
        raise NotFound(f"There is no source {name!r}.")
    if source.added_by == BY_SETTINGS:
        raise Conflict(f"{name} comes from the settings; remove it there and restart.")
    async with runtime.sessions.begin() as session:
        await session.execute(delete(SourceRow).where(SourceRow.name == name))
    await hub.registry.reload(runtime.sessions)
    hub.registry.changed.set()
    return Response(status_code=204)


def _shown(hub: Hub, source: Source, caller: Caller) -> SourceOut:
    admin = caller.has("hub:admin")
    return SourceOut(
        name=source.name,
        kind=source.kind,
        health=source.health,
        since=source.since,
        last_seen=source.last_seen,
        circuit=hub.client.circuit(source.name),
        elapsed_ms=source.elapsed_ms,
        version=source.version,
        problem=_told(source.problem, admin=admin) if source.problem else None,
        datasets=[_offered(offer, caller) for _, offer in sorted(source.offers.items()) if admin or seen_by(caller, offer)],
        url=source.url if admin else None,
        key=dict(source.key) if source.key else None,
        trust="unknown" if source.proven is None else "proven" if source.proven else "unproven",
        added_by=source.added_by,
    )


def _told(problem: Mapping[str, Any], *, admin: bool) -> dict[str, Any]:
    """What is wrong with a source; in its own words only for administrators, since anything may answer at an address."""
    return {name: value for name, value in problem.items() if admin or name != "detail"}


def _offered(offer: Offer, caller: Caller) -> OfferOut:
    drift = offer.drift
    if drift is not None and not caller.has("hub:admin"):
        drift = drift.seen_with(visible_fields(offer.declared, caller))
    return OfferOut(
        dataset=offer.dataset,
        version=offer.version,
        as_of=offer.as_of,
        schema_digest=offer.digest,
        drifted=offer.drifted,
        changed_at=offer.changed_at,
        changes=DriftOut.model_validate(asdict(drift)) if drift else None,
    )
