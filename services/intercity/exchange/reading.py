"""Answers a peer's questions from the own hub, within the agreement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from services.intercity.agreements.client import Described
from services.intercity.agreements.domain import suppress
from services.intercity.agreements.reading import Agreement
from services.intercity.agreements.schemas import SharedDataset
from services.intercity.exchange.allowed import allowed_of
from services.intercity.exchange.domain import GEOMETRY, Allowed, Params, Records, aggregate_question, group_size, parts_of, records_params
from services.intercity.exchange.schemas import AggregateAsked, DescribeAsked, RecordsAsked
from services.intercity.messages.domain import AnswerTooLarge, AnswerUnsound, ForeignOrigin, MessageMalformed, OutsideAgreement
from services.intercity.state import Gateway
from shared.datasets.filter_bounds import read_json
from shared.errors import Problem, problem_types
from shared.passage import Passage
from shared.source_failures import SourceRefused

JSON = "application/json"
OURS = ("links", "sources", "leaves", "origins", "quality", "extent")
"""What a collection says of this city's sources and of all its rows, which is more than is agreed."""
_ASKED: dict[str, TypeAdapter[Any]] = {"describe": TypeAdapter(DescribeAsked), "records": TypeAdapter(RecordsAsked), "aggregate": TypeAdapter(AggregateAsked)}
OPERATIONS = frozenset(_ASKED)


def asked_of(operation: str, payload: bytes) -> Any:
    """The question of a payload; `MessageMalformed` if it is none."""
    try:
        asked = _ASKED[operation].validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise MessageMalformed(f"The question is wrong at /{'/'.join(map(str, first['loc']))}: {first['msg']}"[:400]) from error
    filter_ = asked.question.filter if operation == "aggregate" else getattr(asked, "filter", None)
    if isinstance(filter_, str):
        raise MessageMalformed("Between cities a filter is CQL2 JSON.")
    if isinstance(filter_, dict):
        read_json(filter_, pointer="/filter")
    return asked


async def answer(gateway: Gateway, agreement: Agreement, taker: str, operation: str, asked: Any, admit: Callable[[], None], passage: Passage) -> Any:
    """What the peer is given, as JSON values. `admit` is the last check, once the question is found to be within the agreement.

    Raises `OutsideAgreement`, `ForeignOrigin`, or what the hub finds wrong with the question.
    """
    shared, described = await _shared(gateway, agreement, asked, passage)
    origin = await _origin(gateway, asked.origin, asked.dataset, taker)
    allowed = allowed_of(agreement, gateway.city, shared, described)
    if origin is not None:
        allowed = _of_origin(allowed, origin)
    if operation == "describe":
        admit()
        return _description(shared, described)
    if operation == "records":
        params = records_params(allowed, _wish(asked))
        admit()
        return await _records(gateway, allowed, params, passage)
    plain = asked.question.model_dump(mode="json", by_alias=True, exclude_none=True)
    question = aggregate_question(allowed, plain)
    admit()
    return await _cells(gateway, allowed, described, plain, question, passage)


async def _shared(gateway: Gateway, agreement: Agreement, asked: Any, passage: Passage) -> tuple[SharedDataset, Described]:
    grant = agreement.grant(gateway.city)
    shared = grant.dataset(asked.dataset) if grant else None
    if shared is None:
        raise OutsideAgreement(f"The agreement gives nothing of {asked.dataset}.", pointer="/dataset")
    return shared, await gateway.catalogue.get(asked.dataset, passage)


async def _origin(gateway: Gateway, origin: str | None, dataset: str, taker: str) -> str | None:
    """The third city whose data are asked for, if every agreement by which it gives us the dataset now names the taker as a recipient."""
    if origin in (None, gateway.city):
        return None
    grants = [agreement.grant(str(origin)) for agreement in await gateway.agreements.with_peer(str(origin), datetime.now(UTC))]
    giving = [grant for grant in grants if grant is not None and grant.dataset(dataset) is not None]
    if not giving or not all(taker in grant.onward for grant in giving):
        raise ForeignOrigin(f"Data of {origin} are not ours to pass on to {taker}.", pointer="/origin")
    return origin


def _of_origin(allowed: Allowed, origin: str) -> Allowed:
    """The same, asked of another city's data as they are at our hub."""
    return Allowed(**{**{name: getattr(allowed, name) for name in Allowed.__slots__}, "sources": (f"{origin}/hub",)})


def _description(shared: SharedDataset, described: Described) -> dict[str, Any]:
    """Collection and schema, cut to the agreed fields."""
    agreed = set(shared.fields)
    schema = dict(described.schema)
    schema["properties"] = {name: part for name, part in described.schema["properties"].items() if name in agreed}
    schema["required"] = [name for name in described.schema.get("required", ()) if name in agreed]
    plain = {name: value for name, value in described.collection.items() if name not in OURS}
    smallest = max(shared.smallest_group, described.smallest_group)
    return {"collection": {**plain, **({"smallest_group": smallest} if smallest else {})}, "schema": schema}


def _wish(asked: RecordsAsked) -> Records:
    return Records(
        properties=asked.properties,
        filter=asked.filter,
        bbox=asked.bbox,
        datetime=asked.datetime,
        sortby=[(sort.field, sort.descending) for sort in asked.sortby],
        limit=asked.limit,
        after=asked.after,
        known_at=asked.known_at,
        hits=asked.hits,
        id=asked.id,
    )


async def _records(gateway: Gateway, allowed: Allowed, params: Params, passage: Passage) -> dict[str, Any]:
    found = await _hub(gateway, f"/collections/{allowed.dataset}/items", passage, params=params)
    try:
        features = [
            {
                "id": row["id"],
                "geometry": row["geometry"] if GEOMETRY in allowed.fields else None,
                "properties": {name: value for name, value in row["properties"].items() if name in allowed.fields},
            }
            for row in found["features"]
        ]
        more = any(link["rel"] == "next" for link in found["links"])
        return {"features": features, "more": more, "matched": found.get("numberMatched"), "as_of": found["timeStamp"], "known_at": found.get("known_at")}
    except (KeyError, TypeError, AttributeError) as error:
        raise AnswerUnsound("The own hub answered with something other than rows.") from error


async def _cells(
    gateway: Gateway, allowed: Allowed, described: Described, plain: Mapping[str, Any], question: dict[str, Any], passage: Passage
) -> dict[str, Any]:
    question["deadline_ms"] = max(1, int(passage.onward().remaining_s * 1000))
    found = await _hub(gateway, f"/collections/{allowed.dataset}/aggregate", passage, body=question)
    try:
        columns = [column["name"] for column in found["columns"]]
        if len(found["rows"]) > allowed.rows:
            raise AnswerTooLarge(f"The answer has more than {allowed.rows} groups, the most that is agreed.")
        rows = [dict(zip(columns, row, strict=True)) for row in found["rows"]]
        return _finished(allowed, described, plain, found, rows)
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerUnsound("The own hub answered with something other than cells.") from error


def _finished(allowed: Allowed, described: Described, plain: Mapping[str, Any], found: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Cells of groups that are large enough, and how many were not."""
    by, measures = plain.get("by", {}), plain["measures"]
    sizes = [group_size(row, len(measures)) for row in rows]
    hidden = suppress(sizes, allowed.smallest_group) if allowed.smallest_group > 1 else [False] * len(rows)
    dimensions = {column["name"]: column for column in found["columns"]}
    names = ["rows", *(f"m{number}_{part}" for number, spec in enumerate(measures.values()) for part in parts_of(spec["fn"]))]
    order = [*(f"d{number}" for number in range(len(by))), *names]
    kinds = [_kind(described.fields[spec["field"]]) if spec.get("field") else "integer" for spec in measures.values()]
    return {
        "dimensions": [{"type": dimensions[f"d{number}"]["type"], "unit": dimensions[f"d{number}"].get("unit")} for number in range(len(by))],
        "sources": kinds,
        "units": [described.fields[spec["field"]].get("x-ogc-unit") if spec.get("field") else None for spec in measures.values()],
        "cells": [[row[name] for name in order] for row, small in zip(rows, hidden, strict=True) if not small],
        "suppressed": sum(hidden) + int(found["coverage"].get("suppressed", 0)),
        "coverage": [{name: source[name] for name in ("source", "status", "as_of") if name in source} for source in found["coverage"]["sources"]],
    }


def _kind(part: Mapping[str, Any]) -> str:
    """A field's type from its schema."""
    return {"date-time": "datetime", "date": "date"}.get(str(part.get("format")), str(part.get("type")))


async def _hub(gateway: Gateway, path: str, passage: Passage, *, params: Sequence[tuple[str, str]] = (), body: Any = None) -> Any:
    """What the own hub answers; what it finds wrong with the question is the peer's to hear, as a problem of the same kind."""
    calls = gateway.runtime.calls
    try:
        found = await calls.ask("hub", path, within=passage.onward(), method="GET" if body is None else "POST", params=params, json=body)
    except SourceRefused as refused:
        raise told_as_ours(refused) from refused
    return orjson.loads(found.content)


def told_as_ours(refused: SourceRefused) -> Problem:
    """Another service's refusal as one of ours: of the kind that it names, if that is known here."""
    kind = problem_types().get(str(refused.said.get("type", "")).removeprefix("/problems/"), OutsideAgreement)
    kind = kind if kind.status == refused.answered else OutsideAgreement
    pointer = refused.said.get("pointer")
    return kind(refused.detail, pointer=pointer[:200] if isinstance(pointer, str) else None)
