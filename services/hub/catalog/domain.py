"""What the hub knows of its sources: pure values and rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shared.caller import Caller
from shared.vocabulary import DataGrade, Personal

Kind = Literal["sector", "hub", "city"]
Health = Literal["unknown", "up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A dataset as a source offers it: its description, and its schema with every field that sharing allows."""

    dataset: str
    collection: Mapping[str, Any]
    schema: Mapping[str, Any]
    digest: str
    changed_at: datetime
    previous_digest: str | None = None
    version: str | None = None
    as_of: str | None = None

    @property
    def drifted(self) -> bool:
        """Whether the schema has changed since the hub first met the dataset."""
        return self.previous_digest is not None


@dataclass(slots=True, kw_only=True)
class Source:
    """A service that the hub asks, and how it is."""

    name: str
    kind: Kind
    url: str
    key: Mapping[str, Any] | None = None
    added_by: str = "settings"
    version: str | None = None
    offers: dict[str, Offer] = field(default_factory=dict)
    health: Health = "unknown"
    last_seen: datetime | None = None
    since: datetime | None = None
    """When its health last changed."""
    elapsed_ms: int | None = None
    problem: Mapping[str, Any] | None = None

    @property
    def met(self) -> bool:
        """Whether the hub has ever learned what it offers."""
        return self.last_seen is not None


def schema_digest(schema: Mapping[str, Any]) -> str:
    """A digest that stays the same as long as the schema means the same to a program: titles and order do not count."""
    meaning = {"properties": schema.get("properties", {}), "required": sorted(schema.get("required", []))}
    plain = json.dumps(_without_words(meaning), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def _without_words(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_words(part) for name, part in value.items() if name not in ("title", "description", "x-title")}
    if isinstance(value, list | tuple):
        return [_without_words(part) for part in value]
    return value


def seen_by(caller: Caller, dataset: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema cut to the fields that exist for this caller, or nothing if the dataset does not exist for them at all."""
    if not caller.has(f"{dataset.partition('.')[0]}:read", "hub:query"):
        return None
    visible = {name: part for name, part in schema.get("properties", {}).items() if _covers(caller, part, schema)}
    if not visible:
        return None
    return {**schema, "properties": visible, "required": [name for name in schema.get("required", []) if name in visible]}


def _covers(caller: Caller, part: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether the field's labels lie within the clearance; a label that is not understood hides the field."""
    try:
        grade = DataGrade(part.get("x-grade", schema.get("x-grade", DataGrade.GENERAL)))
        personal = Personal(part.get("x-personal", schema.get("x-personal", Personal.NONE)))
    except ValueError:
        return False
    return caller.clearance.covers(grade, personal)


def limited(caller: Caller, schema: Mapping[str, Any]) -> bool:
    """Whether the token is narrower than the dataset: not everywhere, or below the clearance of some field."""
    return not caller.everywhere or any(not _covers(caller, part, schema) for part in schema.get("properties", {}).values())
