"""What is sent, in which order, and when again: written once, for the client that waits and the one that does not.

A flow is a generator: it yields what is to be done (send, read on, pause) and is given what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, TypeVar

import httpx

from liandong.answers import ARROW, Answer, answer_of
from liandong.coverage import warn
from liandong.problems import BrokenAnswer, InvalidQuestion, NotSignedIn, Unavailable, problem_of

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the answer comes whole, or open for reading if it is a `stream`."""

    request: httpx.Request
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Read the rest of an open answer, and close it."""

    response: httpx.Response


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


Step = Send | Read | Pause
Flow = Generator[Step, Any, Done]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it is before anybody has signed in for it. All of them only read, so that each may be sent again."""

    path: str
    method: str = "GET"
    params: Any = None
    json: Any = None
    accept: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    stream: bool = False


@dataclass(slots=True)
class Session:
    """Who asks whom, and how patiently."""

    url: str
    client_id: str | None = None
    client_secret: str | None = None
    token: str | Callable[[], str] | None = None
    timeout_s: float = 60.0
    retries: int = 3
    deadline_s: float = 30.0
    """How long an aggregate or SQL may take if the question does not say it: an analyst would rather wait than miss a source."""
    longest_wait_s: float = 30.0
    """A longer pause than that, though asked for by `Retry-After`, is left to the caller."""
    clock: Callable[[], float] = time.monotonic
    _signed: str | None = None
    _until: float = 0.0
    remedies: dict[str, str] = field(default_factory=dict)

    def request(self, ask: Ask, token: str) -> httpx.Request:
        url = ask.path if ask.path.startswith(("http://", "https://")) else f"{self.url}{ask.path}"
        headers = {"Accept": ask.accept, "User-Agent": "liandong-client", **ask.headers}
        if token and url.startswith(f"{self.url}/"):  # a link that leads elsewhere is not told who we are
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Request(ask.method, url, params=ask.params, json=ask.json, headers=headers, extensions=self.patience(ask.timeout_s))

    def patience(self, timeout_s: float | None = None) -> dict[str, Any]:
        return {"timeout": httpx.Timeout(timeout_s or self.timeout_s, connect=min(10.0, self.timeout_s)).as_dict()}

    @property
    def local(self) -> bool:
        """Whether the hub is on this machine: no proxy leads there."""
        return httpx.URL(self.url).host in ("127.0.0.1", "localhost", "::1")

    @property
    def renewable(self) -> bool:
        return self.client_id is not None

    def forget_token(self) -> None:
        self._until = 0.0

    def signed_in(self) -> Flow[str]:
        """A token that still lives: the one given, or one for the client's credentials."""
        if self.token is not None:
            return self.token() if callable(self.token) else self.token
        if self.client_id is None:
            return ""
        if self._signed is None or self.clock() >= self._until:
            form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret or ""}
            request = httpx.Request("POST", f"{self.url}/oauth/token", data=form, extensions=self.patience())
            granted = json_of((yield from insisting(self, lambda: request)))
            if not isinstance(granted.get("access_token"), str):
                raise NotSignedIn("The hub's answer holds no token.", body=granted)
            life_s = float(granted.get("expires_in", 60))
            self._signed, self._until = granted["access_token"], self.clock() + life_s - min(60.0, life_s / 5)
        return self._signed


def answered(session: Session, ask: Ask) -> Flow[httpx.Response]:
    """The answer to a request, signed in, asked again where the hub says so; raises a `Problem` for what is no answer."""
    token = yield from session.signed_in()
    try:
        return (yield from insisting(session, lambda: session.request(ask, token), stream=ask.stream))
    except NotSignedIn:
        if not session.renewable:
            raise
    session.forget_token()  # revoked or ended early: once more with a new one
    token = yield from session.signed_in()
    return (yield from insisting(session, lambda: session.request(ask, token), stream=ask.stream))


def insisting(session: Session, make: Callable[[], httpx.Request], *, stream: bool = False) -> Flow[httpx.Response]:
    """Send, and send again after 429 and 503 as `Retry-After` says, or if nobody could be reached at all."""
    for attempt in count():
        request, last = make(), attempt >= session.retries
        where = request.url.copy_with(query=None)
        try:
            response: httpx.Response = yield Send(request, stream)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent
            if last:
                raise Unavailable(f"{where} does not answer: {error}") from error
            yield Pause(0.2 * 2**attempt)
            continue
        except httpx.TimeoutException as error:
            raise Unavailable(f"{where} gave no answer in time.") from error
        except httpx.RequestError as error:
            raise BrokenAnswer(f"The connection to {where} broke before the answer was whole: {error}") from error
        if response.is_success:
            return response
        if stream:
            yield Read(response)
        wait = retry_after(response) if response.status_code in (429, 503) else None
        if last or wait is None or wait > session.longest_wait_s:
            raise (yield from refusal(session, response))
        yield Pause(wait)
    raise AssertionError("counting ends nowhere")


def refusal(session: Session, response: httpx.Response) -> Flow[Exception]:
    """The exception that an answer stands for, with what the hub says about its kind."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    kind = str(body.get("type", ""))
    if kind.startswith("/problems/") and kind not in session.remedies:
        session.remedies[kind] = yield from _remedy(session, kind)
    return problem_of(response.status_code, body, session.remedies.get(kind, ""))


def _remedy(session: Session, kind: str) -> Flow[str]:
    try:
        explained: httpx.Response = yield Send(httpx.Request("GET", f"{session.url}{kind}", extensions=session.patience(5.0)))
        return str(explained.json()["remedy"]["en"]) if explained.is_success else ""
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""  # the problem itself is what matters


def retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from either form of `Retry-After` (RFC 9110, section 10.2.3)."""
    said = response.headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise BrokenAnswer(f"The hub's answer is no JSON: {error}", status=response.status_code) from error


def asked_json(session: Session, ask: Ask) -> Flow[Any]:
    return json_of((yield from answered(session, ask)))


def asked_table(session: Session, ask: Ask) -> Flow[Answer]:
    """A finished answer; warns if some source is missing in it, or rows that nobody asked to leave out."""
    response: httpx.Response = yield from answered(session, ask)
    if response.headers.get("content-type", "").startswith("application/json"):
        raise InvalidQuestion("The hub explained instead of answering: use explain().")
    answer = answer_of(response.content)
    answer.coverage.warn()
    if answer.truncated and "limit" not in (ask.json or {}):
        warn(f"Only the first {len(answer):,} rows were answered; give a limit for more.")
    return answer


def question(session: Session, path: str, body: Mapping[str, Any]) -> Ask:
    """A question that is sent as JSON and answered as a table."""
    body = {"deadline_ms": int(session.deadline_s * 1000), **body}
    return Ask(path, "POST", json=body, accept=ARROW, timeout_s=patience_for(body["deadline_ms"]))


def patience_for(deadline_ms: int | None) -> float | None:
    """How long to wait for what may take so long; the client's own patience if it says nothing."""
    return deadline_ms / 1000 + 10 if deadline_ms else None
