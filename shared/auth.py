"""Who is asking and what they may: bearer tokens (JWT, EdDSA) verified offline, scopes, areas, clearance."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBasic, HTTPBearer

from shared.caller import Caller, Clearance
from shared.errors import Forbidden, Unauthenticated

__all__ = ["AnyCaller", "Caller", "CallerCheck", "Clearance", "caller", "may"]

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
