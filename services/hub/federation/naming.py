"""The sources that a question names: peer cities are asked only then, and then nobody else is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import Request
from pydantic import Field, TypeAdapter, ValidationError

from services.hub.catalog.schemas import SourceName
from shared.errors import InvalidRequest

OURS = ("strict", "deadline_ms", "sources")
"""Parameters of records at the hub that no source knows."""
MOST_NAMED = 50
Named = Annotated[list[SourceName], Field(min_length=1, max_length=MOST_NAMED, description="Ask these sources alone; peer cities are asked only if named")]
_NAMES: TypeAdapter[list[str]] = TypeAdapter(Named)
Parameter = Annotated[str | None, Field(description="Ask these sources alone, `430300/fire,430100/hub`; peer cities are asked only if named")]


def named_in(request: Request) -> frozenset[str] | None:
    """The sources in the query parameter `sources`, separated by commas or repeated; nothing if it is not there."""
    given = request.query_params.getlist("sources")
    return read_names(name.strip() for text in given for name in text.split(",")) if given else None


def read_names(names: Iterable[str]) -> frozenset[str]:
    try:
        return frozenset(_NAMES.validate_python(list(names)))
    except ValidationError as error:
        raise InvalidRequest(f"sources are 1 to {MOST_NAMED} names such as 430300/fire, separated by commas.", pointer="/sources") from error


def without_names(parameters: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in parameters if name != "sources"]
