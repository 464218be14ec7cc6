"""Records: page after page, each with the link to the next."""

from __future__ import annotations

import httpx

from liandong.answers import ARROW, Answer, answer_of, together
from liandong.flows import Ask, Flow, Session, answered
from liandong.questions import Chosen, record_params

PAGE = 10_000
"""Rows asked for in one page."""


def first_page(dataset: str, chosen: Chosen, page: int) -> Ask:
    return Ask(f"/collections/{dataset}/items", params=record_params(chosen, page=page), accept=ARROW)


def one_page(session: Session, ask: Ask) -> Flow[tuple[Answer, Ask | None]]:
    """The rows of a page, and how to ask for the next."""
    response = yield from answered(session, ask)
    following = response.links.get("next", {}).get("url")
    if following is None:
        return answer_of(response.content), None
    here = httpx.URL(session.url).copy_with(raw_path=httpx.URL(following).raw_path)  # the hub may know itself by another name, behind a proxy
    return answer_of(response.content), Ask(str(here), accept=ARROW)


def all_pages(session: Session, ask: Ask, limit: int | None) -> Flow[Answer]:
    """Everything, or the first `limit` rows, as one answer; warns if a source is missing."""
    pages: list[Answer] = []
    taken, following = 0, ask
    while True:
        page, more = yield from one_page(session, following)
        pages.append(page)
        taken += len(page)
        if more is None or (limit is not None and taken >= limit):
            break
        following = more
    answer = together(pages)
    answer.coverage.warn()
    return answer if limit is None else Answer(answer.table.slice(0, limit), answer.coverage, answer.columns, answer.about)
