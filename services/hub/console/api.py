"""The hub's first page: one static page, the map it draws, and one overview that all who look share."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from services.hub.console.assets import POLICY, Asset, assets
from services.hub.console.overview import moment_of, overview, rights_of
from services.hub.console.shared_answers import Made
from services.hub.events.schemas import MOST_POSITION
from services.hub.state import Hub, HubState
from shared.auth import may
from shared.caller import Caller
from shared.database import Reader
from shared.datasets.answers import matches
from shared.datasets.negotiation import choose_form
from shared.errors import NotAcceptable, NotFound

_FORMS = {"text/html": "html", "application/xhtml+xml": "html", "application/json": "json", "*/*": "json", "application/*": "json", "text/*": "html"}
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_JSON: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}}}, 304: {"description": "Still the same"}}


class ForBrowsers(APIRoute):
    """A route that is there only for those who would rather have HTML; all others find what lies behind it: the OGC landing page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (match, child) if match is Match.FULL and _wants_page(Request(scope)) else (Match.NONE, {})


def _wants_page(request: Request) -> bool:
    if (f := request.query_params.get("f")) is not None:
        return f == "html"
    try:
        return choose_form(None, request.headers.get("accept", ""), _FORMS) == "html"
    except NotAcceptable:
        return False


pages = APIRouter(route_class=ForBrowsers)
router = APIRouter(tags=["console"])


@pages.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The page itself is asked for anew each time; what it loads bears a digest in its address and is kept."""
    return _sent(request, assets().page, {**_HEADERS, "Cache-Control": "no-cache", "Vary": "Accept, Accept-Encoding"})


@router.get("/console/{digest}/{name}", include_in_schema=False)
async def asset(digest: Annotated[str, Path(max_length=64)], name: Annotated[str, Path(max_length=64)], request: Request) -> Response:
    found = assets()
    if digest != found.digest or name not in found.files:
        raise NotFound("The page has no such file; load it again.")
    return _sent(request, found.files[name], {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"})


@router.get("/map", summary="The city's districts and towns as a page draws them", responses=_JSON, response_class=Response)
async def city_map(request: Request, reader: Reader, hub: HubState) -> Response:
    """Codes, names and simplified polygons in whole units of 1e-5 degrees (`rings`: x, y, then differences).

    Public, as `GET /areas` is, which has them in full.
    """
    made = await hub.drawing.get(reader, request.app.state.runtime.settings)
    return _sent_json(request, made, "no-cache")


@router.get("/overview", summary="One overview for all who look", responses=_JSON, response_class=Response)
async def city_overview(
    request: Request,
    hub: HubState,
    caller: Annotated[Caller, may("hub:query")],
    after: Annotated[int, Query(ge=0, le=MOST_POSITION, description="Position in the log that the overview must know of; it may be waited for")] = 0,
) -> Response:
    """Indicators by district, town and hour, incidents, warnings, outlines, closures, the newest events, every source, and what is missing.

    People with the same rights are given the same answer, made once: twenty viewers ask the sectors no more than one.
    """
    made = await hub.overviews.get(rights_of(caller), lambda: moment_of(hub), after, lambda: _made(request, hub, caller))
    return _sent_json(request, made, "private, no-cache")


async def _made(request: Request, hub: Hub, caller: Caller) -> Made:
    moment, began = moment_of(hub), time.monotonic()
    return Made.of(moment, began, await overview(request.app, caller, moment))


def _sent_json(request: Request, made: Made, kept: str) -> Response:
    headers = {"Cache-Control": kept, "Vary": "Authorization, Accept-Encoding"}
    return _sent(request, Asset("application/json", made.plain, made.packed, made.tag), headers)


def _sent(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    headers = {**headers, "ETag": asset.tag}
    if matches(request, asset.tag):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.plain, media_type=asset.media_type, headers=headers)
