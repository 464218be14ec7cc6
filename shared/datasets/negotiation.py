"""In which form an answer is given: `f=` or the Accept header (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from shared.errors import NotAcceptable

Form = TypeVar("Form", bound=str)


def choose_form(f: str | None, accept: str, forms: Mapping[str, Form]) -> Form:
    """The form that `f` names, else the best that the Accept header takes. `forms` is by media range, `*/*` included."""
    if f is not None:
        named = next((form for form in forms.values() if form == f), None)
        if named is None:
            raise NotAcceptable(f"There is no form {f[:30]!r}; there are {', '.join(sorted(set(forms.values())))}.", pointer="/f")
        return named
    ranges = sorted(map(_range, filter(str.strip, accept.split(","))), reverse=True)
    for weight, _, media_type in ranges or [(1.0, 0, "*/*")]:
        if weight > 0 and media_type in forms:
            return forms[media_type]
    raise NotAcceptable(f"This comes as {', '.join(name for name in forms if '*' not in name)}.")


def _range(part: str) -> tuple[float, int, str]:
    """Weight, exactness and name of a media range; what is named exactly goes before what is not."""
    media_type, *parameters = [piece.strip().lower() for piece in part.split(";")]
    weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return min(float(weight), 1.0), -media_type.count("*"), media_type
    except ValueError:
        return 0.0, 0, media_type
