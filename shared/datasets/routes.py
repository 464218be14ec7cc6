"""The routes of the federation contract that every service answers: what it shares, row by row (OGC API – Features)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import AnyCaller
from shared.caller import Caller
from shared.config import Settings
from shared.database import Reader
from shared.datasets import catalogue, openapi
from shared.datasets.aggregate.routes import aggregate_router
from shared.datasets.answers import Asked, base_of, described, language_of, now_text, row_answer
from shared.datasets.bulk_answer import records_answer
from shared.datasets.dcat import Described, dcat
from shared.datasets.declaration import Dataset
from shared.datasets.history import noted_names, versions_by_table
from shared.datasets.labels import visible_datasets
from shared.datasets.quality_keeping import quality_for, summary
from shared.datasets.view import View, unknown_dataset, view
from shared.events.model import Event
from shared.vocabulary import Text

if TYPE_CHECKING:
    from shared.runtime import Runtime, Service

TITLE = Text("联动", "Liandong")
_VERSIONS = versions_by_table()
QUALITY: dict[int | str, dict[str, Any]] = {403: {"description": "Rows may be hidden from this caller, and scores would tell of them"}}
_ITEMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Rows in order, with a link to the next page",
        "content": {
            "application/geo+json": {
                "example": {
                    "type": "FeatureCollection",
                    "timeStamp": "2026-11-22T08:00:00Z",
                    "numberReturned": 1,
                    "features": [{"type": "Feature", "id": "c1", "geometry": {"type": "Point", "coordinates": [112.9, 27.8]}, "properties": {"kind": "fire"}}],
                    "links": [{"href": "…/items?token=…", "rel": "next", "type": "application/geo+json"}],
                }
            },
            "text/csv": {},
            "application/vnd.apache.arrow.stream": {},
        },
    }
}


class ItemsParameters(BaseModel):
    """The parameters of records, for the description of the interface; every field of the dataset is one too."""

    limit: Annotated[str | None, Field(description="Most rows in the page, or in the whole stream")] = None
    bbox: Annotated[str | None, Field(description="west,south,east,north, or with heights; degrees")] = None
    bbox_crs: Annotated[str | None, Field(alias="bbox-crs", description="CRS of bbox: CRS84 or EPSG 4326")] = None
    datetime: Annotated[str | None, Field(description="An instant, or start/end, closed at both ends, `..` for an open one")] = None
    filter: Annotated[str | None, Field(description="CQL2 condition: `kind = 'fire' AND response_s > 480`")] = None
    filter_lang: Annotated[str | None, Field(alias="filter-lang", description="cql2-text or cql2-json")] = None
    filter_crs: Annotated[str | None, Field(alias="filter-crs", description="CRS of geometries in filter: CRS84")] = None
    sortby: Annotated[str | None, Field(description="Fields, `-` before one for descending")] = None
    properties: Annotated[str | None, Field(description="Fields to answer with; all if absent")] = None
    skip_geometry: Annotated[str | None, Field(alias="skipGeometry", description="`true`: geometries are neither read nor given")] = None
    known_at: Annotated[str | None, Field(description="Answer as it would have been answered then")] = None
    crs: Annotated[str | None, Field(description="CRS of the answer: CRS84 or EPSG 4326")] = None
    result_type: Annotated[str | None, Field(alias="resultType", description="`hits`: only the number of rows")] = None
    number_matched: Annotated[str | None, Field(alias="numberMatched", description="`true`: count the rows of all pages; at the hub on the first page")] = None
    stream: Annotated[str | None, Field(description="`true`: every row in one answer, without pages")] = None
    token: Annotated[str | None, Field(description="Where the page begins, from the `next` link")] = None
    f: Annotated[str | None, Field(description="geojson, json, csv or arrow; otherwise the Accept header decides")] = None


class ItemParameters(BaseModel):
    """The parameters of a single row, for the description of the interface."""

    known_at: Annotated[str | None, Field(description="Answer as it would have been answered then")] = None
    crs: Annotated[str | None, Field(description="CRS of the answer: CRS84 or EPSG 4326")] = None
    f: Annotated[str | None, Field(description="geojson, json, csv or arrow; otherwise the Accept header decides")] = None


def dataset_router(service: Service) -> APIRouter:
    """All routes of the contract for a service's own datasets, aggregates included."""
    router = APIRouter()
    router.include_router(public_router(service))
    router.include_router(_catalogue_router(service))
    router.include_router(_collections_router(service))
    router.include_router(_records_router(service))
    router.include_router(aggregate_router(service.datasets))
    return router


def public_router(service: Service) -> APIRouter:
    """What anyone may know: that the service is there, and which standards it keeps."""
    router = APIRouter(tags=["catalogue"])

    @router.get("/", summary="Landing page")
    async def landing(request: Request) -> Response:
        language = language_of(request)
        title = f"{catalogue.words(TITLE, language)} · {catalogue.words(service.title, language)}"
        return described(request, catalogue.landing(title, catalogue.words(service.title, language), base_of(request)))

    @router.get("/conformance", summary="Standards that the service keeps")
    async def conformance(request: Request) -> Response:
        return described(request, {"conformsTo": list(catalogue.CONFORMANCE)})

    @router.get("/api", summary="This API as OpenAPI 3.0")
    async def api(request: Request) -> Response:
        return described(request, openapi.as_30(request.app.openapi()), media_type=openapi.MEDIA_TYPE)

    return router


def _announcement(service: Service, city: str, version: str, seen: Sequence[View], versions: Mapping[str, str]) -> dict[str, Any]:
    """Who this is and what it shares with the caller (contract, "Who are you")."""
    as_of = now_text()
    return {
        "service": service.name,
        "city": city,
        "version": version,
        "contract": "1",
        "datasets": [
            {"id": shown.dataset.id, "title": shown.dataset.title.as_dict()}
            | ({"version": versions[shown.dataset.id]} if shown.dataset.id in versions else {})
            | {"as_of": as_of}
            for shown in seen
        ],
        "events": {"publishes": sorted(kind.type for kind in service.publishes), "consumes": sorted(map(_pattern, service.on))},
        "lookups": [{"id": lookup.id, "path": lookup.path, "title": lookup.title.as_dict()} for lookup in service.lookups],
        "scopes": [f"{service.name}:read", f"{service.name}:write"],
    }


def _catalogue_router(service: Service) -> APIRouter:
    """What the service shares, as far as it exists for the caller."""
    router = APIRouter(tags=["catalogue"])

    @router.get("/capabilities", summary="Datasets with their versions, events, scopes")
    async def capabilities(request: Request, caller: AnyCaller, reader: Reader) -> Response:
        settings: Settings = request.app.state.runtime.settings
        seen = _views(service, caller, settings)
        versions = await versions_of(reader, seen)
        more = await service.announces(request.app.state.runtime) if service.announces else {}
        return described(request, {**_announcement(service, settings.city, request.app.version, seen, versions), **more})

    @router.get("/catalog", summary="DCAT 3 catalogue, JSON-LD")
    async def catalog(request: Request, caller: AnyCaller, reader: Reader) -> Response:
        seen = _views(service, caller, request.app.state.runtime.settings)
        versions = await versions_of(reader, seen)
        runtime: Runtime = request.app.state.runtime
        qualities = {view.dataset.id: known for view in seen if (known := summary(runtime, view, caller)) is not None}
        about = Described(versions, qualities, runtime.settings.areas, runtime.settings.city)
        return described(request, dcat(service.name, service.title, seen, base_of(request), about), media_type="application/ld+json")

    return router


def _collections_router(service: Service) -> APIRouter:
    """Each dataset by itself, as far as it exists for the caller."""
    router = APIRouter(tags=["catalogue"])

    @router.get("/collections", summary="Collections")
    async def collections(request: Request, caller: AnyCaller) -> Response:
        base, language = base_of(request), language_of(request)
        runtime: Runtime = request.app.state.runtime
        shown = [catalogue.collection(seen, base, language, summary(runtime, seen, caller)) for seen in _views(service, caller, runtime.settings)]
        return described(request, {"links": [catalogue.link(f"{base}/collections", "self", "application/json")], "collections": shown})

    @router.get("/collections/{collection}", summary="A collection")
    async def one_collection(collection: str, request: Request, caller: AnyCaller) -> Response:
        seen = _view(service, collection, request, caller)
        quality = summary(request.app.state.runtime, seen, caller)
        return described(request, catalogue.collection(seen, base_of(request), language_of(request), quality))

    @router.get("/collections/{collection}/quality", summary="Completeness, validity and timeliness of the rows, field by field", responses=QUALITY)
    async def quality(collection: str, request: Request, caller: AnyCaller) -> Response:
        """Computed over all rows, or a sample of them, at most minutes ago; for callers who may see every row, of the fields that they see."""
        return described(request, await quality_for(request.app.state.runtime, _view(service, collection, request, caller), caller))

    @router.get("/collections/{collection}/schema", summary="Schema of the rows' properties, with labels")
    @router.get("/collections/{collection}/queryables", summary="Properties that filters may name")
    async def schema(collection: str, request: Request, caller: AnyCaller) -> Response:
        seen = _view(service, collection, request, caller)
        return described(request, catalogue.schema(seen, base_of(request), language_of(request)), media_type=catalogue.SCHEMA_TYPE)

    @router.get("/collections/{collection}/schema/feature", summary="Schema of a GeoJSON feature")
    async def feature_schema(collection: str, request: Request, caller: AnyCaller) -> Response:
        seen = _view(service, collection, request, caller)
        return described(request, catalogue.feature_schema(seen, base_of(request), language_of(request)), media_type=catalogue.SCHEMA_TYPE)

    return router


def _records_router(service: Service) -> APIRouter:
    router = APIRouter(tags=["records"])
    datasets = {dataset.id: dataset for dataset in service.datasets}

    @router.get("/collections/{collection}/items", summary="Rows: filtered, sorted, page by page", responses=_ITEMS)
    async def items(collection: str, request: Request, caller: AnyCaller, reader: Reader, parameters: Annotated[ItemsParameters, Query()]) -> Response:
        return await records_answer(Asked(request, reader, caller, _dataset(datasets, collection)))

    @router.get("/collections/{collection}/items/{feature_id:path}", summary="A row", responses=_ITEMS)
    async def item(
        collection: str, feature_id: str, request: Request, caller: AnyCaller, reader: Reader, parameters: Annotated[ItemParameters, Query()]
    ) -> Response:
        return await row_answer(Asked(request, reader, caller, _dataset(datasets, collection)), feature_id)

    return router


def _dataset(datasets: Mapping[str, Dataset], collection: str) -> Dataset:
    if collection not in datasets:
        raise unknown_dataset(collection)
    return datasets[collection]


def _view(service: Service, collection: str, request: Request, caller: Caller) -> View:
    dataset = _dataset({dataset.id: dataset for dataset in service.datasets}, collection)
    return view(dataset, caller, city_areas=request.app.state.runtime.settings.areas)


def _views(service: Service, caller: Caller, settings: Settings) -> list[View]:
    return [view(dataset, caller, city_areas=settings.areas) for dataset in visible_datasets(service.datasets, caller)]


async def versions_of(connection: AsyncConnection, seen: Sequence[View]) -> dict[str, str]:
    """The versions of the datasets of which the caller sees everything; to others they would tell of changes they may not know of."""
    by_table = dict((await connection.execute(_VERSIONS)).all())
    return {shown.dataset.id: str(sum(by_table.get(name, 0) for name in noted_names(*shown.dataset.tables))) for shown in seen if shown.whole}


def _pattern(kind: type[Event] | str) -> str:
    return kind if isinstance(kind, str) else kind.type
