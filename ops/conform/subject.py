"""The server under test: what it says of itself and its datasets, asked once, and a slice of rows small enough to compare with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar
from urllib.parse import quote

import orjson

from ops.conform.asking import Asker, Reply
from ops.conform.model import Failed, Skipped, Unmet, fail, listed, must, table

PAGE, MOST = 200, 1000
"""Rows of a page, and most rows of a slice."""
NUMERIC = ("integer", "number")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Field:
    """A field as the schema describes it."""

    name: str
    type: str
    """`string`, `integer`, `number`, `boolean`, `datetime`, `date`."""
    described: Mapping[str, Any]

    def value(self, given: Any) -> Any:
        """A JSON value as one to compare: moments and days become such."""
        if given is None or self.type not in ("datetime", "date"):
            return given
        return moment(given) if self.type == "datetime" else date.fromisoformat(str(given))


def moment(text: object) -> datetime:
    """A time with its offset, or `Failed`."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        fail(f"{str(text)[:60]!r} is not a time (RFC 3339).")
    must(found.tzinfo is not None, f"{str(text)[:60]!r} has no offset.")
    return found


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    values: Mapping[str, Any]
    geometry: Any


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows that a condition yields, all of them."""

    rows: list[Row]
    records: dict[str, str] = field(default_factory=dict)
    """The condition as parameters of records,"""
    aggregate: dict[str, Any] = field(default_factory=dict)
    """and as members of an aggregate's question."""

    def filtered(self, condition: str) -> dict[str, str]:
        """Parameters of records that also meet a CQL2 condition."""
        own = self.records.get("filter")
        return {**self.records, "filter": f"({own}) AND ({condition})" if own else condition}


@dataclass(slots=True)
class Shared:
    """A dataset of the server."""

    id: str
    fields: dict[str, Field]
    geometry: str | None
    """`geometry-point`, `geometry-any` or None."""
    time: str | None
    area: str | None
    smallest_group: int = 0

    @property
    def path(self) -> str:
        return f"/collections/{quote(self.id, safe='')}"


class Subject:
    """A server, the tokens to ask it with, and what it has said so far."""

    def __init__(self, asker: Asker, *, narrow: str | None = None, other: str | None = None, hub: Asker | None = None, only: str | None = None) -> None:
        self.asker, self.narrow, self.other, self.hub, self.only = asker, narrow, other, hub, only
        self._known: dict[str, Any] = {}
        self.pinned: dict[str, str] = {}
        """Moments as of which datasets are asked that change while they are checked."""

    async def capabilities(self) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            return table((await self.asker.get("/capabilities")).ok().json(), "GET /capabilities")

        return await self._once("capabilities", ask)

    async def name(self) -> str:
        return str((await self.capabilities()).get("service"))

    async def ids(self) -> list[str]:
        """The server's own datasets; at a hub, those of its sources are theirs to answer for."""

        async def ask() -> list[str]:
            told = await self.capabilities()
            found = [str(table(one, "A dataset of /capabilities").get("id")) for one in listed(told.get("datasets"), "datasets of /capabilities")]
            own = [name for name in found if name.startswith(f"{told.get('service')}.") or told.get("service") != "hub"]
            return [self.only] if self.only else own[:100]

        return await self._once("ids", ask)

    async def dataset(self, name: str) -> Shared:
        """A dataset with its fields, read from its schema."""

        async def ask() -> Shared:
            path = f"/collections/{quote(name, safe='')}"
            schema = table((await self.asker.get(f"{path}/schema")).ok().json(), f"GET {path}/schema")
            collection = table((await self.asker.get(path)).ok().json(), f"GET {path}")
            return described(name, schema, collection)

        return await self._once(f"schema {name}", ask)

    async def slice(self, shared: Shared) -> Slice:
        """Rows to compare with: the whole dataset if it is small, else the newest, else those of one code or area."""

        async def ask() -> Slice:
            from ops.conform.slicing import cut

            return await cut(self, shared)

        return await self._once(f"slice {shared.id} {self.pinned.get(shared.id)}", ask)

    async def rows(self, shared: Shared) -> Slice:
        """A slice with at least one row, or the check is skipped."""
        found = await self.slice(shared)
        if not found.rows:
            raise Skipped("the dataset has no rows for this token")
        return found

    async def page(self, shared: Shared, params: Mapping[str, Any], *, token: str | None = "") -> tuple[list[Row], str | None, dict[str, Any]]:
        """A page of records: its rows, the path of the next page, and the whole document."""
        pinned = {"known_at": self.pinned[shared.id]} if shared.id in self.pinned and "known_at" not in params else {}
        return await self._page(await self.asker.get(f"{shared.path}/items", {**params, **pinned}, token=token))

    async def following(self, path: str, *, token: str | None = "") -> tuple[list[Row], str | None, dict[str, Any]]:
        return await self._page(await self.asker.get(path, token=token))

    async def walk(self, shared: Shared, params: Mapping[str, Any], *, most: int = MOST, page: int = PAGE, token: str | None = "") -> tuple[list[Row], bool]:
        """All rows of a question, page by page, and whether more than `most` are there. `Failed` if pages repeat or have no end."""
        rows, path, _ = await self.page(shared, {**params, "limit": page}, token=token)
        seen = {row.id for row in rows}
        while path is not None and len(rows) <= most:
            more, path, _ = await self.following(path, token=token)
            must(more or path is None, f"A page of {shared.id} is empty and yet has a next one.")
            repeated = next((row.id for row in more if row.id in seen), None)
            must(repeated is None, f"Paging through {shared.id} shows the row {repeated!r} twice.")
            seen |= {row.id for row in more}
            rows += more
        must(len(seen) == len(rows), f"A page of {shared.id} has an id twice.")
        return rows[:most], path is not None or len(rows) > most

    async def aggregate(self, shared: Shared, question: Mapping[str, Any], *, token: str | None = "", **headers: str) -> Reply:
        pinned = {"known_at": self.pinned[shared.id]} if shared.id in self.pinned else {}
        body = {**pinned, **question}
        return await self.asker.ask("POST", f"{shared.path}/aggregate", json=body, token=token, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def _page(self, reply: Reply) -> tuple[list[Row], str | None, dict[str, Any]]:
        document = table(reply.ok().json(), reply.asked)
        rows = [row_of(one) for one in listed(document.get("features"), f"`features` of {reply.asked}")]
        links = [table(link, f"A link of {reply.asked}") for link in listed(document.get("links", []), f"`links` of {reply.asked}")]
        following = next((link.get("href") for link in links if link.get("rel") == "next"), None)
        return rows, None if following is None else self.asker.path_of(following), document

    async def _once(self, name: str, ask: Callable[[], Awaitable[Found]]) -> Found:
        """What was asked before, or is asked now; what failed then is not asked again."""
        if name not in self._known:
            try:
                self._known[name] = await ask()
            except (Failed, Unmet) as error:
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, (Failed, Unmet)):
            raise Unmet(f"rests on {name}: {found}")
        return found  # type: ignore[no-any-return]


def row_of(feature: object) -> Row:
    found = table(feature, "A feature")
    must(isinstance(found.get("id"), str), "A feature has no id that is a text.")
    return Row(found["id"], table(found.get("properties"), "`properties` of a feature"), found.get("geometry"))


def described(name: str, schema: Mapping[str, Any], collection: Mapping[str, Any]) -> Shared:
    """The dataset behind its schema and collection page."""
    properties = table(schema.get("properties"), f"`properties` of the schema of {name}")
    fields, geometry, time, area = {}, None, None, None
    for field_name, about in properties.items():
        told = table(about, f"The field {field_name}")
        if str(told.get("format", "")).startswith("geometry-"):
            geometry = str(told["format"])
            continue
        kind = {"date-time": "datetime", "date": "date"}.get(str(told.get("format")), str(told.get("type")))
        fields[field_name] = Field(field_name, kind, told)
        time = field_name if told.get("x-ogc-role") == "primary-instant" else time
        area = field_name if told.get("x-role") == "area" else area
    smallest = collection.get("smallest_group", 0)
    return Shared(name, fields, geometry, time, area, smallest if isinstance(smallest, int) else 0)


def claims(token: str | None) -> dict[str, Any]:
    """What a token says of itself, unverified; nothing if it is not a JWT."""
    try:
        part = (token or "").split(".")[1]
        found = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}
