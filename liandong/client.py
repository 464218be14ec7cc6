"""The client that waits: `Client`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import quote

import httpx

from liandong.answers import Answer
from liandong.catalogue import Collection, Looked, collections_of, looked
from liandong.events import Event, Listening
from liandong.flows import Ask, Flow, Pause, Read, Send, Session, Step, answered, asked_json, asked_table, question
from liandong.local import credentials
from liandong.problems import Problem
from liandong.questions import By, Chosen, Frame, Measures, SqlOptions, across_body, aggregate_body, sql_body
from liandong.records import PAGE, all_records, first_page, one_page
from liandong.streams import Batches

Done = TypeVar("Done")


def session_of(url: str | None, client_id: str | None, client_secret: str | None, token: str | Callable[[], str] | None) -> Session:
    """Who asks whom: what is not given comes from LIANDONG_HUB, LIANDONG_TOKEN, LIANDONG_CLIENT_ID and LIANDONG_CLIENT_SECRET."""
    given = os.environ.get
    address = (url or given("LIANDONG_HUB") or "http://127.0.0.1:8000").rstrip("/")
    if client_id is None and token is None:
        token = given("LIANDONG_TOKEN")
        client_id, client_secret = (None, None) if token else (given("LIANDONG_CLIENT_ID"), given("LIANDONG_CLIENT_SECRET"))
    return Session(address, client_id, client_secret, token)


class Client:
    """Asks a hub. Use it in a `with`, or call `close`. `AsyncClient` has the same methods.

    `client_id` and `client_secret` sign in, and again before a token ends; `token` is one that somebody else gives, or a function that gives it.
    What is wrong is raised as a `Problem` (`InvalidQuestion`, `NotAllowed`, `SourcesFailed`, …); an answer in which a source is missing warns
    with `IncompleteAnswer`. Refusals for the moment (429, 503) are waited out as the hub asks. An aggregate or SQL may take `deadline_s` unless
    the question says otherwise by `deadline_ms`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        token: str | Callable[[], str] | None = None,
        deadline_s: float = 30.0,
        timeout_s: float = 60.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._session = session_of(url, client_id, client_secret, token)
        self._session.deadline_s, self._session.timeout_s, self._session.retries = deadline_s, timeout_s, retries
        self._http = httpx.Client(transport=transport, follow_redirects=False, trust_env=not self._session.local)

    @classmethod
    def local(cls, folder: str | Path | None = None, *, client: str = "analyst", deadline_s: float = 30.0) -> Self:
        """A client of the city that `make run` runs on this machine: `Client.local()`."""
        url, client_id, secret = credentials(folder, client)
        return cls(url, client_id=client_id, client_secret=secret, deadline_s=deadline_s)

    def collections(self) -> list[Collection]:
        """The datasets that exist for you, by id."""
        return self._run(collections_of(self._session))

    def schema(self, dataset: str) -> dict[str, Any]:
        """JSON Schema of a dataset's fields, with units, definitions and labels."""
        return self._run(asked_json(self._session, Ask(f"/collections/{quote(dataset)}/schema")))

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
        body = aggregate_body(measures, by, filter, frame)
        return self._run(asked_table(self._session, question(self._session, f"/collections/{quote(dataset)}/aggregate", body)))

    def across(self, parts: Mapping[str, Mapping[str, Any]], by: By, **frame: Unpack[Frame]) -> Answer:
        """Several datasets side by side on the dimensions they share; columns are `part.measure`.

        `across({"fires": {"dataset": "fire.calls", "measures": ["count"]}, "air": {…}}, by=["area:district", "time:day"])`
        """
        return self._run(asked_table(self._session, question(self._session, "/aggregate", across_body(parts, by, frame))))

    def sql(self, sql: str, **options: Unpack[SqlOptions]) -> Answer:
        """Read-only SQL over all datasets: `SELECT … FROM fire.calls JOIN …`. An error names line and column."""
        return self._run(asked_table(self._session, question(self._session, "/sql", sql_body(sql, options))))

    def explain(self, sql: str, **options: Unpack[SqlOptions]) -> dict[str, Any]:
        """What each source would be asked for this SQL, instead of an answer."""
        return self._run(asked_json(self._session, question(self._session, "/sql", sql_body(sql, options, explain=True))))

    def records(self, dataset: str, *, limit: int | None = None, **chosen: Unpack[Chosen]) -> Answer:
        """Rows of all sources as one answer: all of them, or the first `limit`."""
        return self._run(asked_table(self._session, all_records(dataset, chosen, limit)))

    def batches(self, dataset: str, *, limit: int | None = None, **chosen: Unpack[Chosen]) -> Batches:
        """The same as Arrow batches while they arrive, for more rows than memory holds."""
        ask = all_records(dataset, chosen, limit, stream=True)
        return Batches(lambda: self._run(answered(self._session, ask)))

    def pages(self, dataset: str, *, page: int = PAGE, **chosen: Unpack[Chosen]) -> Iterator[Answer]:
        """Rows page by page, each asked for when it is wanted: no repeats, and no row is lost that was there at the first."""
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
