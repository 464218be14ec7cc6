"""The client that waits: `Client`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from liandong.answers import Answer
from liandong.catalogue import Collection, Looked, collections_of, looked
from liandong.events import Event, Listening
from liandong.flows import Ask, Flow, Pause, Read, Send, Session, Step, asked_json, asked_table, question
from liandong.problems import Problem
from liandong.questions import By, Chosen, Frame, Measures, across_body, aggregate_body
from liandong.records import PAGE, all_pages, first_page, one_page

Done = TypeVar("Done")


def session_of(
    url: str | None, client_id: str | None, client_secret: str | None, token: str | Callable[[], str] | None, timeout_s: float, retries: int
) -> Session:
    """Who asks whom: what is not given comes from LIANDONG_HUB, LIANDONG_TOKEN, LIANDONG_CLIENT_ID and LIANDONG_CLIENT_SECRET."""
    given = os.environ.get
    address = (url or given("LIANDONG_HUB") or "http://127.0.0.1:8000").rstrip("/")
    if client_id is None and token is None:
        token = given("LIANDONG_TOKEN")
        client_id, client_secret = (None, None) if token else (given("LIANDONG_CLIENT_ID"), given("LIANDONG_CLIENT_SECRET"))
    return Session(address, client_id, client_secret, token, timeout_s, retries)


class Client:
    """Asks a hub. Use it in a `with`, or call `close`. `AsyncClient` has the same methods.

    `client_id` and `client_secret` sign in, and again before a token ends; `token` is one that somebody else gives, or a function that gives it.
    What is wrong is raised as a `Problem` (`InvalidQuestion`, `NotAllowed`, `SourcesFailed`, …); an answer in which a source is missing warns
    with `IncompleteAnswer`. Refusals for the moment (429, 503) are waited out as the hub asks.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        token: str | Callable[[], str] | None = None,
        timeout_s: float = 60.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._session = session_of(url, client_id, client_secret, token, timeout_s, retries)
        self._http = httpx.Client(transport=transport, follow_redirects=False)

    def collections(self) -> list[Collection]:
        """The datasets that exist for you, by id."""
        return self._run(collections_of(self._session))

    def schema(self, dataset: str) -> dict[str, Any]:
        """JSON Schema of a dataset's fields, with units, definitions and labels."""
        return self._run(asked_json(self._session, Ask(f"/collections/{dataset}/schema")))  # type: ignore[no-any-return]

    def aggregate(
        self,
        dataset: str,
        measures: Measures = ("count",),
        by: By = (),
        *,
        filter: str | Mapping[str, Any] | None = None,  # noqa: A002  # the contract's word
        **frame: Unpack[Frame],
    ) -> Answer:
        """Measures per group over all sources: `aggregate("fire.calls", {"calls": "count"}, by=["area:district", "time:hour"])`."""
        return self._run(asked_table(self._session, question(f"/collections/{dataset}/aggregate", aggregate_body(measures, by, filter, frame))))

    def across(self, parts: Mapping[str, Mapping[str, Any]], by: By, **frame: Unpack[Frame]) -> Answer:
        """Several datasets side by side on the dimensions they share; columns are `part.measure`.

        `across({"fires": {"dataset": "fire.calls", "measures": ["count"]}, "air": {…}}, by=["area:district", "time:day"])`
        """
        return self._run(asked_table(self._session, question("/aggregate", across_body(parts, by, frame))))

    def sql(self, sql: str, *, limit: int | None = None, **options: Any) -> Answer:
        """Read-only SQL over all datasets: `SELECT … FROM fire.calls JOIN …`. An error names line and column."""
        body = {"sql": sql} | ({"limit": limit} if limit is not None else {}) | options
        return self._run(asked_table(self._session, question("/sql", body)))

    def records(self, dataset: str, *, limit: int | None = None, page: int = PAGE, **chosen: Unpack[Chosen]) -> Answer:
        """Rows of all sources in one order, page after page, as one answer: all of them, or the first `limit`."""
        ask = first_page(dataset, chosen, min(page, limit) if limit is not None else page)
        return self._run(all_pages(self._session, ask, limit))

    def pages(self, dataset: str, *, page: int = PAGE, **chosen: Unpack[Chosen]) -> Iterator[Answer]:
        """The same page by page, each asked for when it is wanted."""
        following: Ask | None = first_page(dataset, chosen, page)
        while following is not None:
            answer, following = self._run(one_page(self._session, following))
            yield answer

    def lookup(self, lookup: str, **params: Any) -> Looked:
        """A question of a service's own: `lookup("fire.preparation-card", lon=112.9, lat=27.8)`."""
        return self._run(looked(self._session, lookup, params))

    def events(self, *, after: str | int | None = None, **wanted: str | Sequence[str]) -> Iterator[Event]:
        """Events as they happen, without gap or repeat: `events(type="fire.*", area="4303")`. It goes on until you stop.

        `after` begins behind a position in the log (`Event.position`), 0 at its beginning; otherwise now.
        """
        listening = Listening(wanted, None if after is None else str(after))
        while True:
            failure: Exception | None = None
            try:
                response = self._run(listening.open(self._session))
                try:
                    for line in response.iter_lines():
                        if (event := listening.line(line)) is not None:
                            yield event
                finally:
                    response.close()
            except (httpx.RequestError, Problem) as error:
                failure = error
            listening.broke(failure, self._session)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self, flow: Flow[Done]) -> Done:
        try:
            step = next(flow)
            while True:
                try:
                    result = self._do(step)
                except httpx.RequestError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as done:
            found: Done = done.value
            return found

    def _do(self, step: Step) -> httpx.Response | None:
        match step:
            case Send(request, stream):
                return self._http.send(request, stream=stream)
            case Read(response):
                response.read()
            case Pause(seconds):
                time.sleep(seconds)
        return None
