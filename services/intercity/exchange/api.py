"""Peers as sources: the federation contract towards the own hub, below `/peers/{city}`, answered by the peer under an agreement."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute

from services.intercity.agreements.domain import all_of
from services.intercity.exchange.client import (
    Offered,
    as_of,
    collection_of,
    datasets_of,
    in_areas,
    offered,
    rows_of,
    schema_of,
    seen_by,
    states_of,
)
from services.intercity.exchange.domain import Records, aggregate_question, records_params
from services.intercity.exchange.reading import told_as_ours
from services.intercity.messages.client import active_peer
from services.intercity.peers.domain import CITY_PATTERN
from services.intercity.state import Gateway, GatewayState
from shared.auth import AnyCaller
from shared.caller import Caller
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.routes import asked_form
from shared.datasets.aggregate.states import MEDIA_TYPE, write_states
from shared.datasets.answers import AFTER_HEADER, base_of
from shared.datasets.catalogue import SCHEMA_TYPE
from shared.datasets.extent import EPSG4326
from shared.datasets.filter_bounds import read_json
from shared.datasets.filter_text import read_text
from shared.datasets.formats import MEDIA_TYPES, encode_json, swap
from shared.datasets.keyset import values_of
from shared.datasets.literals import clean
from shared.errors import Forbidden, InvalidRequest, NotAcceptable, NotFound
from shared.passage import Passage, arriving
from shared.source_failures import SourceRefused

LONGEST_S = 60.0
PARAMETERS = frozenset(
    {
        "bbox",
        "bbox-crs",
        "crs",
        "datetime",
        "f",
        "filter",
        "filter-crs",
        "filter-lang",
        "known_at",
        "limit",
        "properties",
        "resultType",
        "skipGeometry",
        "sortby",
    }
)
City = Annotated[str, Path(pattern=CITY_PATTERN)]


class _Relayed(APIRoute):
    """What a peer finds wrong with a question is wrong with the question that was put to us, too."""

    def get_route_handler(self) -> Any:
        original = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                answer: Response = await original(request)
            except SourceRefused as refused:
                raise told_as_ours(refused) from refused
            return answer

        return handler


async def _hub(request: Request, caller: AnyCaller) -> Caller:
    """Only this city's hub asks here, on someone's behalf: it is who merges peers' answers with others and says what they cover."""
    if caller.actor != f"{request.app.state.runtime.settings.city}/hub":
        raise Forbidden("Peers are asked through this city's hub: name them there by `sources`.")
    return caller


router = APIRouter(prefix="/peers/{city}", tags=["exchange"], route_class=_Relayed)
ByHub = Annotated[Caller, Depends(_hub)]


def _passage(request: Request) -> Passage:
    return arriving(request, request.app.state.runtime.settings.audience, wanted_s=LONGEST_S, most_s=LONGEST_S)


@router.get("/capabilities", summary="What a peer shares with us, as a source of the hub")
async def capabilities(city: City, request: Request, gateway: GatewayState, caller: ByHub) -> dict[str, Any]:
    await active_peer(gateway, city)
    datasets = [{"id": name, "as_of": as_of()} for name in await datasets_of(gateway, city)]
    return {"service": "hub", "city": city, "version": request.app.version, "contract": "1", "datasets": datasets, "via": gateway.runtime.settings.audience}


@router.get("/collections", summary="Collections that a peer shares with us")
async def collections(city: City, request: Request, gateway: GatewayState, caller: ByHub) -> dict[str, Any]:
    passage = _passage(request)
    names = await datasets_of(gateway, city)
    offers = await asyncio.gather(*(offered(gateway, city, name, passage) for name in names))
    return {"links": [], "collections": [collection_of(offer, f"{base_of(request)}/peers/{city}") for offer in offers]}


@router.get("/collections/{collection}", summary="A collection of a peer")
async def one_collection(city: City, collection: str, request: Request, gateway: GatewayState, caller: ByHub) -> dict[str, Any]:
    offer = seen_by(caller, await offered(gateway, city, collection, _passage(request)))
    return collection_of(offer, f"{base_of(request)}/peers/{city}")


@router.get("/collections/{collection}/schema", summary="Schema of a peer's rows, cut to what is agreed")
@router.get("/collections/{collection}/queryables", summary="Properties that filters may name")
async def schema(city: City, collection: str, request: Request, gateway: GatewayState, caller: ByHub) -> Response:
    offer = seen_by(caller, await offered(gateway, city, collection, _passage(request)))
    return Response(encode_json(schema_of(offer)), media_type=SCHEMA_TYPE)


@router.get("/collections/{collection}/items", summary="Rows of a peer under an agreement")
async def items(city: City, collection: str, request: Request, gateway: GatewayState, caller: ByHub) -> Response:
    """Every row bears its `origin` and the `agreement` under which it came."""
    passage = _passage(request)
    offer = seen_by(caller, await offered(gateway, city, collection, passage, purpose=caller.purpose, operation="records"))
    given = _given(request, offer)
    asked = _records(offer, caller, given, request.headers.get(AFTER_HEADER))
    found = await rows_of(gateway, offer, caller.purpose, asked, passage)
    links = [{"href": str(request.url), "rel": "self", "type": MEDIA_TYPES["geojson"]}]
    if found.pop("more"):
        links.append({"href": f"{str(request.url).split('?')[0]}?{urlencode(given)}", "rel": "next", "type": MEDIA_TYPES["geojson"]})
    if given.get("crs") == EPSG4326:
        found["features"] = [{**row, "geometry": swap(row["geometry"]) if row["geometry"] else None} for row in found["features"]]
    return Response(encode_json({**found, "links": links}), media_type=MEDIA_TYPES["geojson"])


@router.get("/collections/{collection}/items/{feature_id:path}", summary="A row of a peer")
async def item(city: City, collection: str, feature_id: str, request: Request, gateway: GatewayState, caller: ByHub) -> Response:
    passage = _passage(request)
    offer = seen_by(caller, await offered(gateway, city, collection, passage, purpose=caller.purpose, operation="records"))
    asked = _records(offer, caller, _given(request, offer), None) | {"id": clean(feature_id, pointer="/feature_id")[:500] or "-", "limit": 1}
    found = await rows_of(gateway, offer, caller.purpose, asked, passage)
    if not found["features"]:
        raise NotFound(f"{collection} has no item {feature_id[:80]!r}.", pointer="/feature_id")
    return Response(encode_json({**found["features"][0], "origin": city, "agreement": offer.agreement.id, "links": []}), media_type=MEDIA_TYPES["geojson"])


@router.post("/collections/{collection}/aggregate", summary="Finished cells of a peer under an agreement", response_class=Response)
async def aggregate(city: City, collection: str, question: Question, request: Request, gateway: GatewayState, caller: ByHub) -> Response:
    """As states that the hub merges; count, sum, avg, min and max only, since others cannot be made of finished cells."""
    if asked_form(None, request.headers.get("accept", "")) != "states":
        raise NotAcceptable(f"Cells of peers are merged by the hub: ask for {MEDIA_TYPE}.")
    passage = _passage(request)
    offer = seen_by(caller, await offered(gateway, city, collection, passage, purpose=caller.purpose, operation="aggregate"))
    condition = read_text(question.filter, pointer="/filter") if isinstance(question.filter, str) else question.filter
    if isinstance(condition, Mapping):
        read_json(condition, pointer="/filter")
    asked = question.model_copy(update={"filter": condition})
    beyond = in_areas(caller, offer.allowed)
    aggregate_question(offer.allowed, {**asked.model_dump(mode="json", by_alias=True, exclude_none=True), "filter": all_of(condition, beyond)})
    states = await states_of(gateway, offer, caller.purpose, asked, beyond, passage)
    return Response(await asyncio.to_thread(write_states, states), media_type=MEDIA_TYPE)


def _given(request: Request, offer: Offered) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given or (name not in PARAMETERS and name not in offer.allowed.fields):
            raise InvalidRequest(f"{offer.shared.id} of {offer.peer} takes no parameter {name[:60]!r}, or not twice.", pointer=f"/{name[:60]}")
        given[name] = clean(value, pointer=f"/{name}")
    return given


def _records(offer: Offered, caller: Caller, given: Mapping[str, str], after: str | None) -> dict[str, Any]:
    """The question for rows, checked against the agreement here already: what is not agreed is not even asked."""
    limit = given.get("limit", "100")
    if not (limit.isascii() and limit.isdecimal() and 0 < len(limit) < 10 and int(limit) > 0):
        raise InvalidRequest("limit is a whole number from 1.", pointer="/limit")
    condition = all_of(_filter(given), *_properties(offer, given), in_areas(caller, offer.allowed))
    sorts = [part.strip() for part in given["sortby"].split(",")] if "sortby" in given else []
    wish = Records(
        properties=given["properties"].split(",") if "properties" in given else None,
        filter=condition,
        bbox=_bbox(given),
        datetime=given.get("datetime"),
        sortby=[(part.lstrip("+-"), part.startswith("-")) for part in sorts],
        limit=min(int(limit), offer.allowed.rows),
        after=_after(after),
        known_at=given.get("known_at"),
        hits=given.get("resultType") == "hits",
    )
    records_params(offer.allowed, wish)
    return {
        "properties": list(wish.properties) if wish.properties is not None else sorted(offer.allowed.fields - {"geometry"}),
        "filter": condition,
        "bbox": wish.bbox,
        "datetime": wish.datetime,
        "sortby": [{"field": name, "descending": down} for name, down in wish.sortby],
        "limit": wish.limit,
        "after": wish.after,
        "known_at": wish.known_at,
        "hits": wish.hits,
    }


def _filter(given: Mapping[str, str]) -> Any:
    if "filter" not in given:
        return None
    read = read_json if given.get("filter-lang") == "cql2-json" else read_text
    return read(given["filter"], pointer="/filter")


def _properties(offer: Offered, given: Mapping[str, str]) -> list[Any]:
    """Property filters as conditions."""
    found: list[Any] = []
    for name in given.keys() - PARAMETERS:
        part = offer.described.fields.get(name, {})
        text = given[name]
        try:
            value: Any = _TYPED.get(str(part.get("type")), str)(text)
        except ValueError:
            raise InvalidRequest(f"{name} is of type {part.get('type')}.", pointer=f"/{name}") from None
        wrapped = {"date-time": {"timestamp": text}, "date": {"date": text}}.get(str(part.get("format")), value)
        found.append({"op": "=", "args": [{"property": name}, wrapped]})
    return found


_TYPED: dict[str, Any] = {"integer": int, "number": float, "boolean": lambda text: text == "true"}


def _bbox(given: Mapping[str, str]) -> str | None:
    if given.get("bbox-crs") == EPSG4326 and "bbox" in given:
        raise InvalidRequest("A peer takes bbox in longitude, latitude.", pointer="/bbox-crs")
    return given.get("bbox")


def _after(told: str | None) -> list[str | None] | None:
    if told is None:
        return None
    try:
        place: list[str | None] = json.loads(told)
        values_of(place)
    except (ValueError, KeyError, IndexError, TypeError, ArithmeticError) as error:
        raise InvalidRequest(f"{AFTER_HEADER} is no place of a row.", pointer=f"/{AFTER_HEADER}") from error
    return place


async def announced(gateway: Gateway) -> dict[str, Any]:
    """The peers that the hub may ask through us: active, and giving us something now."""
    peers = [city for city, peer in (await gateway.peers.known()).items() if peer.state == "active" and await datasets_of(gateway, city)]
    return {"peers": [{"city": city, "url_path": f"/peers/{city}"} for city in sorted(peers)]}
