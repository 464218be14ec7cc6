"""What there is to ask: datasets, and the services' own questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from liandong.coverage import Coverage
from liandong.flows import Ask, Flow, Session, asked_json


@dataclass(frozen=True, slots=True)
class Collection:
    """A dataset as the hub describes it."""

    id: str
    title: str
    description: str = ""
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The whole description: extent, links, labels, who owns it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The answer of a service to a question of its own."""

    answer: Any
    coverage: Coverage | None


def collections_of(session: Session) -> Flow[list[Collection]]:
    found = yield from asked_json(session, Ask("/collections"))
    return [Collection(each["id"], each.get("title", each["id"]), each.get("description", ""), each) for each in found["collections"]]


def looked(session: Session, lookup: str, params: Mapping[str, Any]) -> Flow[Looked]:
    found = yield from asked_json(session, Ask(f"/lookups/{quote(lookup, safe='')}", params=dict(params)))
    coverage = Coverage.of(found["coverage"]) if isinstance(found.get("coverage"), dict) else None
    if coverage is not None:
        coverage.warn()
    return Looked(found.get("answer"), coverage)
