"""Records and descriptions as HTTP answers: form, links, pages, tags and cache rules that depend on the rights as on the query."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.caller import Caller
from shared.config import Settings
from shared.datasets.catalogue import link
from shared.datasets.declaration import Dataset
from shared.datasets.extent import CRS84, EPSG4326, parse_moment
from shared.datasets.formats import MEDIA_TYPES, Form, as_arrow, as_csv, asked_form, encode_json, features, table
from shared.datasets.history import keeps_history, settled, version_of
from shared.datasets.keyset import place_of, values_of
from shared.datasets.labels import rows_shown_to, visible_fields
from shared.datasets.record_query import RecordQuery
from shared.datasets.records import Page, read_page, read_row
from shared.datasets.view import View, unknown_dataset, view
from shared.errors import Forbidden, InvalidRequest, NotAcceptable, NotFound
from shared.paging import paging_key, seal, unseal

CACHE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept, Accept-Language"}
AFTER_HEADER = "Liandong-After"
"""By which the hub names the place where a page is to begin, as JSON."""
ROW_PARAMETERS = ("crs", "f", "known_at")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a dataset's rows."""

    request: Request
    connection: AsyncConnection
    caller: Caller
    dataset: Dataset
    passed_over: tuple[str, ...] = ()
    """Parameters that were for somebody before this one."""

    @property
    def settings(self) -> Settings:
        settings: Settings = self.request.app.state.runtime.settings
        return settings

    @property
    def by_hub(self) -> bool:
        """Whether this city's hub asks, on someone's behalf: it is told the place of each row, to merge rows of several sources."""
        return self.caller.actor == f"{self.settings.city}/hub"

    @property
    def address(self) -> str:
        return f"{base_of(self.request)}/collections/{quote(self.dataset.id)}"

    def query(self) -> RecordQuery:
        fields = visible_fields(self.dataset, self.caller)
        if not fields:
            raise unknown_dataset(self.dataset.id)
        if not rows_shown_to(self.dataset, self.caller):
            raise Forbidden(f"{self.dataset.id} is personal: it is answered in cells, by POST /collections/{self.dataset.id}/aggregate, not in rows.")
        given = [(name, value) for name, value in self.request.query_params.multi_items() if name not in self.passed_over]
        return RecordQuery.read(given, self.dataset, fields)

    async def view(self, known_at: datetime | None) -> View:
        """What exists for the caller, now or as of a moment that is first made sure of."""
        moment = await settled(self.connection, known_at) if known_at else None
        return view(self.dataset, self.caller, moment, city_areas=self.settings.areas)


async def items_answer(asked: Asked) -> Response:
    """A page of rows."""
    query = asked.query()
    form = asked_form(query.given.get("f"), asked.request.headers.get("accept", ""))
    key = paging_key(asked.settings.reader_url.get_secret_value())
    place = unseal(key, query.given["token"], query=query.bound, caller=asked.caller) if "token" in query.given else _told(asked)
    known_at = place.get("known_at") or query.given.get("known_at")
    seen = await asked.view(parse_moment(known_at, pointer="/known_at") if known_at else None)
    seen = replace(seen, geometry=None) if query.skips_geometry else seen
    tag = None if asked.by_hub else await _tag_beforehand(asked, seen, form)
    if tag and matches(asked.request, tag):
        return _unchanged(tag)
    page = await read_page(asked.connection, seen, query, most=asked.settings.page_limit, place=place.get("after"))
    asked.request.state.returned = len(page.ids)
    following = _following(asked, seen, query, page, key)
    links = _links(asked, query, form, following)
    headers = {"Content-Crs": f"<{EPSG4326 if query.swapped else CRS84}>"} | CACHE
    if following:
        headers["Link"] = f'<{following}>; rel="next"; type="{MEDIA_TYPES[form]}"'
    places = [place_of(values) for values in page.order] if asked.by_hub else None
    body, digest = await asyncio.to_thread(_encode, page, seen, form, links, query.swapped, places)
    return _answer(asked.request, body, MEDIA_TYPES[form], tag or digest, headers)


def _told(asked: Asked) -> dict[str, Any]:
    """Where the hub wants to go on: after a row of which it was told the place. Nobody else may say so."""
    told = asked.request.headers.get(AFTER_HEADER)
    if told is None or not asked.by_hub:
        return {}
    try:
        place = json.loads(told)
        values_of(place)
    except (ValueError, KeyError, IndexError, TypeError, ArithmeticError) as error:
        raise InvalidRequest(f"{AFTER_HEADER} is no place of a row.", pointer=f"/{AFTER_HEADER}") from error
    return {"after": place}


async def row_answer(asked: Asked, feature_id: str) -> Response:
    """One row by its id, or `NotFound`, whether it is not there or not for this caller."""
    query = asked.query()
    for name in query.given:
        if name not in ROW_PARAMETERS:
            raise InvalidRequest(f"A single item takes {', '.join(ROW_PARAMETERS)}, not {name!r}.", pointer=f"/{name}")
    form = asked_form(query.given.get("f"), asked.request.headers.get("accept", ""))
    swapped = query.swapped
    known_at = query.given.get("known_at")
    seen = await asked.view(parse_moment(known_at, pointer="/known_at") if known_at else None)
    page = await read_row(asked.connection, seen, feature_id)
    if not page.ids:
        raise NotFound(f"{asked.dataset.id} has no item {feature_id[:80]!r}.", pointer="/feature_id")
    headers = {"Content-Crs": f"<{EPSG4326 if swapped else CRS84}>"} | CACHE
    if form in ("csv", "arrow"):
        body, digest = _encode(page, seen, form, [], swapped)
    else:
        here = f"{asked.address}/items/{quote(page.ids[0], safe='')}"
        links = [link(here, "self", MEDIA_TYPES[form]), link(asked.address, "collection", "application/json")]
        body = encode_json({**features(page, swapped=swapped)[0], **_known_at(seen), "links": links})
        digest = _digest(body)
    return _answer(asked.request, body, MEDIA_TYPES[form], digest, headers)


def described(request: Request, body: Mapping[str, Any], *, media_type: str = "application/json") -> Response:
    """A description as JSON, with a tag of its content. The only parameter is `f=json`, for clients that say it everywhere."""
    for name, value in request.query_params.multi_items():
        if name != "f":
            raise InvalidRequest(f"This page takes no parameter {name[:60]!r}.", pointer=f"/{name[:60]}")
        if value not in ("json", "jsonld", media_type):
            raise NotAcceptable(f"This page comes as {media_type}.", pointer="/f")
    content = encode_json(body)
    return _answer(request, content, media_type, _digest(content), CACHE)


def matches(request: Request, tag: str) -> bool:
    """Whether the client already holds what bears this tag (RFC 9110, 13.1.2, weak comparison)."""
    held = (candidate.strip().removeprefix("W/") for candidate in request.headers.get("if-none-match", "").split(","))
    return tag.removeprefix("W/") in held


def base_of(request: Request) -> str:
    """The address at which the client reached the service, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def language_of(request: Request) -> str:
    """`zh` if the client prefers it, else `en`."""
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _tag_beforehand(asked: Asked, seen: View, form: Form) -> str | None:
    """A tag from the dataset's version, known before any row is read.

    Only for those who see everything: to others the version would tell of changes that do not exist for them.
    """
    tables = asked.dataset.tables
    if not seen.whole or not all(map(keeps_history, tables)):
        return None
    version = (await asked.connection.execute(version_of(*tables))).scalar_one()
    rights = [asked.caller.subject, asked.caller.clearance.grade, asked.caller.clearance.personal, sorted(asked.caller.scopes)]
    return _digest(encode_json([str(asked.request.url), form, version, rights]))


def _digest(content: bytes) -> str:
    return f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'


def _answer(request: Request, body: bytes, media_type: str, tag: str, headers: Mapping[str, str]) -> Response:
    if matches(request, tag):
        return _unchanged(tag)
    return Response(body, media_type=media_type, headers={**headers, "ETag": tag})


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={**CACHE, "ETag": tag})


def _following(asked: Asked, seen: View, query: RecordQuery, page: Page, key: bytes) -> str | None:
    """The address of the next page; it stays at the moment of this one if it was asked as of a moment."""
    if page.next is None:
        return None
    known_at = {"known_at": seen.known_at.isoformat()} if seen.known_at else {}
    token = seal(key, {"after": page.next, **known_at}, query=query.bound, caller=asked.caller)
    return f"{asked.address}/items?{urlencode({**query.given, 'token': token})}"


def _links(asked: Asked, query: RecordQuery, form: Form, following: str | None) -> list[dict[str, str]]:
    links = [link(str(asked.request.url), "self", MEDIA_TYPES[form]), link(asked.address, "collection", "application/json")]
    others = (other for other in ("geojson", "csv", "arrow") if other != form)
    links += [link(f"{asked.address}/items?{urlencode({**query.given, 'f': other})}", "alternate", MEDIA_TYPES[other]) for other in others]
    return links + ([link(following, "next", MEDIA_TYPES[form])] if following else [])


def _encode(page: Page, seen: View, form: Form, links: list[dict[str, str]], swapped: bool, places: list[list[Any]] | None = None) -> tuple[bytes, str]:
    """The page in its form, and a tag of its content, whenever it was asked."""
    about: dict[str, Any] = {"numberReturned": len(page.ids)}
    about |= {"numberMatched": page.matched} if page.matched is not None else {}
    about |= {"places": places} if places is not None else {}
    about |= _known_at(seen)
    if form in ("csv", "arrow"):
        rows = table(page, seen)
        body = as_csv(rows) if form == "csv" else as_arrow(rows, {"dataset": seen.dataset.id, **about})
        return body, _digest(body)
    content = features(page, swapped=swapped)
    digest = _digest(encode_json([content, about, links]))
    return encode_json({"type": "FeatureCollection", "timeStamp": now_text(), **about, "features": content, "links": links}), digest


def _known_at(seen: View) -> dict[str, Any]:
    return {"known_at": seen.known_at} if seen.known_at else {}
