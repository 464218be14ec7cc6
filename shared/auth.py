"""Who is asking and what they may: bearer tokens (JWT, EdDSA) verified offline, scopes, areas, clearance."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBasic, HTTPBearer

from shared.errors import Forbidden, Unauthenticated
from shared.vocabulary import DataGrade, Personal


@dataclass(frozen=True, slots=True)
class Clearance:
    """The highest grade and the most personal data that a caller may see."""

    grade: DataGrade = DataGrade.GENERAL
    personal: Personal = Personal.NONE

    def covers(self, grade: DataGrade, personal: Personal) -> bool:
        return grade.rank <= self.grade.rank and personal.rank <= self.personal.rank


@dataclass(frozen=True, slots=True)
class Caller:
    """The claims of a verified token."""

    subject: str
    audience: str
    scopes: frozenset[str]
    areas: tuple[str, ...] = ()
    clearance: Clearance = field(default_factory=Clearance)
    purpose: str = "operations"
    token_id: str = ""
    issued: int = 0
    expires: int = 0
    actor: str | None = None
    """Who acts on the subject's behalf (RFC 8693 `act`): `430300/hub` on a hop made by the hub."""

    @property
    def everywhere(self) -> bool:
        return "*" in self.areas

    def sees_area(self, code: str | None) -> bool:
        """Whether a row in this area exists for the caller: prefixes cover what lies below them."""
        return self.everywhere or (code is not None and any(code.startswith(prefix) for prefix in self.areas))

    def has(self, *scopes: str) -> bool:
        """Whether the token carries one of these scopes."""
        return not self.scopes.isdisjoint(scopes)

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Caller:
        """The caller of verified claims; `ValueError`, `TypeError` or `KeyError` if they are not of the contract's form."""
        clearance = claims.get("clearance") or {}
        if not (isinstance(claims["sub"], str) and isinstance(claims.get("areas", []), list) and isinstance(claims.get("jti", ""), str)):
            raise TypeError("sub and jti are texts, areas is a list")
        return cls(
            subject=claims["sub"],
            audience=claims["aud"],
            scopes=frozenset(claims.get("scope", "").split()),
            areas=tuple(sorted(str(area) for area in claims.get("areas", ()))),
            clearance=Clearance(DataGrade(clearance.get("grade", "general")), Personal(clearance.get("personal", "none"))),
            purpose=claims.get("purpose", "operations"),
            token_id=claims.get("jti", ""),
            issued=int(claims["iat"]),
            expires=int(claims["exp"]),
            actor=(claims.get("act") or {}).get("sub"),
        )


_bearer = HTTPBearer(auto_error=False, description="Access token for this service, from the hub's POST /oauth/token")
_basic = HTTPBasic(auto_error=False, description="Client credentials; for tools that cannot fetch a token (QGIS, GDAL)")


async def caller(request: Request, _bearer: Annotated[object, Depends(_bearer)] = None) -> Caller:
    """The verified caller, or 401. Basic credentials are exchanged for a token at the hub."""
    kind, _, credential = request.headers.get("authorization", "").partition(" ")
    tokens = request.app.state.runtime.tokens
    if kind.lower() == "bearer" and credential:
        found: Caller = await tokens.verify(credential.strip())
    elif kind.lower() == "basic" and credential:
        found = await tokens.exchange(*_basic_pair(credential))
    else:
        raise Unauthenticated("This route needs a bearer token. Ask the hub's POST /oauth/token for one.")
    request.state.caller = found
    return found


def _basic_pair(credential: str) -> tuple[str, str]:
    try:
        client, separator, secret = base64.b64decode(credential, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        separator = ""
        client = secret = ""
    if not separator:
        raise Unauthenticated("The Basic credentials are not base64 of `client_id:client_secret`.")
    return client, secret


def may(*scopes: str) -> Any:
    """A dependency that admits callers with any of these scopes: `Annotated[Caller, may("food:write")]`."""

    async def check(found: Annotated[Caller, Depends(caller)]) -> Caller:
        if not found.has(*scopes):
            raise Forbidden(f"This needs the scope {' or '.join(scopes)}; the token carries {' '.join(sorted(found.scopes)) or 'none'}.")
        return found

    return Depends(check)


AnyCaller = Annotated[Caller, Depends(caller)]
CallerCheck = Callable[[Caller], None]
