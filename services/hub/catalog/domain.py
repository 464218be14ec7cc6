"""What the hub knows of its sources: pure values and rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shared.caller import Caller
from shared.datasets.declaration import Dataset
from shared.datasets.labels import visible_fields

Kind = Literal["sector", "hub", "city"]
Health = Literal["unknown", "up", "down"]
KEPT_HERE = frozenset({"hub.areas"})
"""Reference data that every hub keeps for itself: those of several hubs together would count each area several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What changed between two versions of a schema, by field."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[str, ...]
    """Fields whose values are of another type."""
    altered: tuple[str, ...]
    """Fields with another unit, label, range, list of values, role, or need to be there."""

    def seen_with(self, fields: Collection[str]) -> Drift:
        """As far as it speaks of these fields; of what is gone nobody can say who could see it."""
        added, retyped, altered = (tuple(name for name in names if name in fields) for names in (self.added, self.retyped, self.altered))
        return Drift(added=added, removed=(), retyped=retyped, altered=altered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A dataset as a source offers it: its description, and its schema with every field that sharing allows."""

    dataset: str
    collection: Mapping[str, Any]
    schema: Mapping[str, Any]
    declared: Dataset
    """What collection and schema say, as a declaration."""
    digest: str
    changed_at: datetime
    previous_digest: str | None = None
    drift: Drift | None = None
    """What changed last, if anything has."""
    version: str | None = None
    as_of: str | None = None

    @property
    def drifted(self) -> bool:
        """Whether the schema has changed since the hub first met the dataset."""
        return self.previous_digest is not None


@dataclass(frozen=True, slots=True)
class Announced:
    """A question that a source answers beyond its datasets."""

    id: str
    path: str
    title: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Source:
    """A service that the hub asks, and how it is."""

    name: str
    kind: Kind
    url: str
    key: Mapping[str, Any] | None = None
    proven: bool | None = None
    """Whether it has proven to hold its key: not yet asked, or what came of it last."""
    added_by: str = "settings"
    version: str | None = None
    offers: dict[str, Offer] = field(default_factory=dict)
    lookups: tuple[Announced, ...] = ()
    health: Health = "unknown"
    last_seen: datetime | None = None
    since: datetime | None = None
    """When its health last changed."""
    elapsed_ms: int | None = None
    problem: Mapping[str, Any] | None = None

    @property
    def city(self) -> str:
        return self.name.partition("/")[0]

    def audience(self, city: str) -> str:
        """To whom a token for it is addressed: a peer city is reached through our own gateway, and no token of ours means anything beyond it."""
        return f"{city}/intercity" if self.kind == "city" else self.name

    @property
    def met(self) -> bool:
        """Whether the hub has ever learned what it offers."""
        return self.last_seen is not None


def lies_under(city: str, hub: str) -> bool:
    """Whether a city identifier lies within the area of a hub's: 430300 and 430302 within 430000. Identifiers of other forms lie within themselves alone."""
    if not (len(city) == len(hub) == 6 and (city + hub).isdigit()):
        return city == hub
    while hub.endswith("00"):
        hub = hub[:-2]
    return city.startswith(hub)


def asked_for(caller: Caller, source: Source, hub_city: str) -> bool:
    """Whether this hub asks the source when the caller asks.

    Upward it answers for what lies under its own area, and never with what peers share with it, nor with what its gateway keeps of them:
    their agreements are with this city. Hubs through which the question came answer for themselves.
    """
    if source.name == caller.actor or source.name in caller.earlier:
        return False
    from_peers = source.kind == "city" or source.name.endswith("/intercity")
    return caller.superior is None or (not from_peers and lies_under(source.city, hub_city))


def schema_digest(schema: Mapping[str, Any]) -> str:
    """A digest that stays the same as long as the schema means the same to a program: titles and order do not count."""
    meaning = {"properties": schema.get("properties", {}), "required": sorted(schema.get("required", []))}
    plain = json.dumps(_without_words(meaning), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def drift_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> Drift:
    """What changed from one schema to the next, words aside."""
    old, new = (_without_words(schema.get("properties", {})) for schema in (before, after))
    needed = [set(schema.get("required", [])) for schema in (before, after)]
    both = sorted(old.keys() & new.keys())
    retyped = tuple(name for name in both if any(old[name].get(part) != new[name].get(part) for part in ("type", "format")))
    altered = tuple(name for name in both if name not in retyped and (old[name] != new[name] or (name in needed[0]) != (name in needed[1])))
    return Drift(added=tuple(sorted(new.keys() - old.keys())), removed=tuple(sorted(old.keys() - new.keys())), retyped=retyped, altered=altered)


def _without_words(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_words(part) for name, part in value.items() if name not in ("title", "description", "x-title")}
    if isinstance(value, list | tuple):
        return [_without_words(part) for part in value]
    return value


def seen_by(caller: Caller, offer: Offer) -> bool:
    """Whether anything of the dataset exists for the caller."""
    return bool(visible_fields(offer.declared, caller))


def limited(caller: Caller, declared: Dataset) -> bool:
    """Whether the token is narrower than the dataset: not everywhere, or without some field."""
    return not caller.everywhere or len(visible_fields(declared, caller)) < len(declared.fields)
