"""Records: all in one streamed answer, or page after page, each with the link to the next."""

from __future__ import annotations

from urllib.parse import quote

import httpx

from liandong.answers import ARROW, Answer, answer_of
from liandong.flows import Ask, Flow, Session, answered, patience_for
from liandong.questions import Chosen, record_params

PAGE = 10_000
"""Rows asked for in one page."""


def all_records(dataset: str, chosen: Chosen, limit: int | None, *, stream: bool = False) -> Ask:
    """Every row in one answer, or the first `limit`."""
    params = [*record_params(chosen, most=limit), ("stream", "true")]
    return Ask(_items(dataset), params=params, accept=ARROW, timeout_s=patience_for(chosen.get("deadline_ms")), stream=stream)


def first_page(dataset: str, chosen: Chosen, page: int) -> Ask:
    return Ask(_items(dataset), params=record_params(chosen, most=page), accept=ARROW, timeout_s=patience_for(chosen.get("deadline_ms")))


def one_page(session: Session, ask: Ask) -> Flow[tuple[Answer, Ask | None]]:
    """The rows of a page, and how to ask for the next."""
    response = yield from answered(session, ask)
    following = response.links.get("next", {}).get("url")
    if following is None:
        return answer_of(response.content), None
    here = httpx.URL(session.url).copy_with(raw_path=httpx.URL(following).raw_path)  # the hub may know itself by another name, behind a proxy
    return answer_of(response.content), Ask(str(here), accept=ARROW, timeout_s=ask.timeout_s)


def _items(dataset: str) -> str:
    return f"/collections/{quote(dataset)}/items"
