"""What a service says about its datasets: collections, schemas, capabilities and a DCAT 3 catalogue, cut to what a caller may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.datasets.declaration import Dataset, Field, Point
from shared.datasets.extent import CRS84, EPSG4326
from shared.datasets.formats import MEDIA_TYPES
from shared.datasets.labels import Labels, geometry_labels, labels_of
from shared.datasets.view import View
from shared.vocabulary import Text

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/schemas",
    "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/core-roles-features",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
    "http://www.opengis.net/spec/cql2/1.0/conf/case-insensitive-comparison",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
    "http://www.opengis.net/spec/cql2/1.0/conf/property-property",
)
SCHEMA_TYPE = "application/schema+json"
RELATIONS = "http://www.opengis.net/def/rel/ogc/1.0"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[str, dict[str, str]] = {"datetime": {"type": "string", "format": "date-time"}, "date": {"type": "string", "format": "date"}}


def link(href: str, rel: str, media_type: str, title: str | None = None) -> dict[str, str]:
    return {"href": href, "rel": rel, "type": media_type} | ({"title": title} if title else {})


def words(text: Text, language: str) -> str:
    return text.zh if language == "zh" else text.en


def landing(title: str, description: str, base: str) -> dict[str, Any]:
    """The landing page (OGC 17-069r4, 7.2)."""
    json_type = "application/json"
    links = [
        link(f"{base}/", "self", json_type),
        link(f"{base}/api", "service-desc", "application/vnd.oai.openapi+json;version=3.0", "API definition"),
        link(f"{base}/conformance", "conformance", json_type),
        link(f"{base}/collections", "data", json_type),
        link(f"{base}/capabilities", "describedby", json_type, "Datasets, events and scopes of this service"),
        link(f"{base}/catalog", f"{RELATIONS}/ogc-catalog", "application/ld+json", "DCAT 3 catalogue"),
    ]
    return {"title": title, "description": description, "links": links}


def collection(seen: View, base: str, language: str, quality: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A collection (OGC 17-069r4, 7.14; 18-058r1) with the labels that the law asks for."""
    dataset = seen.dataset
    here = f"{base}/collections/{quote(dataset.id)}"
    described = {
        "id": dataset.id,
        "title": words(dataset.title, language),
        "description": words(dataset.description, language),
        "itemType": "feature",
        "crs": [CRS84, EPSG4326],
        "storageCrs": CRS84,
        "links": [
            link(here, "self", "application/json"),
            link(f"{here}/items", "items", MEDIA_TYPES["geojson"]),
            *(link(f"{here}/items?f={form}", "items", MEDIA_TYPES[form]) for form in ("csv", "arrow")),
            link(f"{here}/schema/feature", "describedBy", SCHEMA_TYPE, "Schema of a feature"),
            link(f"{here}/schema", f"{RELATIONS}/schema", SCHEMA_TYPE, "Schema of the properties, with labels"),
            link(f"{here}/queryables", f"{RELATIONS}/queryables", SCHEMA_TYPE),
            link(f"{here}/aggregate", "aggregate", "application/json"),
            link(f"{here}/quality", "quality", "application/json", "Completeness, validity, timeliness"),
        ],
        "names": {"title": dataset.title.as_dict(), "description": dataset.description.as_dict(), "owner": dataset.owner.as_dict()},
        "licence": dataset.licence,
        "legal_basis": dataset.legal_basis,
        "authority": dataset.authority,
        "grade": dataset.grade.value,
        "personal": dataset.personal.value,
        "sharing": dataset.sharing.value,
        "freshness_s": dataset.freshness.total_seconds() if dataset.freshness else None,
        "irregular": dataset.irregular or None,
        "standards": list(dataset.standards) or None,
        "derived_from": list(dataset.derived_from) or None,
        "quality": {name: value for name, value in quality.items() if name != "period"} if quality else None,
        "extent": _extent(quality.get("period")) if quality else None,
        "retention_s": dataset.retention.total_seconds() if dataset.retention else None,
        "smallest_group": dataset.smallest_group or None,
        "cells": [list(table) for table in dataset.cells.tables] if dataset.cells else None,
    }
    return {name: value for name, value in described.items() if value not in (None, "")}


def _extent(period: Mapping[str, str] | None) -> dict[str, Any] | None:
    """The period that the rows tell of (OGC 17-069r4, 7.13.2), days as the moments at which they begin and end."""
    if not period:
        return None
    ends = [period["start"], period["end"]]
    return {"temporal": {"interval": [[end if "T" in end else f"{end}T{at}Z" for end, at in zip(ends, ("00:00:00", "23:59:59"), strict=True)]]}}


def schema(seen: View, base: str, language: str) -> dict[str, Any]:
    """The properties of a dataset's rows as JSON Schema (OGC 23-058r1), each with its labels."""
    dataset = seen.dataset
    properties = {name: _property(dataset, field, position, language) for position, (name, field) in enumerate(seen.fields.items(), 1)}
    if seen.geometry is not None and "geometry" not in properties:
        shape = "geometry-point" if isinstance(dataset.geometry, Point) else "geometry-any"
        properties["geometry"] = {"format": shape, "x-ogc-role": "primary-geometry"} | _labels(geometry_labels(dataset))
    return {
        "$schema": DRAFT,
        "$id": f"{base}/collections/{quote(dataset.id)}/schema",
        "type": "object",
        "title": words(dataset.title, language),
        "description": words(dataset.description, language),
        "x-title": dataset.title.as_dict(),
        **_labels(Labels(dataset.grade, dataset.personal, dataset.sharing)),
        "properties": properties,
        "required": [name for name, field in seen.fields.items() if field.required],
        "additionalProperties": False,
    }


def feature_schema(seen: View, base: str, language: str) -> dict[str, Any]:
    """The schema of a whole feature, from which GDAL takes the types of fields; without it, it guesses from the first ten features."""
    flat = schema(seen, base, language)
    properties = {name: part for name, part in flat["properties"].items() if name != "geometry" or name in seen.fields}
    return {
        "$schema": DRAFT,
        "$id": f"{flat['$id']}/feature",
        "type": "object",
        "title": flat["title"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "string"},
            "geometry": {"$ref": "https://geojson.org/schema/Geometry.json"},
            "properties": {"type": "object", "properties": properties, "required": flat["required"]},
        },
        "required": ["type", "geometry", "properties"],
    }


def _property(dataset: Dataset, field: Field, position: int, language: str) -> dict[str, Any]:
    role = {dataset.time: "primary-instant"}.get(field.name)
    if len(dataset.keys) == 1 and (field.column or field.name) == dataset.keys[0]:
        role = "id"
    described = {
        "title": words(field.title, language),
        "x-title": field.title.as_dict(),
        "x-ogc-propertySeq": position,
        "x-ogc-role": role,
        "x-role": "area" if field.name == dataset.area else None,
        "x-ogc-unit": field.unit,
        "x-ogc-unitLang": "UCUM" if field.unit else None,
        "x-ogc-definition": field.definition,
        "enum": list(field.values) or None,
        "minimum": field.minimum,
        "maximum": field.maximum,
    }
    plain = {name: value for name, value in described.items() if value is not None}
    return _TYPES.get(field.type, {"type": field.type}) | plain | _labels(labels_of(dataset, field))


def _labels(labels: Labels) -> dict[str, str]:
    return {"x-grade": labels.grade.value, "x-personal": labels.personal.value, "x-sharing": labels.sharing.value}
