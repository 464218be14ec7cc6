"""Questions of the command line to the hub: tokens, then anything that a token opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


class Refused(Exception):
    """The hub's answer was a problem, or none at all."""

    def __init__(self, message: str, status: int | None = None, body: Any = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; None if there was no answer."""
        self.body = body
        """The problem as it came, where it was JSON: of a question that nobody answered, it holds the coverage."""

    @property
    def passing(self) -> bool:
        """Whether the same question may be answered a moment later: nobody was there, or not yet."""
        return isinstance(self, NoAnswer) or self.status in (502, 503, 504)


class NoAnswer(Refused):
    """Nobody answered at the address."""


def get_token(city: dict[str, Any], client: str, resource: str | None = None, scope: str | None = None) -> dict[str, Any]:
    """An access token by client credentials (RFC 6749 section 4.4, RFC 8707 `resource`)."""
    known = city["clients"].get(client)
    if known is None:
        raise Refused(f"There is no client {client!r}. Known: {', '.join(city['clients'])}.")
    form = {"grant_type": "client_credentials", "client_id": known["id"], "client_secret": known["secret"]}
    form |= {name: value for name, value in (("resource", resource), ("scope", scope)) if value}
    answer: dict[str, Any] = call("POST", f"{city['services']['hub']['url']}/oauth/token", data=form)
    return answer


def call(method: str, url: str, *, token: str | None = None, timeout_s: float = 60, client: httpx.Client | None = None, **request: Any) -> Any:
    """One request, by a client if many follow; the JSON answer, or `Refused` with what the problem says."""
    import httpx  # not while `liandong up` runs for days without a question

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        if client is None:
            answer = httpx.request(method, url, headers=headers, timeout=timeout_s, trust_env=False, **request)
        else:
            answer = client.request(method, url, headers=headers, timeout=timeout_s, **request)
    except httpx.HTTPError as error:
        raise NoAnswer(f"{url} does not answer: {error}") from error
    if answer.is_success:
        return answer.json()
    try:
        body = answer.json()
    except ValueError:
        raise Refused(f"{answer.status_code} {url}: {answer.text[:500]}", answer.status_code) from None
    why = body.get("detail") or body.get("error_description") or body.get("title") or body
    raise Refused(f"{answer.status_code} {url}: {why}", answer.status_code, body)
