"""What was asked of one dataset, cut to what may be kept, and the fields it touched."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from services.hub.governance.domain import REDACTED, named_in, open_fields, redacted
from services.hub.governance.noting import Asking, Part
from shared.datasets.declaration import Dataset
from shared.datasets.filter_bounds import read_json
from shared.datasets.filter_text import read_text
from shared.datasets.labels import visible_fields
from shared.datasets.record_query import PARAMETERS
from shared.errors import Problem

KEPT_PARAMETERS = (
    "bbox",
    "datetime",
    "from",
    "known_at",
    "limit",
    "max_age",
    "properties",
    "resultType",
    "sortby",
    "sources",
    "stream",
    "strict",
    "until",
    "tz",
)
"""Parameters that choose no person."""
WITHOUT_PARAMETERS = ("aggregate", "overview", "quality", "sql")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,62}")
_DIMENSION = re.compile(r"[A-Za-z_]\w{0,62}|(area|time):[a-z]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Words:
    """What of a question may be kept as it was written: names that a dataset declares, and values of its open fields."""

    names: frozenset[str]
    open: frozenset[str]
    area: str | None
    time: str | None

    @classmethod
    def of(cls, declared: Dataset | None) -> Words:
        if declared is None:
            return cls(frozenset(), frozenset(), None, None)
        names = frozenset({"geometry", "id", *(field.name for field in declared.fields)})
        return cls(names, open_fields(declared), declared.area, declared.time)

    def name(self, given: str) -> str:
        """A field as it was named, perhaps with the sign of its order."""
        return given if given.strip().lstrip("+-") in self.names else REDACTED

    def dimension(self, given: str) -> str | None:
        """The field by which is grouped; nothing for what is no dimension."""
        kind, colon, _ = given.partition(":")
        field = {"area": self.area, "time": self.time}.get(kind) if colon else given
        return field if field in self.names and _DIMENSION.fullmatch(given) else None

    def cut(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Without places and times where these say something of a person."""
        of = {"bbox": "geometry", **dict.fromkeys(("datetime", "from", "until"), self.time)}
        return {name: REDACTED if name in of and of[name] not in self.open else value for name, value in asked.items()}


def asked_of(asking: Asking, part: Part) -> tuple[dict[str, Any], set[str]]:
    """What was asked of one dataset, and the fields it touched."""
    words = Words.of(part.declared)
    if asking.kind == "lookup":
        return {"parameters": sorted({name for name, _ in asking.params if _NAME.fullmatch(name)})}, set()
    if part.questions or asking.kind in WITHOUT_PARAMETERS:
        asked = [_question(question, words) for question in part.questions]
        fields = {name for _, named in asked for name in named} | (_visible(asking, part) if part.questions and part.fields is None else part.fields or set())
        told: dict[str, Any] = asked[0][0] if len(asked) == 1 else {"questions": [question for question, _ in asked]} if asked else {}
        if asking.statement:
            from services.hub.governance.statements import shape_of  # needs the whole of SQL

            told["statement"], named = shape_of(asking.statement, asking.names)
            fields |= set() if part.questions else named & words.names
        return told, fields
    return _parameters(asking, part, words)


def _parameters(asking: Asking, part: Part, words: Words) -> tuple[dict[str, Any], set[str]]:
    """Records and items, as their parameters ask for them."""
    given = dict(asking.params)
    asked: dict[str, Any] = words.cut({name: given[name] for name in KEPT_PARAMETERS if name in given})
    all_fields = _visible(asking, part)
    fields = all_fields & set(given["properties"].split(",")) if "properties" in given else set(all_fields)
    fields |= {name.strip().lstrip("+-") for name in given.get("sortby", "").split(",")} & all_fields
    for name in ("properties", "sortby"):
        if name in asked:
            asked[name] = ",".join(words.name(part) for part in asked[name].split(","))
    if asking.item is not None:
        asked["item"] = asking.item if "id" in words.open else REDACTED
    if "filter" in given:
        asked["filter"], named = _condition(given["filter"], given.get("filter-lang", "cql2-text"), words.open, words.names)
        fields |= named
    for name, value in given.items():
        if name not in PARAMETERS and name not in KEPT_PARAMETERS:
            asked.setdefault("equal", {})[words.name(name)] = value if name in words.open else REDACTED
            fields |= {name} & all_fields
    return asked, fields


def _question(question: Mapping[str, Any], words: Words) -> tuple[dict[str, Any], set[str]]:
    """An aggregate or a scan."""
    apart = ("filter", "having", "deadline_ms")
    asked = words.cut({name: _plain(value) for name, value in question.items() if name not in apart and value not in (None, [], {}, False)})
    columns: dict[str, str | None] = {}
    for column, spec in asked.get("measures", {}).items():
        columns[column] = spec.get("field")
        asked["measures"][column] = spec | ({"field": words.name(spec["field"])} if spec.get("field") else {})
    for column, dimension in asked.get("by", {}).items():
        columns[column] = words.dimension(str(dimension)) or ""  # a dimension that nobody knows may be of anything
        asked["by"][column] = dimension if columns[column] else REDACTED
    fields = {name for name in columns.values() if name in words.names}
    if "sortby" in asked:
        asked["sortby"] = [name if name.lstrip("+-") in columns else REDACTED for name in asked["sortby"]]
    if question.get("having") is not None:
        known = {column for column, of in columns.items() if of is None or of in words.open}
        asked["having"], _ = _condition(question["having"], "cql2-text", known, columns)
    if question.get("filter") is not None:
        asked["filter"], named = _condition(question["filter"], "cql2-text", words.open, words.names)
        fields |= named
    return asked, {str(name) for name in fields}


def _condition(given: Any, language: str, known: Collection[str], names: Collection[str]) -> tuple[Any, set[str]]:
    """The condition without the values of personal fields. What cannot be read is not kept: it may hold anything."""
    try:
        tree = read_text(given, pointer="") if isinstance(given, str) and language == "cql2-text" else read_json(given, pointer="")
    except Problem:
        return REDACTED, set()
    return redacted(tree, known, names), {name for name in named_in(tree) if name in names}


def _visible(asking: Asking, part: Part) -> set[str]:
    return set(visible_fields(part.declared, asking.caller)) if part.declared and asking.caller else set()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return value
