"""The peer's shared datasets as a source of the own hub: its questions put to the peer under an agreement, its answers in the hub's forms."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from services.intercity.agreements.client import GEOMETRY, Described, described
from services.intercity.agreements.domain import all_of
from services.intercity.agreements.reading import Agreement
from services.intercity.agreements.schemas import SharedDataset
from services.intercity.exchange.allowed import allowed_of
from services.intercity.exchange.domain import Allowed, parts_of, place_of
from services.intercity.messages.client import active_peer, ask
from services.intercity.messages.domain import AnswerUnsound, OutsideAgreement, PurposeNotAgreed
from services.intercity.messages.wire import moment
from services.intercity.state import Gateway
from shared.caller import Caller, Clearance
from shared.datasets.aggregate.columns import GROUP_ROWS, Dimension, Layout, Measure
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.states import States
from shared.datasets.coverage import SourceAnswer
from shared.datasets.view import unknown_dataset
from shared.errors import Problem
from shared.passage import Passage
from shared.vocabulary import DataGrade, Personal, Text

FRESH_S = 600.0
_TEXT = {"type": "string", "x-grade": "general", "x-personal": "none", "x-sharing": "conditional"}
ADDED: dict[str, dict[str, Any]] = {
    "origin": {**_TEXT, "title": "City of origin", "x-title": {"zh": "来源城市", "en": "City of origin"}},
    "agreement": {**_TEXT, "title": "Agreement", "x-title": {"zh": "所依协议", "en": "Agreement"}},
}
"""What every row of a peer bears beyond its own fields."""


class GroupTooSmall(Problem):
    slug, status = "group-too-small", 422
    title = Text("分组过小，未予提供", "Group too small to be told")
    remedy = Text("扩大时间或区域范围。", "Ask for a longer time or a larger area.")


@dataclass(frozen=True, slots=True)
class Offered:
    """A dataset that a peer shares with us, under one agreement."""

    peer: str
    agreement: Agreement
    shared: SharedDataset
    described: Described
    allowed: Allowed


async def agreements_for(gateway: Gateway, peer: str, dataset: str) -> list[tuple[Agreement, SharedDataset]]:
    """The agreements in force under which a peer gives a dataset, the latest first."""
    found = []
    for agreement in await gateway.agreements.with_peer(peer, datetime.now(UTC)):
        grant = agreement.grant(peer)
        shared = grant.dataset(dataset) if grant else None
        if shared is not None:
            found.append((agreement, shared))
    return found


async def datasets_of(gateway: Gateway, peer: str) -> list[str]:
    """What a peer gives us now."""
    found = set()
    for agreement in await gateway.agreements.with_peer(peer, datetime.now(UTC)):
        grant = agreement.grant(peer)
        found |= {shared.id for shared in grant.datasets} if grant else set()
    return sorted(found)


async def offered(gateway: Gateway, peer: str, dataset: str, passage: Passage, *, purpose: str | None = None, operation: str | None = None) -> Offered:
    """A dataset of a peer under the agreement that allows the purpose. `NotFound`, `PurposeNotAgreed`, or the peer does not describe it."""
    await active_peer(gateway, peer)
    choices = await agreements_for(gateway, peer, dataset)
    if not choices:
        raise unknown_dataset(dataset)
    fitting = [
        (agreement, shared)
        for agreement, shared in choices
        if (purpose is None or purpose in agreement.document.purposes) and (operation is None or operation in shared.operations)
    ]
    if not fitting and all(operation not in (None, *shared.operations) for _, shared in choices):
        raise OutsideAgreement(f"{operation} of {dataset} are not agreed with {peer}.", pointer="/operation")
    if not fitting:
        raise PurposeNotAgreed(f"No agreement with {peer} gives {dataset} for the purpose {purpose!r}.")
    agreement, shared = fitting[0]
    return await _described(gateway, peer, agreement, shared, passage)


async def _described(gateway: Gateway, peer: str, agreement: Agreement, shared: SharedDataset, passage: Passage) -> Offered:
    key = (agreement.id, shared.id)
    kept = gateway.described.get(key)
    if kept is None or time.monotonic() - kept[0] > FRESH_S:
        purpose = agreement.document.purposes[0]
        found = await ask(gateway, peer, "describe", {"dataset": shared.id}, passage, agreement=agreement.id, purpose=purpose)
        try:
            schema = {**found["schema"], "properties": dict(found["schema"]["properties"])}
            kept = (time.monotonic(), described(shared.id, found["collection"], schema, peer))
        except (KeyError, TypeError) as error:
            raise AnswerUnsound(f"{peer} describes {shared.id} in a way that is not understood.") from error
        if set(kept[1].fields) - set(shared.fields):
            raise AnswerUnsound(f"{peer} describes fields of {shared.id} that are not agreed.")
        gateway.described[key] = kept
    return Offered(peer, agreement, shared, kept[1], allowed_of(agreement, peer, shared, kept[1]))


def seen_by(caller: Caller, offer: Offered) -> Offered:
    """The same, without the fields that the caller may not see; `NotFound` if nothing is left."""
    hidden = {name for name, part in offer.described.fields.items() if not _visible(caller.clearance, part)}
    if offer.allowed.key in hidden or not caller.has(f"{offer.shared.id.partition('.')[0]}:read", "hub:query"):
        raise unknown_dataset(offer.shared.id)
    return replace(offer, allowed=replace(offer.allowed, fields=offer.allowed.fields - hidden)) if hidden else offer


def _visible(clearance: Clearance, part: Mapping[str, Any]) -> bool:
    try:
        return clearance.covers(DataGrade(part["x-grade"]), Personal(part["x-personal"])) and part["x-sharing"] != "none"
    except (KeyError, ValueError):
        return False


def in_areas(caller: Caller, allowed: Allowed) -> Any:
    """The condition that rows lie in the caller's areas, as CQL2 JSON; None if the caller sees everywhere."""
    if caller.everywhere:
        return None
    if allowed.area is None:
        return None if caller.areas else {"op": "<>", "args": [1, 1]}
    if allowed.area not in allowed.fields:
        raise OutsideAgreement("Areas are not agreed, so only whoever sees everywhere may ask.", pointer="/filter")
    parts = [{"op": "like", "args": [{"property": allowed.area}, f"{area}%"]} for area in caller.areas]
    return {"op": "or", "args": parts} if len(parts) > 1 else parts[0] if parts else {"op": "=", "args": [{"property": allowed.area}, ""]}


async def rows_of(gateway: Gateway, offer: Offered, purpose: str, asked: Mapping[str, Any], passage: Passage) -> dict[str, Any]:
    """Rows as a feature collection, each with its origin, its agreement and its place in the asked order."""
    question = {"dataset": offer.shared.id, **{name: value for name, value in asked.items() if value is not None}}
    found = await ask(gateway, offer.peer, "records", question, passage, agreement=offer.agreement.id, purpose=purpose)
    try:
        sorts = [sort["field"] for sort in asked.get("sortby") or ()]
        places = [[_place(offer, name, row) for name in (*sorts, offer.allowed.key)] for row in found["features"]]
        features = [_feature(offer, row) for row in found["features"]]
        about = {"timeStamp": str(found["as_of"]), "numberReturned": len(features), "origin": offer.peer, "agreement": offer.agreement.id}
        about |= {name: found[key] for name, key in (("numberMatched", "matched"), ("known_at", "known_at")) if found.get(key) is not None}
        return {"type": "FeatureCollection", **about, "features": features, "places": places, "more": bool(found["more"])}
    except (KeyError, TypeError, AttributeError) as error:
        raise AnswerUnsound(f"{offer.peer} signed something other than rows: {error!r}"[:300]) from error


def _place(offer: Offered, name: str, row: Mapping[str, Any]) -> str | None:
    part = offer.described.fields[name]
    return place_of(str(part.get("format") or part.get("type")), row["properties"].get(name))


def _feature(offer: Offered, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what is agreed and nothing else, whatever the peer sent."""
    properties = {name: value for name, value in row["properties"].items() if name in offer.allowed.fields}
    properties |= {"origin": offer.peer, "agreement": offer.agreement.id}
    return {"type": "Feature", "id": row["id"], "geometry": row["geometry"] if GEOMETRY in offer.allowed.fields else None, "properties": properties}


async def states_of(gateway: Gateway, offer: Offered, purpose: str, question: Question, beyond: Any, passage: Passage) -> States:
    """Finished cells as states that the hub merges with its other sources'. `beyond` is what the caller's rights add to the filter."""
    plain = question.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"deadline_ms", "having", "sortby", "limit", "strict"})
    condition = all_of(plain.get("filter"), beyond)
    plain |= {"filter": condition} if condition is not None else {}
    found = await ask(gateway, offer.peer, "aggregate", {"dataset": offer.shared.id, "question": plain}, passage, agreement=offer.agreement.id, purpose=purpose)
    try:
        return _states(gateway, offer, question, found)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, pa.ArrowException) as error:
        raise AnswerUnsound(f"{offer.peer} signed something other than cells: {error!r}"[:300]) from error


def _states(gateway: Gateway, offer: Offered, question: Question, found: Mapping[str, Any]) -> States:
    cells: Sequence[Sequence[Any]] = found["cells"]
    dimensions = tuple(
        Dimension(name, of, about["type"], about.get("unit")) for (name, of), about in zip(question.by.items(), found["dimensions"], strict=True)
    )
    measures = tuple(
        Measure(name, spec.fn, spec.field, spec.q, source, unit if spec.fn != "count" else None)
        for (name, spec), source, unit in zip(question.measures.items(), found["sources"], found["units"], strict=True)
    )
    layout = Layout(dimensions, measures, question.tz or gateway.runtime.settings.timezone)
    if not dimensions and not cells:
        raise GroupTooSmall(f"{offer.peer} has too few rows for an answer under the agreement.")
    schema = layout.schema()
    names = [*(dimension.name for dimension in dimensions), GROUP_ROWS]
    names += [f"{name}.{part}" for name, spec in question.measures.items() for part in parts_of(spec.fn)]
    columns = dict(zip(names, zip(*cells, strict=True), strict=True)) if cells else dict.fromkeys(names, ())
    table = pa.table({name: _column(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)
    return States(layout, table, _coverage(offer, found))


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        values = [None if value is None else datetime.fromisoformat(value).astimezone(UTC) for value in values]
    elif pa.types.is_date(kind):
        values = [None if value is None else datetime.fromisoformat(value).date() for value in values]
    elif pa.types.is_floating(kind):
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def _coverage(offer: Offered, found: Mapping[str, Any]) -> tuple[SourceAnswer, ...]:
    """The peer's sources under their own names; rows are not told, since they would tell of groups that were left out."""
    suppressed = int(found.get("suppressed", 0))
    how = "finished cells" + (f", {suppressed} small groups left out" if suppressed else "")
    answers = []
    for source in found["coverage"]:
        ok = source["status"] in ("ok", "stale")
        as_of = datetime.fromisoformat(source["as_of"]) if ok and "as_of" in source else None
        problem = None if ok else {"type": "/problems/source-error", "title": f"{offer.peer} has no answer of this source."}
        name = str(source["source"])[:80]
        if not name.startswith(f"{offer.peer}/"):
            raise AnswerUnsound(f"{offer.peer} answered in the name of {name}.")
        answers.append(
            SourceAnswer(
                source=name,
                dataset=offer.shared.id,
                status=source["status"],
                as_of=as_of,
                served_from=how if ok else None,
                origin=offer.peer,
                agreement=offer.agreement.id,
                problem=problem,
            )
        )
    return tuple(answers)


def collection_of(offer: Offered, base: str) -> dict[str, Any]:
    """The collection as the hub reads it."""
    here = f"{base}/collections/{offer.shared.id}"
    links = [{"href": here, "rel": "self", "type": "application/json"}, {"href": f"{here}/items", "rel": "items", "type": "application/geo+json"}]
    return {**offer.described.collection, "id": offer.shared.id, "links": links, "origin": offer.peer, "agreement": offer.agreement.id}


def schema_of(offer: Offered) -> dict[str, Any]:
    """The agreed fields, cut to what the caller sees, and those that say where a row comes from."""
    whole = offer.described.schema
    properties = {name: part for name, part in whole["properties"].items() if name in offer.allowed.fields}
    required = [name for name in whole.get("required", ()) if name in properties]
    return {**whole, "properties": {**properties, **ADDED}, "required": required}


def as_of() -> str:
    return moment(datetime.now(UTC))
