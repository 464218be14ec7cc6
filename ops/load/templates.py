"""Templates that join several columns to one text: `{business_id}-{date}`."""

from __future__ import annotations

import string
from dataclasses import dataclass


class TemplateError(ValueError):
    """What is wrong with a template."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Literal text, then the column that follows it, if any."""

    text: str
    column: str | None
    made: bool
    """Whether the column is one that the mapping has already made, not the file's."""


def parts_of(template: str) -> list[Piece]:
    """The pieces of a template: `{name}` is a column of the file, `{=name}` one already made. Raises `TemplateError`."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(f"template {template!r}: {error}") from error
    if any(form or conversion or name == "" for _, name, form, conversion in parsed):
        raise TemplateError(f"template {template!r}: write {{column}}, without format or conversion")
    return [Piece(text, name.removeprefix("=") if name else None, bool(name and name.startswith("="))) for text, name, _, _ in parsed]
