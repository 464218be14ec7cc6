"""The description of an API (OpenAPI) as a reader needs it: every route says how it refuses, by the problems that are really sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from shared.errors import BodyTooLarge, Conflict, Forbidden, InvalidBody, InvalidRequest, NotFound, Problem, Unauthenticated, UnsupportedMedia

MEDIA_TYPE = "application/problem+json"
PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong, where, and what to do about it (RFC 9457). `GET /problems/{slug}` explains each type in Chinese and English.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Stable name of the kind, an address on this server"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong with this request"},
        "instance": {"type": "string", "description": "The path that was asked"},
        "pointer": {"type": "string", "description": "The parameter, or the place in the body (RFC 6901)"},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "Each fault of a body with several"},
        "request_id": {"type": "string", "description": "Under which the logs know this request"},
    },
}
OAUTH = "/oauth/"
_READY_MADE = {"HTTPValidationError", "ValidationError"}
"""The framework's own description of a refusal, which no service of ours sends."""


def describe(app: FastAPI) -> None:
    """Let the application's description name, for every route, how it may refuse; and no reference lead nowhere."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = _with_refusals(plain())
            hoisted = _hoist(document["paths"])
            document["components"]["schemas"] = hoisted | document["components"]["schemas"]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way


def _with_refusals(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _READY_MADE:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    for path, methods in document["paths"].items():
        for operation in methods.values():
            answers = operation["responses"]
            if _READY_MADE & {_named(answers.get("422", {}))}:
                del answers["422"]
            if not path.startswith(OAUTH):  # has its own form of refusals (RFC 6749), and describes them
                for kind in _refusals(path, operation, schemas):
                    answers.setdefault(str(kind.status), _answer(kind))
            for answer in answers.values():
                if answer.get("description") == "Successful Response":
                    answer["description"] = operation["summary"]
    return document


def _refusals(path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[type[Problem]]:
    """What may be wrong, by what the route takes."""
    given = {parameter["in"] for parameter in operation.get("parameters", ())}
    body = operation.get("requestBody")
    if "query" in given or "header" in given:
        yield InvalidRequest
    if operation.get("security"):
        yield from (Unauthenticated, Forbidden)
    if "{" in path:
        yield NotFound
    if body:
        yield from (BodyTooLarge, InvalidBody)
        if len(body.get("content", ())) > 1:
            yield UnsupportedMedia
        shapes = [schemas.get(_last(kind.get("schema", {}).get("$ref", "")), {}) for kind in body.get("content", {}).values()]
        if any("revision" in shape.get("properties", {}) for shape in shapes):
            yield Conflict


def _answer(kind: type[Problem]) -> dict[str, Any]:
    example = {"type": f"/problems/{kind.slug}", "title": kind.title.en, "status": kind.status, "detail": kind.remedy.en}
    return {
        "description": f"{kind.title.en} · {kind.title.zh}. {kind.remedy.en}",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }


def _named(answer: dict[str, Any]) -> str:
    """The schema that an answer refers to."""
    return _last(answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", ""))


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _hoist(node: Any) -> dict[str, Any]:
    """Take the schemas that a schema within a route defines for itself out of it, to stand with the others; references are bent to there."""
    found: dict[str, Any] = {}
    if isinstance(node, list):
        for part in node:
            found |= _hoist(part)
    if isinstance(node, dict):
        if isinstance(node.get("$defs"), dict):
            found |= node.pop("$defs")
        if isinstance(node.get("$ref"), str):
            node["$ref"] = node["$ref"].replace("#/$defs/", "#/components/schemas/")
        for part in [*node.values(), *found.values()]:
            found |= _hoist(part)
    return found
