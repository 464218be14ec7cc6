"""What the hub and all its sources share, described exactly as a sector describes its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from services.hub.catalog.domain import Offer, Source, asked_for
from services.hub.federation.levels import leaves_of
from services.hub.federation.portions import LONGEST_AGREEMENT
from services.hub.governance.qualities import quality_of
from services.hub.state import Hub
from shared.auth import AnyCaller
from shared.caller import Caller
from shared.database import Reader
from shared.datasets import catalogue
from shared.datasets.answers import base_of, described, language_of, now_text
from shared.datasets.dcat import Described, Shared, dcat
from shared.datasets.labels import visible_datasets, visible_fields
from shared.datasets.routes import versions_of
from shared.datasets.view import View, unknown_dataset, view
from shared.service import Runtime

router = APIRouter(tags=["catalogue"])


@router.get("/capabilities", summary="Datasets of the hub and all its sources with their versions, events, scopes")
async def capabilities(request: Request, caller: AnyCaller, reader: Reader) -> Response:
    """A version of several sources names them all; it is shown to those from whom rights hide nothing."""
    runtime: Runtime = request.app.state.runtime
    own = {seen.dataset.id for seen in own_views(runtime, caller)}
    versions = await versions_of(reader, own_views(runtime, caller)) | _versions(runtime, caller)
    as_of = {name: now_text() for name in own} | _as_of(runtime, caller)
    datasets = [
        {"id": name, "title": seen.dataset.title.as_dict(), "version": versions.get(name), "as_of": as_of.get(name)}
        for name, seen in views(runtime, caller).items()
    ]
    service = runtime.service
    return described(
        request,
        {
            "service": service.name,
            "city": runtime.settings.city,
            "version": request.app.version,
            "contract": "1",
            "datasets": [{key: value for key, value in dataset.items() if value is not None} for dataset in datasets],
            "events": {"publishes": sorted(kind.type for kind in service.publishes), "consumes": ["*"] if service.on else []},
            "scopes": ["hub:query", "hub:events", "hub:admin", "hub:audit", "hub:command"],
        },
    )


@router.get("/catalog", summary="DCAT 3 catalogue of everything shared in the city, JSON-LD")
async def catalog(request: Request, caller: AnyCaller, reader: Reader) -> Response:
    runtime: Runtime = request.app.state.runtime
    seen = list(views(runtime, caller).values())
    versions = await versions_of(reader, own_views(runtime, caller)) | _versions(runtime, caller)
    service = runtime.service
    qualities = {view.dataset.id: known for view in seen if (known := quality_of(runtime, view, caller)) is not None}
    about = Described(versions, qualities, runtime.settings.areas, runtime.settings.city, _shared(runtime, caller))
    return described(request, dcat(service.name, service.title, seen, base_of(request), about), media_type="application/ld+json")


@router.get("/collections", summary="Collections of the hub and all its sources")
async def collections(request: Request, caller: AnyCaller) -> Response:
    base, language = base_of(request), language_of(request)
    runtime: Runtime = request.app.state.runtime
    shown = [catalogue.collection(seen, base, language, quality_of(runtime, seen, caller)) for seen in views(runtime, caller).values()]
    return described(request, {"links": [catalogue.link(f"{base}/collections", "self", "application/json")], "collections": shown})


@router.get("/collections/{collection}", summary="A collection, with the sources that offer it")
async def one_collection(collection: str, request: Request, caller: AnyCaller) -> Response:
    runtime: Runtime = request.app.state.runtime
    seen = _one(runtime, collection, caller)
    offers = _offers(runtime, caller, cities=True).get(collection, [])
    own = [runtime.settings.audience] if any(collection == own.dataset.id for own in own_views(runtime, caller)) else []
    said: dict[str, Any] = {"sources": [*(source.name for source, _ in offers), *own]}
    if any(source.kind == "hub" for source, _ in offers):
        below = [leaves_of(source.name, offer.collection) if source.kind == "hub" else [source.name] for source, offer in offers if source.kind != "city"]
        said["leaves"] = sorted({*own, *(leaf for leaves in below for leaf in leaves)})
    if shared := [shared for shared in _shared(runtime, caller) if shared.view.dataset.id == collection]:
        said["origins"] = [{"source": one.source, "origin": one.origin, "agreement": one.agreement} for one in shared]
    described_as = catalogue.collection(seen, base_of(request), language_of(request), quality_of(runtime, seen, caller))
    return described(request, described_as | said)


@router.get("/collections/{collection}/schema", summary="Schema of the rows' properties, with labels")
@router.get("/collections/{collection}/queryables", summary="Properties that filters may name")
async def schema(collection: str, request: Request, caller: AnyCaller) -> Response:
    seen = _one(request.app.state.runtime, collection, caller)
    return described(request, catalogue.schema(seen, base_of(request), language_of(request)), media_type=catalogue.SCHEMA_TYPE)


@router.get("/collections/{collection}/schema/feature", summary="Schema of a GeoJSON feature")
async def feature_schema(collection: str, request: Request, caller: AnyCaller) -> Response:
    seen = _one(request.app.state.runtime, collection, caller)
    return described(request, catalogue.feature_schema(seen, base_of(request), language_of(request)), media_type=catalogue.SCHEMA_TYPE)


def own_views(runtime: Runtime, caller: Caller) -> list[View]:
    """The hub's own datasets, as far as they exist for the caller."""
    return [view(dataset, caller, city_areas=runtime.settings.areas) for dataset in visible_datasets(runtime.service.datasets, caller)]


def views(runtime: Runtime, caller: Caller) -> dict[str, View]:
    """All datasets that exist for the caller, by id; of several sources the first describes it."""
    offered = {name: offers[0][1].declared for name, offers in _offers(runtime, caller).items()}
    seen = {name: view(declared, caller) for name, declared in offered.items() if visible_fields(declared, caller)}
    return dict(sorted((seen | {own.dataset.id: own for own in own_views(runtime, caller)}).items()))


def _one(runtime: Runtime, collection: str, caller: Caller) -> View:
    """The view of a dataset; one that only peer cities offer is described, too, though it is not listed."""
    seen = views(runtime, caller).get(collection)
    if seen is None and (offers := _offers(runtime, caller, cities=True).get(collection)) and visible_fields(offers[0][1].declared, caller):
        seen = view(offers[0][1].declared, caller)
    if seen is None:
        raise unknown_dataset(collection)
    return seen


def _offers(runtime: Runtime, caller: Caller, *, cities: bool = False) -> Mapping[str, list[tuple[Source, Offer]]]:
    """What is offered by the sources that are asked when the caller asks."""
    hub: Hub = runtime.own
    return hub.registry.offers(cities=cities, wanted=lambda source: asked_for(caller, source, hub.city))


def _shared(runtime: Runtime, caller: Caller) -> list[Shared]:
    """What peer cities share, as far as it exists for the caller."""
    return [
        Shared(view(offer.declared, caller), source.name, source.city, str(offer.collection.get("agreement") or "")[:LONGEST_AGREEMENT] or None)
        for offers in _offers(runtime, caller, cities=True).values()
        for source, offer in offers
        if source.kind == "city" and visible_fields(offer.declared, caller)
    ]


def _versions(runtime: Runtime, caller: Caller) -> dict[str, str]:
    """One version per dataset, from those of all its sources, for a caller from whom rights hide nothing."""
    found: dict[str, str] = {}
    for name, offers in _offers(runtime, caller).items():
        versions = [offer.version for _, offer in offers if offer.version is not None]
        if len(versions) == len(offers) and view_is_whole(caller, offers):
            found[name] = versions[0] if len(offers) == 1 else ".".join(versions)
    return found


def view_is_whole(caller: Caller, offers: list[tuple[Source, Offer]]) -> bool:
    return all(visible_fields(offer.declared, caller) and view(offer.declared, caller).whole for _, offer in offers)


def _as_of(runtime: Runtime, caller: Caller) -> dict[str, Any]:
    """The oldest moment among the sources of each dataset."""
    return {name: min((offer.as_of for _, offer in offers if offer.as_of), default=None) for name, offers in _offers(runtime, caller).items()}
