"""What the own hub says of a dataset: its fields, key, time, area and sources, kept for a minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.intercity.messages.domain import AnswerUnsound
from shared.calls import Calls
from shared.passage import Passage

FRESH_S = 60.0
MOST = 500
GEOMETRY = "geometry"


@dataclass(frozen=True, slots=True)
class Described:
    """A dataset as its collection and schema describe it."""

    id: str
    collection: Mapping[str, Any]
    schema: Mapping[str, Any]
    fields: Mapping[str, Mapping[str, Any]]
    """Properties by name, without the geometry."""
    key: str | None
    time: str | None
    area: str | None
    geometry: bool
    smallest_group: int
    sources: tuple[str, ...]
    """Those of the own city, by name."""


def described(dataset: str, collection: Mapping[str, Any], schema: Mapping[str, Any], city: str) -> Described:
    """What a collection and its schema say; `AnswerUnsound` if that cannot be understood."""
    try:
        properties = dict(schema["properties"])
        geometry = "x-title" not in properties.get(GEOMETRY, {"x-title": {}})
        if geometry:
            del properties[GEOMETRY]

        def named(label: str, value: str) -> str | None:
            return next((name for name, part in properties.items() if part.get(label) == value), None)

        return Described(
            id=dataset,
            collection=collection,
            schema=schema,
            fields=properties,
            key=named("x-ogc-role", "id"),
            time=named("x-ogc-role", "primary-instant"),
            area=named("x-role", "area"),
            geometry=geometry,
            smallest_group=int(collection.get("smallest_group") or 0),
            sources=tuple(source for source in collection.get("sources", ()) if source.startswith(f"{city}/")),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AnswerUnsound(f"{dataset} is described in a way that is not understood: {error!r}"[:300]) from error


class OwnCatalogue:
    """What the own hub describes."""

    def __init__(self, calls: Calls, city: str) -> None:
        self._calls, self._city = calls, city
        self._kept: dict[str, tuple[float, Described]] = {}

    async def get(self, dataset: str, within: float | Passage) -> Described:
        """A dataset; `SourceRefused` with 404 if the hub has none of this name for the gateway, another `SourceFailure` if it does not answer."""
        kept = self._kept.get(dataset)
        if kept is not None and time.monotonic() - kept[0] < FRESH_S:
            return kept[1]
        here = f"/collections/{dataset}"
        collection, schema = await asyncio.gather(*(self._calls.ask("hub", path, within=within) for path in (here, f"{here}/schema")))
        found = described(dataset, orjson.loads(collection.content), orjson.loads(schema.content), self._city)
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[dataset] = time.monotonic(), found
        return found
