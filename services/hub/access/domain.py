"""Who may have which token: pure rules on plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.caller import Caller, Clearance

TOKEN_LIFE_S = 15 * 60
"""Longest life of an access token."""
SESSION_LIFE_S = 12 * 3600
"""How long after a sign-in its tokens may be renewed: a long shift."""
HOP_LIFE_S = 60
"""Life of a token that the hub mints for one call on someone's behalf."""
FREE_FAILURES = 5
LONGEST_LOCK_S = 15 * 60
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256

SCOPE = re.compile(r"[a-z][a-z0-9]*:[a-z][a-z0-9_-]*")
CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
EVERYWHERE_READ = frozenset({"hub:query", "hub:audit"})
"""Scopes of the hub that services honour too: reading what is shared, and seeing what was withheld."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a subject may ask for at most."""

    scopes: frozenset[str]
    areas: tuple[str, ...]
    clearance: Clearance
    purposes: tuple[str, ...]
    audiences: tuple[str, ...]
    """Service names it may have tokens for (`430300/env`), or `*`."""


class Refusal(Exception):
    """A request for a token that is not granted, by RFC 6749 section 5.2 and RFC 8707 section 2."""

    def __init__(self, error: str, description: str, *, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(description)
        self.error, self.description, self.status, self.retry_after_s = error, description, status, retry_after_s


def scopes_at(audience: str, scopes: Iterable[str]) -> frozenset[str]:
    """Those scopes that mean anything at a service; the hub passes on what others understand, so all mean something there."""
    service = audience.rpartition("/")[2]
    if service == "hub":
        return frozenset(scopes)
    return frozenset(scope for scope in scopes if scope.partition(":")[0] == service or scope in EVERYWHERE_READ)


def audience_of(resource: str | None, city: str, grant: Grant) -> str:
    """The one service that a token is to be for; the hub unless `resource` names another of this city."""
    audience = resource or f"{city}/hub"
    if not re.fullmatch(rf"{re.escape(city)}/[a-z][a-z0-9]{{0,31}}", audience):
        raise Refusal("invalid_target", f"resource must name a service of this city, such as {city}/hub or {city}/env.")
    if "*" not in grant.audiences and audience not in grant.audiences:
        raise Refusal("invalid_target", f"No token for {audience} is granted here.")
    return audience


def narrowed(grant: Grant, audience: str, scope: str | None) -> frozenset[str]:
    """The scopes of the token: what is granted and means anything at the audience, or the part that was asked for."""
    granted = scopes_at(audience, grant.scopes)
    if scope is None:
        if not granted:
            raise Refusal("invalid_scope", f"Nothing is granted at {audience}.")
        return granted
    asked = frozenset(scope.split())
    if not asked or not asked <= granted:
        raise Refusal("invalid_scope", f"At {audience} is granted: {' '.join(sorted(granted)) or 'nothing'}.")
    return asked


def purpose_of(grant: Grant, purpose: str | None) -> str:
    """The one purpose of the token: the first granted one unless another granted one is named."""
    if purpose is None and grant.purposes:
        return grant.purposes[0]
    if purpose is None or purpose not in grant.purposes:
        raise Refusal("invalid_request", f"purpose must be one of: {', '.join(grant.purposes) or 'none is granted'}.")
    return purpose


def claims_of(subject: str, grant: Grant, *, audience: str, scopes: frozenset[str], purpose: str) -> dict[str, Any]:
    """The claims about rights of a token for one service."""
    return _claims(subject, audience, scopes, grant.areas, grant.clearance, purpose)


def hop_claims(asker: Caller, audience: str, actor: str) -> dict[str, Any]:
    """The claims of a token by which the hub asks one service on someone's behalf (RFC 8693, section 4.1).

    The asker's own rights to read, no more: whatever service offers `fire.calls`, `fire:read` reads it there.
    """
    reading = [scope for scope in asker.scopes if scope.endswith(":read") or scope in EVERYWHERE_READ]
    return {**_claims(asker.subject, audience, reading, asker.areas, asker.clearance, asker.purpose), "act": _acting(actor, asker)}


def _acting(actor: str, asker: Caller) -> dict[str, Any]:
    """Who acts now, and within it those through whom the question came, the latest first (RFC 8693, section 4.1)."""
    chain: dict[str, Any] = {}
    for name in reversed((actor, *((asker.actor,) if asker.actor else ()), *asker.earlier)):
        chain = {"sub": name, **({"act": chain} if chain else {})}
    return chain


def _claims(subject: str, audience: str, scopes: Iterable[str], areas: Iterable[str], clearance: Clearance, purpose: str) -> dict[str, Any]:
    return {
        "sub": subject,
        "aud": audience,
        "scope": " ".join(sorted(scopes)),
        "areas": list(areas),
        "clearance": {"grade": clearance.grade.value, "personal": clearance.personal.value},
        "purpose": purpose,
    }


def lock_s(failures: int) -> int:
    """How long sign-in stays shut after so many wrong passwords in a row: not at all, then 2 s doubling up to 15 minutes."""
    return 0 if failures < FREE_FAILURES else min(LONGEST_LOCK_S, 2 ** min(failures - FREE_FAILURES + 1, 20))


def password_fault(password: str, name: str) -> str | None:
    """Why a password may not be used, if it may not (NIST SP 800-63B: length, not composition)."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."
    if len(set(password)) < 5 or name.lower() in password.lower():
        return "A password has at least five different characters and does not contain the name."
    return None
