"""The API's description as OpenAPI 3.0, which is what GDAL, OWSLib and the OGC conformance class ask for; FastAPI writes 3.1."""

from __future__ import annotations

from typing import Any

MEDIA_TYPE = "application/vnd.oai.openapi+json;version=3.0"
UNKNOWN = ("$defs", "propertyNames", "patternProperties", "prefixItems", "contentMediaType", "contentEncoding", "$schema", "$comment", "unevaluatedProperties")
"""Keywords of JSON Schema 2020-12 that OpenAPI 3.0 does not have; without them a schema admits more, never less."""


def as_30(document: dict[str, Any]) -> dict[str, Any]:
    """The same API in the words of OpenAPI 3.0.3: `nullable`, one type each, `enum` for `const`, boolean exclusive bounds."""
    schemas = _definitions(document) | document.get("components", {}).get("schemas", {})
    components = {**document.get("components", {}), "schemas": {name: _schema(part) for name, part in schemas.items()}}
    return {**document, "openapi": "3.0.3", "paths": _within(document.get("paths", {})), "components": components}


def _definitions(node: Any) -> dict[str, Any]:
    """The schemas that schemas define for themselves (`$defs`), which 3.0 keeps with the components."""
    if isinstance(node, list):
        return {name: part for inner in node for name, part in _definitions(inner).items()}
    if isinstance(node, dict):
        inner = {name: part for value in node.values() for name, part in _definitions(value).items()}
        return inner | node["$defs"] if isinstance(node.get("$defs"), dict) else inner
    return {}


def _within(node: Any) -> Any:
    """A part of the document outside schemas."""
    if isinstance(node, list):
        return [_within(part) for part in node]
    if isinstance(node, dict):
        return {name: _schema(part) if name == "schema" else part if name in ("example", "examples") else _within(part) for name, part in node.items()}
    return node


def _schema(node: Any) -> Any:
    if not isinstance(node, dict):
        return {} if node is True else {"not": {}} if node is False else node
    if "$ref" in node:
        return {"$ref": node["$ref"].replace("#/$defs/", "#/components/schemas/")}
    return _renamed({name: _keyword(name, value) for name, value in node.items() if name not in UNKNOWN})


def _renamed(schema: dict[str, Any]) -> dict[str, Any]:
    """One schema, its parts done, in the keywords of 3.0."""
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if word in schema:
            schema |= {bound: schema[word], word: True}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "examples" in schema:
        schema["example"] = schema.pop("examples")[0]
    if schema.get("type") == "array":
        schema.setdefault("items", {})
    if isinstance(schema.get("type"), list):
        schema["anyOf"] = [{"type": kind} for kind in schema.pop("type")]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            schema |= _nullable(schema.pop(word), word)
    return schema


def _keyword(name: str, value: Any) -> Any:
    match name, value:
        case "properties", dict():
            return {field: _schema(part) for field, part in value.items()}
        case (("anyOf" | "oneOf" | "allOf"), list()):
            return [_schema(part) for part in value]
        case "additionalProperties", bool():
            return value
        case (("items" | "not" | "additionalProperties"), _):
            return _schema(value)
    return value


def _nullable(choices: list[Any], word: str) -> dict[str, Any]:
    """A choice without its `null`; one alone stands for itself, unless it is a reference, which takes no neighbours."""
    rest = [choice for choice in choices if choice.get("type") != "null"]
    nullable = {"nullable": True} if len(rest) < len(choices) else {}
    if len(rest) == 1 and "$ref" not in rest[0]:
        return {**rest[0], **nullable}
    return {"allOf" if len(rest) == 1 else word: rest, **nullable} if rest else {"enum": [None], **nullable}
