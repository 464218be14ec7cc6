"""OAuth 2 on the wire: forms (RFC 6749 appendix B), client authentication (section 2.3.1), errors (section 5.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import Request
from fastapi.responses import JSONResponse

from services.hub.access.domain import Refusal

_LONGEST_FORM = 16 * 1024
_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def refused(refusal: Refusal) -> JSONResponse:
    """A refusal as RFC 6749 section 5.2 wants it."""
    headers = dict(_NOT_KEPT)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="liandong", charset="UTF-8"'
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    return JSONResponse({"error": refusal.error, "error_description": refusal.description}, refusal.status, headers=headers)


def granted(token: str, life_s: int, scopes: frozenset[str]) -> JSONResponse:
    """A successful answer (section 5.1)."""
    body = {"access_token": token, "token_type": "Bearer", "expires_in": life_s, "scope": " ".join(sorted(scopes))}
    return JSONResponse(body, headers=_NOT_KEPT)


async def read_form(request: Request) -> dict[str, str]:
    """The parameters of a form; each at most once (section 3.2), empty ones as if absent."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal("invalid_request", "The body must be a form: application/x-www-form-urlencoded.")
    body = await request.body()
    if len(body) > _LONGEST_FORM:
        raise Refusal("invalid_request", f"The form is longer than {_LONGEST_FORM} bytes.")
    try:
        pairs = (
            parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, encoding="utf-8", errors="strict", max_num_fields=32) if body else []
        )
    except ValueError as error:
        raise Refusal("invalid_request", "The body is not a form of percent-encoded UTF-8.") from error
    names = [name for name, _ in pairs]
    if "resource" in names and names.count("resource") > 1:
        raise Refusal("invalid_target", "A token is for one service: name one resource.")
    if len(set(names)) != len(names):
        raise Refusal("invalid_request", "A parameter occurs more than once.")
    return {name: value for name, value in pairs if value}


def client_credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret, from the Authorization header or from the form, not from both."""
    kind, _, credential = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        client, secret = _from_basic(credential)
        if "client_secret" in form or form.get("client_id", client) != client:
            raise Refusal("invalid_request", "Send the client's credentials in one place only.")
        return client, secret
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    if not client or not secret:
        raise Refusal("invalid_client", "Send client_id and client_secret, in the form or as Basic credentials.", status=401)
    return client, secret


def _from_basic(credential: str) -> tuple[str, str]:
    try:
        client, separator, secret = base64.b64decode(credential.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        client = separator = secret = ""
    if not separator:
        raise Refusal("invalid_client", "The Basic credentials are not base64 of `client_id:client_secret`.", status=401)
    return unquote_plus(client), unquote_plus(secret)


def form_schema(*names: str, required: tuple[str, ...] = (), examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """How a form is described in OpenAPI."""
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(required), "example": dict(examples or {})}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}
