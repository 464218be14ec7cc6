"""People: sign in with name and password, see and keep one's own account."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response
from sqlalchemy import select, update

from services.hub.access.actions import issue, log, revoke_subject, standing
from services.hub.access.domain import SESSION_LIFE_S, TOKEN_LIFE_S, Refusal, claims_of, lock_s, password_fault, scopes_at
from services.hub.access.models import User
from services.hub.access.oauth import granted
from services.hub.access.schemas import ClearanceOut, Me, PasswordChange, SignIn, TokenOut
from services.hub.state import Hub, HubState
from shared.auth import AnyCaller
from shared.database import Session
from shared.errors import Forbidden, InvalidRequest, Unauthenticated
from shared.service import Runtime

router = APIRouter(tags=["access"])


@router.post("/sign-in", response_model=TokenOut, summary="An access token for a person's name and password")
async def sign_in(wish: SignIn, request: Request, hub: HubState) -> Response:
    """After five wrong passwords in a row the account stays shut for 2 s, doubling up to 15 minutes; the answer is the same as for a
    wrong password or a name that does not exist, so that it tells nothing about who has an account."""
    user = await _proven(request.app.state.runtime, hub, wish.name, wish.password.get_secret_value())
    try:
        return issue(hub, user.subject, user.grant, {"resource": wish.resource, "scope": wish.scope, "purpose": wish.purpose})
    except Refusal as refusal:
        raise InvalidRequest(refusal.description) from refusal


@router.get("/me", summary="Who this token says you are, and what you may")
async def me(caller: AnyCaller) -> Me:
    return Me(
        subject=caller.subject,
        audience=caller.audience,
        scopes=sorted(caller.scopes),
        areas=list(caller.areas),
        clearance=ClearanceOut.model_validate({"grade": caller.clearance.grade, "personal": caller.clearance.personal}),
        purpose=caller.purpose,
        expires=datetime.fromtimestamp(caller.expires, UTC),
    )


@router.post("/me/token", response_model=TokenOut, summary="A fresh token for one that still holds")
async def renew_token(request: Request, session: Session, caller: AnyCaller, hub: HubState) -> Response:
    """For whoever has signed in and stays: with the rights that the account has now, never more scopes than the token at hand, and for 12 hours
    after the sign-in at most. A page keeps no password, so this is how it goes on."""
    renewed_at = time.time()  # before the account is looked at: whatever is revoked from now on is revoked for the new token, too
    claims = hub.issuer.read(request.headers.get("authorization", "").partition(" ")[2].strip())
    if claims is None or caller.actor is not None:
        raise Forbidden("Only a token that this hub gave to a client or a person can be renewed.")
    signed_in = float(claims.get("auth_time", caller.issued))
    left_s = int(signed_in + SESSION_LIFE_S - renewed_at)
    account = await standing(session, caller)
    scopes = caller.scopes & scopes_at(caller.audience, account.grant.scopes) if account is not None else frozenset()
    if account is None or left_s <= 0 or not scopes or caller.purpose not in account.purposes:
        raise Unauthenticated("This sign-in has ended. Sign in again.")
    rights = claims_of(account.subject, account.grant, audience=caller.audience, scopes=scopes, purpose=caller.purpose)
    token = hub.issuer.mint({**rights, "iat": round(renewed_at, 6), "auth_time": signed_in}, life_s=left_s)
    log.info("token renewed", subject=account.subject, audience=caller.audience)
    return granted(token, min(left_s, TOKEN_LIFE_S), scopes)


@router.post("/me/password", status_code=204, summary="Change one's own password; all tokens issued so far are revoked")
async def change_password(change: PasswordChange, request: Request, caller: AnyCaller, hub: HubState) -> Response:
    kind, _, name = caller.subject.partition(":")
    if kind != "user" or caller.actor is not None:
        raise Forbidden("Only a person who has signed in has a password.")
    runtime: Runtime = request.app.state.runtime
    await _proven(runtime, hub, name, change.old.get_secret_value())
    new_hash = await new_password(hub, change.new.get_secret_value(), name)
    async with runtime.sessions.begin() as session:
        await session.execute(update(User).where(User.name == name).values(password_hash=new_hash))
        await revoke_subject(session, caller.subject, caller.subject)
    await runtime.tokens.refresh()
    return Response(status_code=204)


async def new_password(hub: Hub, password: str, name: str) -> str:
    """The hash of a new password that is good enough."""
    if (fault := password_fault(password, name)) is not None:
        raise InvalidRequest(fault, pointer="/password")
    return await hub.passwords.hash(password)


async def _proven(runtime: Runtime, hub: Hub, name: str, password: str) -> User:
    """The person whose password this is. The failure is noted before the password is looked at, so that many tries at once gain nothing."""
    user = await _attempt(runtime, name)
    matches = await hub.passwords.matches(password, user.password_hash if user else None)
    if user is None or not matches:
        log.warning("sign-in refused", name=name[:64])
        raise Unauthenticated("The name or the password is wrong, or the account is disabled or shut for a while after wrong passwords.")
    async with runtime.sessions.begin() as session:
        await session.execute(update(User).where(User.name == name).values(failures=0, locked_until=None))
    log.info("signed in", subject=user.subject)
    return user


async def _attempt(runtime: Runtime, name: str) -> User | None:
    """The account if a try is allowed now, with this try counted as a failure until it succeeds."""
    if "\0" in name:
        return None
    async with runtime.sessions.begin() as session:
        user = await session.scalar(select(User).where(User.name == name).with_for_update())
        now = datetime.now(UTC)
        if user is None or user.disabled or (user.locked_until is not None and user.locked_until > now):
            return None
        user.failures += 1
        user.locked_until = now + timedelta(seconds=lock_s(user.failures)) if lock_s(user.failures) else None
        return user
