"""A peer's question cut down to the agreement before anything is read: what is not agreed never reaches the hub.

Agreed fields only, in answers, filters, orders and groups alike; the agreement's row filter AND the asked one; groups that are large enough.
Differencing is bounded by a fixed rule: where a smallest group is agreed, aggregates may filter by coded fields and the area alone, joined by AND,
and cut times at whole hours; a group is as small as the fewest values that a measure has in it; of one answer's groups, small ones
take the next smallest with them until what is hidden is no small group either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.intercity.agreements.domain import all_of, fields_named
from services.intercity.messages.domain import OutsideAgreement

GEOMETRY = "geometry"
FINISHED = ("count", "sum", "avg", "min", "max")
"""Functions whose finished cells can be merged with other sources'."""
SPATIAL_OPS, TIME_OPS = ("s_",), ("t_",)
Params = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What of a dataset a peer may ask, and what the dataset is like."""

    dataset: str
    fields: frozenset[str]
    """With `geometry`, if that is agreed."""
    filter: Any
    """The agreed row filter as CQL2 JSON, or None."""
    operations: frozenset[str]
    smallest_group: int
    rows: int
    """Most rows or groups of one answer."""
    key: str
    time: str | None
    area: str | None
    coded: frozenset[str]
    """Fields of a fixed set of values."""
    sources: tuple[str, ...]
    """Who may be asked: the own city's sources of the dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """A question for rows, as a peer may put it."""

    properties: Sequence[str] | None = None
    filter: Any = None
    bbox: str | None = None
    datetime: str | None = None
    sortby: Sequence[tuple[str, bool]] = ()
    """Fields, and whether downwards."""
    limit: int = 100
    after: Sequence[str | None] | None = None
    """The place of the row after which the answer begins: the values of `sortby` and the key."""
    known_at: str | None = None
    hits: bool = False
    id: str | None = None


def records_params(allowed: Allowed, asked: Records) -> Params:
    """The parameters with which the hub is asked; `OutsideAgreement` for whatever is not agreed."""
    _operation(allowed, "records")
    properties = _agreed(allowed, asked.properties, "/properties") if asked.properties is not None else sorted(allowed.fields - {GEOMETRY})
    sorts = [(_field(allowed, name, "/sortby"), down) for name, down in asked.sortby]
    _filter(allowed, asked.filter)
    _place_and_time(allowed, bbox=asked.bbox is not None, times=asked.datetime is not None)
    one = {"op": "=", "args": [{"property": allowed.key}, asked.id]} if asked.id is not None else None
    condition = all_of(allowed.filter, asked.filter, one, _after(allowed, sorts, asked.after))
    given = {
        "f": "geojson",
        "strict": "true",
        "limit": str(min(asked.limit, allowed.rows)),
        "properties": ",".join(sorted({*properties, *(name for name, _ in sorts), allowed.key})),
        "sortby": ",".join([f"{'-' if down else ''}{name}" for name, down in sorts] + ([] if allowed.key in dict(sorts) else [allowed.key])),
        "sources": ",".join(allowed.sources),
        "filter": json.dumps(condition, ensure_ascii=False, separators=(",", ":")) if condition is not None else None,
        "filter-lang": "cql2-json" if condition is not None else None,
        "bbox": asked.bbox,
        "datetime": asked.datetime,
        "known_at": asked.known_at,
        "skipGeometry": None if GEOMETRY in allowed.fields else "true",
        "resultType": "hits" if asked.hits else None,
    }
    return [(name, value) for name, value in given.items() if value is not None]


def aggregate_question(allowed: Allowed, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The question with which the hub is asked for what the peer's measures are finished from; `asked` is a checked question as JSON values."""
    _operation(allowed, "aggregate")
    for name, spec in asked["measures"].items():
        if spec["fn"] not in FINISHED:
            raise OutsideAgreement(f"{spec['fn']} does not cross between cities; {', '.join(FINISHED)} do.", pointer=f"/measures/{name}/fn")
        if spec.get("field") is not None:
            _field(allowed, spec["field"], f"/measures/{name}/field")
    for name, of in asked.get("by", {}).items():
        _dimension(allowed, of, f"/by/{name}")
    _filter(allowed, asked.get("filter"))
    times = [asked[name] for name in ("from", "until") if asked.get(name) is not None]
    _place_and_time(allowed, bbox=asked.get("bbox") is not None, times=bool(times) or asked.get("datetime") is not None)
    if allowed.smallest_group > 1:
        _coarse(allowed, asked, [*times, *([asked["known_at"]] if asked.get("known_at") is not None else [])])
    kept = {name: asked[name] for name in ("bbox", "datetime", "from", "until", "tz", "known_at") if asked.get(name) is not None}
    condition = all_of(allowed.filter, asked.get("filter"))
    kept |= {"filter": condition} if condition is not None else {}
    measures: dict[str, Any] = {"rows": {"fn": "count"}}
    for number, spec in enumerate(asked["measures"].values()):
        measures |= {f"m{number}_{part}": _part(part, spec.get("field")) for part in parts_of(spec["fn"])}
        if allowed.smallest_group > 1 and spec.get("field") is not None:
            measures[f"m{number}_values"] = _part("count", spec["field"])
    by = {f"d{number}": of for number, of in enumerate(asked.get("by", {}).values())}
    return {"measures": measures, "by": by, "limit": allowed.rows + 1, "sources": list(allowed.sources), **kept}


def parts_of(fn: str) -> tuple[str, ...]:
    """What a measure's cells hold: an average is a sum and a count."""
    return {"sum": ("count", "sum"), "avg": ("count", "sum")}.get(fn, (fn,))


def group_size(row: Mapping[str, Any], measures: int) -> int:
    """By how many rows a group counts as small or not: an average of 30 rows of which one has a value tells that value."""
    values = [row.get(f"m{number}_values") for number in range(measures)]
    return min([int(row["rows"]), *(int(count) for count in values if count)])


def _part(part: str, field: str | None) -> dict[str, Any]:
    return {"fn": part, "field": field} if field is not None else {"fn": part}


def _operation(allowed: Allowed, operation: str) -> None:
    if operation not in allowed.operations:
        raise OutsideAgreement(f"{operation} of {allowed.dataset} are not agreed; {', '.join(sorted(allowed.operations))} are.", pointer="/operation")


def _agreed(allowed: Allowed, names: Iterable[str], pointer: str) -> list[str]:
    return [_field(allowed, name, pointer) for name in names]


def _field(allowed: Allowed, name: str, pointer: str) -> str:
    if name not in allowed.fields or name == GEOMETRY:
        agreed = ", ".join(sorted(allowed.fields))
        raise OutsideAgreement(f"The agreement has no field {name[:60]!r} of {allowed.dataset}; it has {agreed}.", pointer=pointer)
    return name


def _filter(allowed: Allowed, tree: Any) -> None:
    for name in sorted(fields_named(tree)):
        if name != GEOMETRY or GEOMETRY not in allowed.fields:
            _field(allowed, name, "/filter")


def _dimension(allowed: Allowed, of: str, pointer: str) -> None:
    kind, _, level = of.partition(":")
    if not level:
        _field(allowed, of, pointer)
    elif kind == "area":
        _field(allowed, allowed.area or "area", pointer)
    else:
        _field(allowed, allowed.time or "time", pointer)


def _place_and_time(allowed: Allowed, *, bbox: bool, times: bool) -> None:
    if bbox and GEOMETRY not in allowed.fields:
        raise OutsideAgreement("Where rows lie is not agreed, so there is no bbox.", pointer="/bbox")
    if times:
        _field(allowed, allowed.time or "time", "/datetime")


def _coarse(allowed: Allowed, asked: Mapping[str, Any], times: Sequence[Any]) -> None:
    """The rule against differencing, stated at the top of this module."""
    if asked.get("bbox") is not None or asked.get("datetime") is not None:
        raise OutsideAgreement(
            "Where small groups are left out, bbox and datetime do not narrow aggregates; use from and until at whole hours.", pointer="/bbox"
        )
    for time in times:
        moment = datetime.fromisoformat(str(time))
        if moment.minute or moment.second or moment.microsecond:
            raise OutsideAgreement("Where small groups are left out, times are cut at whole hours.", pointer="/from")
    if asked.get("filter") is not None and not _coarse_condition(allowed, asked["filter"]):
        raise OutsideAgreement(
            "Where small groups are left out, filters are field = value or field IN (values), joined by AND, "
            f"over {', '.join(sorted(allowed.coded)) or 'no field'}.",
            pointer="/filter",
        )


def _coarse_condition(allowed: Allowed, tree: Any) -> bool:
    match tree:
        case {"op": str(op), "args": [*parts]} if op.lower() == "and":
            return all(_coarse_condition(allowed, part) for part in parts)
        case {"op": "=" | "in", "args": [{"property": str(name)}, value]}:
            return name in allowed.coded and not fields_named(value)
    return False


def _after(allowed: Allowed, sorts: Sequence[tuple[str, bool]], place: Sequence[str | None] | None) -> Any:
    """The condition that a row comes after a place, nulls last, ties by the key."""
    if place is None:
        return None
    levels = [*sorts, (allowed.key, False)]
    if len(place) != len(levels) or place[-1] is None:
        raise OutsideAgreement("This place is of another order of rows.", pointer="/after")
    condition: Any = None
    for (name, down), told in zip(reversed(levels), reversed(place), strict=True):
        field = {"property": name}
        if told is None:
            here: Any = {"op": "isNull", "args": [field]}
            condition = all_of(here, condition)
            continue
        value = literal(told)
        beyond: Any = {"op": "<" if down else ">", "args": [field, value]}
        options = [beyond, *([] if name == allowed.key else [{"op": "isNull", "args": [field]}])]
        options += [all_of({"op": "=", "args": [field, value]}, condition)] if condition is not None else []
        condition = {"op": "or", "args": options} if len(options) > 1 else beyond
    return condition


def literal(told: str) -> Any:
    """A value of a place as CQL2 JSON. `OutsideAgreement` for what is none."""
    kind, text = told[:1], told[1:]
    try:
        match kind:
            case "i":
                return int(text)
            case "f" | "n":
                return float(text)
            case "t":
                return {"timestamp": datetime.fromisoformat(text).isoformat().replace("+00:00", "Z")}
            case "d":
                return {"date": text}
            case "b":
                return text == "true"
            case "s" | "u":
                return text
    except ValueError:
        pass  # refused below, as a text of an unknown kind is
    raise OutsideAgreement("This is no place of a row.", pointer="/after")


def place_of(kind: str, value: Any) -> str | None:
    """A value of a row as others compare it; `kind` is the field's type, or its format for times."""
    match value:
        case None:
            return None
        case bool():
            return "b" + str(value).lower()
        case int() | float():
            return f"i{value}" if kind == "integer" else f"f{float(value)!r}"
    return {"date-time": "t", "date": "d"}.get(kind, "s") + str(value)
