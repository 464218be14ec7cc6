"""The query of a records request: its parameters, checked, and what they mean on a view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement

from shared.datasets.cql import compile_filter
from shared.datasets.declaration import Dataset, Field
from shared.datasets.extent import CRS84, EPSG4326, parse_bbox, parse_datetime, within_bbox, within_datetime
from shared.datasets.literals import clean, from_parameter
from shared.datasets.view import View
from shared.errors import InvalidRequest

PARAMETERS = (
    "bbox", "bbox-crs", "crs", "datetime", "f", "filter", "filter-crs", "filter-lang",
    "known_at", "limit", "numberMatched", "properties", "resultType", "skipGeometry", "sortby", "stream", "token",
)  # fmt: skip
CRS = (CRS84, EPSG4326)
DEFAULT_LIMIT = 100
MOST_SORT_FIELDS = 8
UNBOUND = ("token", "limit", "f")
"""Parameters that may differ from page to page."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """The parameters of `GET …/items`, each given once, with names that are known; not yet applied to rows."""

    given: Mapping[str, str]
    fields: Mapping[str, Field]

    @classmethod
    def read(cls, parameters: Iterable[tuple[str, str]], dataset: Dataset, fields: Mapping[str, Field]) -> RecordQuery:
        """`InvalidRequest` for a parameter that is neither one of ours nor the name of a visible field (OGC 17-069r4, 7.6)."""
        given: dict[str, str] = {}
        for name, value in parameters:
            if name not in PARAMETERS and name not in fields:
                close = get_close_matches(name, [*PARAMETERS, *fields], n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise InvalidRequest(f"{dataset.id} takes no parameter {name[:60]!r}.{hint}", pointer=f"/{name[:60]}")
            if name in given:
                raise InvalidRequest(f"The parameter {name!r} is given twice. For several values write filter={name} IN (…).", pointer=f"/{name}")
            given[name] = value if name == "token" else clean(value, pointer=f"/{name}")
        return cls(given, fields)

    @property
    def bound(self) -> dict[str, str]:
        """What a page token is bound to."""
        return {name: value for name, value in self.given.items() if name not in UNBOUND}

    @property
    def hits(self) -> bool:
        """Whether only the number of rows is asked for."""
        asked = self.given.get("resultType", "results")
        if asked not in ("hits", "results"):
            raise InvalidRequest("resultType is hits or results.", pointer="/resultType")
        return asked == "hits"

    @property
    def counts(self) -> bool:
        """Whether a page is to say how many rows there are on all pages, though it costs a count."""
        asked = self.given.get("numberMatched", "false")
        if asked not in ("false", "true"):
            raise InvalidRequest("numberMatched is true or false.", pointer="/numberMatched")
        return asked == "true"

    @property
    def streams(self) -> bool:
        """Whether every row is asked for in one answer instead of page by page."""
        asked = self.given.get("stream", "false")
        if asked not in ("false", "true"):
            raise InvalidRequest("stream is true or false.", pointer="/stream")
        if asked == "true" and ("token" in self.given or self.hits):
            raise InvalidRequest("A stream has no pages: leave out token and resultType.", pointer="/token" if "token" in self.given else "/resultType")
        return asked == "true"

    @property
    def most(self) -> int | None:
        """Most rows of a stream in all; nothing if there is no bound."""
        return self.limit(10**15) if "limit" in self.given else None

    @property
    def skips_geometry(self) -> bool:
        """Whether geometries are neither wanted nor read."""
        asked = self.given.get("skipGeometry", "false")
        if asked not in ("false", "true"):
            raise InvalidRequest("skipGeometry is true or false.", pointer="/skipGeometry")
        return asked == "true"

    def limit(self, most: int) -> int:
        """Rows in a page; more than the service gives is taken as the most it gives (OGC 17-069r4, 7.15.2)."""
        text = self.given.get("limit", str(min(DEFAULT_LIMIT, most)))
        if not (text.isdecimal() and text.isascii() and len(text) <= 18 and int(text) > 0):
            raise InvalidRequest(f"limit is a whole number from 1 to {most}.", pointer="/limit")
        return min(int(text), most)

    @property
    def swapped(self) -> bool:
        """Whether coordinates are wanted as latitude, longitude (EPSG 4326)."""
        return self._crs("crs") == EPSG4326

    def _crs(self, name: str) -> str | None:
        asked = self.given.get(name)
        if asked not in (None, *CRS):
            raise InvalidRequest(f"{name} is one of {', '.join(CRS)}.", pointer=f"/{name}")
        return asked

    def chosen(self) -> list[str]:
        """The fields to answer with: those named in `properties`, or all that are visible."""
        if "properties" not in self.given:
            return list(self.fields)
        return [name for name in self.fields if name in set(self.given["properties"].split(","))]

    def conditions(self, view: View) -> list[ColumnElement[bool]]:
        """What rows must meet: rights first, then box, time, filter and property filters."""
        conditions = [view.rows]
        if "properties" in self.given:
            for name in self.given["properties"].split(","):
                view.named(name, pointer="/properties")
        if "bbox" in self.given:
            conditions.append(within_bbox(view, parse_bbox(self.given["bbox"], crs=self._crs("bbox-crs"))))
        if "datetime" in self.given:
            conditions.append(within_datetime(view, parse_datetime(self.given["datetime"])))
        if "filter" in self.given:
            conditions.append(self._filter(view))
        for name in self.given:
            if name not in PARAMETERS:
                field, column = view.named(name)
                conditions.append(column == from_parameter(field.type, self.given[name], pointer=f"/{name}"))
        return conditions

    def _filter(self, view: View) -> ColumnElement[bool]:
        language: Any = self.given.get("filter-lang", "cql2-text")
        if language not in ("cql2-text", "cql2-json"):
            raise InvalidRequest("filter-lang is cql2-text or cql2-json.", pointer="/filter-lang")
        if self.given.get("filter-crs", CRS84) != CRS84:
            raise InvalidRequest(f"filter-crs is {CRS84}.", pointer="/filter-crs")
        return compile_filter(self.given["filter"], view, language=language)

    def sorting(self, view: View) -> list[tuple[str, bool]]:
        """Fields to sort by, and whether downwards: `-received_at,+kind`."""
        order: list[tuple[str, bool]] = []
        for part in self.given["sortby"].split(",") if "sortby" in self.given else ():
            name = part.strip().removeprefix("+").removeprefix("-")
            view.named(name, pointer="/sortby")
            if name in dict(order) or len(order) == MOST_SORT_FIELDS:
                raise InvalidRequest(f"sortby takes up to {MOST_SORT_FIELDS} different fields.", pointer="/sortby")
            order.append((name, part.strip().startswith("-")))
        return order
