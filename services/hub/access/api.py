"""Tokens by OAuth 2: client credentials, the key set, metadata, revocation."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.access import oauth
from services.hub.access.actions import authenticate, issue, revoke_subject, revoke_token
from services.hub.access.domain import TOKEN_LIFE_S, Refusal
from services.hub.access.issuer import revocations
from services.hub.access.schemas import Revocations, TokenOut
from services.hub.state import Hub, HubState
from shared.auth import Caller, caller
from shared.database import Session
from shared.errors import Unauthenticated
from shared.service import Runtime
from shared.tokens import ALGORITHM, MAX_TOKEN_LENGTH, hash_token_id

router = APIRouter(tags=["access"])
_FRESH_S = 10
"""How long others may keep the key set and the revocations."""
_TOKEN_FORM = oauth.form_schema(
    "grant_type",
    "client_id",
    "client_secret",
    "resource",
    "scope",
    "purpose",
    required=("grant_type",),
    examples={"grant_type": "client_credentials", "client_id": "env-system", "client_secret": "…", "resource": "430300/env"},
)
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}}}
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
    for status, text in ((400, "Refused (RFC 6749, section 5.2)"), (401, "Unknown client or wrong secret"), (429, "Too many failures in this client's name"))
}


@router.post("/oauth/token", response_model=TokenOut, openapi_extra=_TOKEN_FORM, responses=_REFUSED, summary="An access token for client credentials")
async def token(request: Request, session: Session, hub: HubState) -> Response:
    """`grant_type=client_credentials` (RFC 6749, section 4.4). `resource` names the one service the token is for (RFC 8707), the hub
    by default; `scope` narrows what is granted; `purpose` chooses among the client's purposes."""
    try:
        form = await oauth.read_form(request)
        if (grant_type := form.get("grant_type")) != "client_credentials":
            raise _no_grant(grant_type)
        client = await authenticate(session, hub, *oauth.client_credentials(request, form))
        return issue(hub, client.subject, client.grant, form)
    except Refusal as refusal:
        return oauth.refused(refusal)


def _no_grant(grant_type: str | None) -> Refusal:
    if grant_type is None:
        return Refusal("invalid_request", "grant_type is missing; client_credentials is the one offered.")
    return Refusal("unsupported_grant_type", "Only grant_type=client_credentials is offered.")


@router.post(
    "/oauth/revoke",
    openapi_extra=oauth.form_schema("token", "token_type_hint", "subject", "client_id", "client_secret", examples={"token": "eyJ…"}),
    responses=_REFUSED,
    summary="Refuse a token, or all tokens of a subject, from now on",
)
async def revoke(request: Request, hub: HubState) -> Response:
    """By RFC 7009: `token` is revoked for the client or person it was issued to, or for `hub:admin`; a token that is not ours, or not
    yours, answers 200 as well. `subject` (`client:env-system`, `user:li.na`) needs `hub:admin`. Services refuse within a minute."""
    runtime: Runtime = request.app.state.runtime
    try:
        form = await oauth.read_form(request)
        async with runtime.sessions.begin() as session:
            await _revoke(session, hub, await _asker(request, session, hub, form), form)
    except Refusal as refusal:
        return oauth.refused(refusal)
    await runtime.tokens.refresh()
    return JSONResponse({})


async def _asker(request: Request, session: AsyncSession, hub: Hub, form: dict[str, str]) -> tuple[str, bool]:
    """Who revokes, and whether with an administrator's right."""
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        try:
            found: Caller = await caller(request)
        except Unauthenticated as error:
            raise Refusal("invalid_client", error.detail, status=401) from error
        return found.subject, found.has("hub:admin")
    client = await authenticate(session, hub, *oauth.client_credentials(request, form))
    return client.subject, "hub:admin" in client.scopes


async def _revoke(session: AsyncSession, hub: Hub, asker: tuple[str, bool], form: dict[str, str]) -> None:
    by, admin = asker
    if subject := form.get("subject"):
        if not admin:
            raise Refusal("unauthorized_client", "Revoking a subject needs the scope hub:admin.", status=403)
        if len(subject) > 128 or not subject.startswith(("client:", "user:")) or not subject.isprintable():
            raise Refusal("invalid_request", "subject is client:<id> or user:<name>.")
        await revoke_subject(session, subject, by)
    elif text := form.get("token"):
        claims = hub.issuer.read(text) if len(text) <= MAX_TOKEN_LENGTH else None
        if claims is not None and (admin or claims["sub"] == by):
            await revoke_token(session, hash_token_id(claims["jti"]), int(claims["exp"]), by)
    else:
        raise Refusal("invalid_request", "Send token, or subject.")


@router.get("/oauth/revocations", response_model=Revocations, summary="What services must refuse before its time")
async def list_revocations(request: Request, session: Session) -> Response:
    """Hashes of revoked token ids, and subjects with the moment up to which their tokens are refused. Public; with an ETag."""
    return _cached(request, await revocations(session))


@router.get("/.well-known/jwks.json", summary="The keys that sign access tokens (RFC 7517)")
async def keys(request: Request, hub: HubState) -> Response:
    """The next key is published before it signs, a retired one until its tokens have expired."""
    return _cached(request, hub.issuer.ring.published)


@router.get("/.well-known/oauth-authorization-server", summary="Where tokens are issued and revoked (RFC 8414)")
@router.get("/.well-known/openid-configuration", include_in_schema=False)
async def metadata(request: Request, hub: HubState) -> Response:
    url = hub.issuer.url
    return _cached(
        request,
        {
            "issuer": url,
            "token_endpoint": f"{url}/oauth/token",
            "revocation_endpoint": f"{url}/oauth/revoke",
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "subject_types_supported": ["public"],
            "liandong_revocations_uri": f"{url}/oauth/revocations",
            "liandong_token_life_s": TOKEN_LIFE_S,
        },
    )


def _cached(request: Request, body: dict[str, Any]) -> Response:
    """JSON with an ETag; 304 if the client has it already."""
    content = orjson.dumps(body)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={_FRESH_S}"}
    if etag in (tag.strip() for tag in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)
