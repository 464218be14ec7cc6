"""A source's description of a dataset, read back into a declaration, so that the hub speaks of it exactly as the source does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, MetaData, Table

from shared.datasets.declaration import Dataset, Field, FieldType, Point, Shape
from shared.vocabulary import DataGrade, Personal, Sharing, Text

MOST_FIELDS = 500
MOST_WORDS = 50
_FORMATS: dict[str, FieldType] = {"date-time": "datetime", "date": "date"}
_PLAIN: dict[str, FieldType] = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}


class Misdescribed(ValueError):
    """A collection or schema that cannot be what it should be."""


def declaration(dataset: str, collection: Mapping[str, Any], schema: Mapping[str, Any]) -> Dataset:
    """The declaration behind `GET /collections/{id}` and `…/schema`. Its table has columns for the names' sake and no rows anywhere.

    Raises `Misdescribed` for what no declaration could have given.
    """
    try:
        return _declaration(dataset, collection, schema)
    except Misdescribed:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Misdescribed(f"{dataset} is described in a way that is not understood: {error!r}"[:300]) from error


def _declaration(dataset: str, collection: Mapping[str, Any], schema: Mapping[str, Any]) -> Dataset:
    properties: dict[str, Mapping[str, Any]] = dict(schema["properties"])
    shape = properties.pop("geometry", None) if "x-title" not in properties.get("geometry", {}) else None
    if not properties or len(properties) > MOST_FIELDS:
        raise Misdescribed(f"{dataset} has {len(properties)} fields; 1 to {MOST_FIELDS} are taken.")
    required = set(schema.get("required", ()))
    fields = tuple(_field(name, part, name in required) for name, part in properties.items())
    key = next((name for name, part in properties.items() if part.get("x-ogc-role") == "id"), "_key")
    names = {*properties, key, "lon", "lat", "geometry", "extent"}
    described = collection["names"]
    return Dataset(
        id=dataset,
        title=_text(described["title"]),
        description=_text(described["description"]),
        owner=_text(described["owner"]),
        table=Table("offered", MetaData(), *(Column(name) for name in sorted(names))),
        key=key,
        fields=fields,
        time=_with(properties, "x-ogc-role", "primary-instant"),
        area=_with(properties, "x-role", "area"),
        geometry=None if shape is None else Point() if shape.get("format") == "geometry-point" else Shape(),
        licence=str(collection.get("licence", "")),
        freshness=_span(collection.get("freshness_s")),
        irregular=collection.get("irregular") is True,
        retention=_span(collection.get("retention_s")),
        standards=_words(collection.get("standards", ())),
        derived_from=_words(collection.get("derived_from", ())),
        grade=DataGrade(schema["x-grade"]),
        personal=Personal(schema["x-personal"]),
        sharing=Sharing(schema["x-sharing"]),
        legal_basis=str(collection.get("legal_basis", "")),
        authority=collection.get("authority"),
        smallest_group=int(collection.get("smallest_group", 0)),
    )


def _field(name: str, part: Mapping[str, Any], required: bool) -> Field:
    kind = _FORMATS.get(part.get("format", "")) or _PLAIN.get(part.get("type", ""))
    if kind is None:
        raise Misdescribed(f"The field {name!r} has no type that is known here.")
    return Field(
        name=name,
        type=kind,
        title=_text(part["x-title"]),
        unit=part.get("x-ogc-unit"),
        definition=part.get("x-ogc-definition"),
        values=tuple(part.get("enum", ())),
        minimum=part.get("minimum"),
        maximum=part.get("maximum"),
        required=required,
        grade=DataGrade(part["x-grade"]),
        personal=Personal(part["x-personal"]),
        sharing=Sharing(part["x-sharing"]),
    )


def _words(found: Any) -> tuple[str, ...]:
    if not isinstance(found, (list, tuple)) or len(found) > MOST_WORDS:
        raise Misdescribed("standards and derived_from are lists of names.")
    return tuple(str(word)[:200] for word in found)


def _text(both: Mapping[str, str]) -> Text:
    return Text(str(both["zh"]), str(both["en"]))


def _with(properties: Mapping[str, Mapping[str, Any]], label: str, value: str) -> str | None:
    return next((name for name, part in properties.items() if part.get(label) == value), None)


def _span(seconds: float | None) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None
