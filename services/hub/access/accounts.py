"""Accounts, kept by administrators: machine clients and people."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.access.actions import log, revoke_subject
from services.hub.access.models import Client, User
from services.hub.access.people import new_password
from services.hub.access.schemas import Account, Change, ClearanceOut, ClientId, ClientIn, NewSecret, UserChange, UserIn, UserName
from services.hub.access.secret_hash import hash_secret
from services.hub.state import HubState
from shared.auth import Caller, may
from shared.database import Session
from shared.errors import Conflict, NotFound

router = APIRouter(tags=["access"])
Admin = Annotated[Caller, may("hub:admin")]
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "No such account"}}


async def _heard_at_once(request: Request) -> AsyncIterator[None]:
    """What was revoked is refused here from the moment of the answer on: this ends after the transaction, before the answer leaves."""
    yield
    await request.app.state.runtime.tokens.refresh()


_REVOKES: Any = [Depends(_heard_at_once, scope="function")]


@router.post("/clients", status_code=201, summary="Make a machine client; its secret is shown this once")
async def make_client(client: ClientIn, session: Session, admin: Admin) -> NewSecret:
    secret = secrets.token_urlsafe(32)
    row = {**client.columns(), "id": client.id, "secret_sha256": hash_secret(secret), "secret_set_by": admin.subject, "created_by": admin.subject}
    made = await session.scalar(insert(Client).values(row).on_conflict_do_nothing().returning(Client.id))
    if made is None:
        raise Conflict(f"There is already a client {client.id!r}.", pointer="/id")
    log.info("client made", client=client.id, by=admin.subject)
    return NewSecret(client_id=client.id, client_secret=secret)


@router.get("/clients", summary="All machine clients")
async def list_clients(session: Session, admin: Admin) -> list[Account]:
    return [_account(client) for client in await session.scalars(select(Client).order_by(Client.id))]


@router.patch("/clients/{client_id}", dependencies=_REVOKES, responses=_NOT_FOUND, summary="Disable a client or change its rights")
async def change_client(client_id: ClientId, change: Change, session: Session, admin: Admin) -> Account:
    """Tokens issued so far are revoked, so that the change holds at this hub at once, at the services within a minute."""
    client = await session.get(Client, client_id)
    if client is None:
        raise NotFound(f"There is no client {client_id!r}.")
    return await _changed(session, client, change, admin)


@router.post(
    "/clients/{client_id}/secret", dependencies=_REVOKES, responses=_NOT_FOUND, summary="A new secret; the old one stops at once, its tokens within a minute"
)
async def renew_secret(client_id: ClientId, session: Session, admin: Admin) -> NewSecret:
    client = await session.get(Client, client_id)
    if client is None:
        raise NotFound(f"There is no client {client_id!r}.")
    secret = secrets.token_urlsafe(32)
    client.secret_sha256, client.secret_set_by = hash_secret(secret), admin.subject
    await revoke_subject(session, client.subject, admin.subject)
    return NewSecret(client_id=client_id, client_secret=secret)


@router.post("/users", status_code=201, summary="Make an account for a person, with a first password that they change")
async def make_user(user: UserIn, session: Session, admin: Admin, hub: HubState) -> Account:
    row = {
        **user.columns(),
        "name": user.name,
        "password_hash": await new_password(hub, user.password.get_secret_value(), user.name),
        "created_by": admin.subject,
    }
    made = await session.scalar(insert(User).values(row).on_conflict_do_nothing().returning(User))
    if made is None:
        raise Conflict(f"There is already an account {user.name!r}.", pointer="/name")
    log.info("user made", user=user.name, by=admin.subject)
    return _account(made)


@router.get("/users", summary="All people's accounts")
async def list_users(session: Session, admin: Admin) -> list[Account]:
    return [_account(user) for user in await session.scalars(select(User).order_by(User.name))]


@router.patch("/users/{name}", dependencies=_REVOKES, responses=_NOT_FOUND, summary="Disable an account, change its rights, or set a new password")
async def change_user(name: UserName, change: UserChange, session: Session, admin: Admin, hub: HubState) -> Account:
    user = await session.get(User, name)
    if user is None:
        raise NotFound(f"There is no account {name!r}.")
    if change.password is not None:
        user.password_hash = await new_password(hub, change.password.get_secret_value(), name)
        user.failures, user.locked_until = 0, None
    return await _changed(session, user, change, admin)


async def _changed(session: AsyncSession, account: Client | User, change: Change, admin: Caller) -> Account:
    if change.disabled is not None:
        account.disabled = change.disabled
    if change.rights is not None:
        for column, value in change.rights.columns().items():
            setattr(account, column, value)
    await revoke_subject(session, account.subject, admin.subject)
    log.info("account changed", subject=account.subject, by=admin.subject)
    return _account(account)


def _account(account: Client | User) -> Account:
    return Account(
        subject=account.subject,
        scopes=account.scopes,
        areas=account.areas,
        clearance=ClearanceOut.model_validate({"grade": account.grade, "personal": account.personal}),
        purposes=account.purposes,
        audiences=account.audiences,
        disabled=account.disabled,
        created_at=account.created_at,
        created_by=account.created_by,
    )
