"""What routes of access share: who a client is, a token for a grant, revocation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog
from fastapi.responses import JSONResponse
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.access import oauth
from services.hub.access.domain import TOKEN_LIFE_S, Grant, Refusal, audience_of, claims_of, narrowed, purpose_of
from services.hub.access.models import Client, RevokedSubject, RevokedToken, User
from services.hub.access.secret_hash import is_secret
from services.hub.state import Hub
from shared.caller import Caller
from shared.tokens import hash_token_id

log = structlog.get_logger("access")


async def authenticate(session: AsyncSession, hub: Hub, client_id: str, secret: str) -> Client:
    """The client whose secret this is; `invalid_client` otherwise, 429 after too many failures in its name."""
    # shared lock: a change of rights under way is waited for, so no token of the old rights is issued after the moment of their revocation
    client = await session.get(Client, client_id, with_for_update={"read": True}) if "\0" not in client_id else None
    if is_secret(secret, client.secret_sha256 if client else None) and client is not None and not client.disabled:
        return client
    wait = hub.failures.wait_s(client_id, time.monotonic())
    log.warning("client refused", client=client_id[:64], throttled=wait is not None)
    if wait is not None:
        raise Refusal("invalid_client", f"Too many failures; wait {wait} s.", status=429, retry_after_s=wait)
    raise Refusal("invalid_client", "There is no such client, or the secret is wrong, or it is disabled.", status=401)


def mint(hub: Hub, subject: str, grant: Grant, wish: Mapping[str, str | None]) -> tuple[str, frozenset[str]]:
    """A token for `wish` (resource, scope, purpose) and its scopes, or a `Refusal`."""
    audience = audience_of(wish.get("resource"), hub.city, grant)
    scopes = narrowed(grant, audience, wish.get("scope"))
    purpose = purpose_of(grant, wish.get("purpose"))
    token = hub.issuer.mint(claims_of(subject, grant, audience=audience, scopes=scopes, purpose=purpose))
    log.info("token issued", subject=subject, audience=audience, scope=" ".join(sorted(scopes)), purpose=purpose)
    return token, scopes


def issue(hub: Hub, subject: str, grant: Grant, wish: Mapping[str, str | None]) -> JSONResponse:
    """The answer with such a token."""
    token, scopes = mint(hub, subject, grant, wish)
    return oauth.granted(token, TOKEN_LIFE_S, scopes)


async def standing(session: AsyncSession, caller: Caller) -> Client | User | None:
    """The account behind a token as it stands in the database, not as this process remembers it; None if it or the token holds no more."""
    kind, _, name = caller.subject.partition(":")
    account: Client | User | None = await session.get(User if kind == "user" else Client, name, with_for_update={"read": True})
    since = await session.scalar(select(RevokedSubject.not_before).where(RevokedSubject.subject == caller.subject))
    revoked = await session.scalar(select(RevokedToken.hash).where(RevokedToken.hash == hash_token_id(caller.token_id)))
    refused = revoked is not None or (since is not None and caller.issued <= since.timestamp())
    return None if account is None or account.disabled or account.subject != caller.subject or refused else account


async def revoke_token(session: AsyncSession, token_hash: str, expires: int, by: str) -> None:
    """Refuse one token from now on."""
    row = {"hash": token_hash, "expires_at": datetime.fromtimestamp(expires, UTC), "revoked_by": by}
    await session.execute(insert(RevokedToken).values(row).on_conflict_do_nothing())
    log.info("token revoked", token=token_hash, by=by)


async def revoke_subject(session: AsyncSession, subject: str, by: str) -> None:
    """Refuse all tokens of a subject that were issued until now."""
    await session.flush()  # what changes is locked before the moment is taken
    row = {"subject": subject, "not_before": datetime.now(UTC), "revoked_by": by}
    adding = insert(RevokedSubject).values(row)
    await session.execute(
        adding.on_conflict_do_update(
            index_elements=[RevokedSubject.subject], set_={"not_before": adding.excluded.not_before, "revoked_by": adding.excluded.revoked_by}
        )
    )
    log.info("subject revoked", subject=subject, by=by)
