"""The OpenAPI description of every service reads well: each route says what it does, what it takes, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from ops.services import declared, present
from shared.api_description import OAUTH
from shared.datasets.openapi import as_30
from shared.service import create_app


@pytest.fixture(scope="module", params=present())
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    return create_app(declared(request.param)).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_has_a_summary_of_its_own(document: dict[str, Any]) -> None:
    summaries = [operation.get("summary", "") for _, operation in operations(document)]
    assert all(3 < len(summary) < 100 for summary in summaries)
    assert not [summary for summary in summaries if summary.endswith(".")]


def test_every_refusal_is_described_as_the_problem_that_is_sent(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        answers = operation["responses"]
        refused = {status for status in answers if status.startswith("4")}
        if operation.get("security"):
            assert {"401", "403"} <= refused, name
        if "{" in name:
            assert "404" in refused, name
        if "requestBody" in operation and OAUTH not in name:
            assert refused & {"400", "422"}, name
        for status in refused:
            assert len(answers[status]["description"]) > 10, f"{name}: {status}"
            assert OAUTH in name or "application/json" not in answers[status].get("content", {}), f"{name}: {status} is a problem"
        assert "Successful Response" not in {answer["description"] for answer in answers.values()}, name


def test_every_json_body_has_an_example_that_its_schema_takes(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None:
            continue
        schema = {**body["schema"], "components": document["components"]}
        if "$ref" in schema:
            schema = {**document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], "components": document["components"]}
        whole = body.get("example") or schema.get("example") or next(iter(schema.get("examples", [])), None)
        if whole is not None:
            jsonschema_rs.Draft202012Validator(schema).validate(whole)
        assert whole is not None or '"example' in json.dumps({**body, **schema.get("properties", {})}), name


def test_no_reference_leads_nowhere_and_gis_tools_get_the_same(document: dict[str, Any]) -> None:
    for told in (document, as_30(document)):
        known = set(told["components"]["schemas"])
        assert "#/$defs/" not in json.dumps(told)
        named = {part.partition('"')[0] for part in json.dumps(told).split('"#/components/schemas/')[1:]}
        assert named <= known
        assert "HTTPValidationError" not in known
