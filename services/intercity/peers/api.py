"""Who this gateway is, and the peers that it knows: registered by an officer who has compared the fingerprint out of band."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy import update

from services.intercity.models import peer_keys
from services.intercity.peers.actions import add_key, add_peer, set_state, shown
from services.intercity.peers.domain import CITY_PATTERN, spoken
from services.intercity.peers.keyring import OwnKey
from services.intercity.peers.schemas import Identity, KeyIn, KeyOut, PeerIn, PeerOut, Reason
from services.intercity.state import GatewayState
from shared.auth import Caller, may
from shared.database import Session
from shared.errors import Conflict, NotFound
from shared.outbox import when_committed

router = APIRouter(tags=["peers"])
Reader = Annotated[Caller, may("intercity:read")]
Officer = Annotated[Caller, may("intercity:write")]
City = Annotated[str, Path(pattern=CITY_PATTERN)]


def _shown(key: OwnKey) -> KeyOut:
    return KeyOut(key=key.public, fingerprint=key.fingerprint, spoken=spoken(key.fingerprint))


@router.get("/identity", summary="This gateway's city, public key and fingerprint")
async def identity(gateway: GatewayState) -> Identity:
    """Public. A key that was fetched is no better than the channel it came by: compare the fingerprint with an officer of this city by telephone."""
    following = gateway.keys.following
    return Identity(city=gateway.city, next=_shown(following) if following else None, **_shown(gateway.keys.current).model_dump())


@router.post("/identity/next", summary="Prepare the next key")
async def prepare_key(gateway: GatewayState, officer: Officer) -> KeyOut:
    """Peers confirm it while the present key still signs; then `POST /identity/rotate`."""
    return _shown(gateway.keys.prepare())


@router.post("/identity/rotate", summary="Let the next key sign")
async def rotate_key(gateway: GatewayState, officer: Officer) -> KeyOut:
    """Peers that have not confirmed the next key refuse our messages from now on."""
    try:
        return _shown(gateway.keys.rotate())
    except LookupError:
        raise Conflict("No next key was prepared. POST /identity/next makes one, peers confirm it, then it can sign.") from None


@router.get("/peers", summary="Peers and their confirmed keys")
async def list_peers(session: Session, caller: Reader) -> list[PeerOut]:
    return await shown(session)


@router.post("/peers", status_code=201, summary="Register a peer")
async def register_peer(peer: PeerIn, gateway: GatewayState, session: Session, officer: Officer) -> PeerOut:
    """Refused unless the fingerprint that the peer's officer told is that of the key."""
    if peer.city == gateway.city:
        raise Conflict("This is our own city.", pointer="/city")
    await add_peer(session, peer, officer.subject)
    when_committed(session, gateway.peers.forget)
    return (await shown(session, peer.city))[0]


@router.get("/peers/{city}", summary="A peer")
async def one_peer(city: City, session: Session, caller: Reader) -> PeerOut:
    return await _one(session, city)


@router.post("/peers/{city}/keys", status_code=201, summary="Trust a further key of a peer, after a new confirmation")
async def confirm_key(city: City, key: KeyIn, gateway: GatewayState, session: Session, officer: Officer) -> PeerOut:
    await _one(session, city)
    await add_key(session, city, key, officer.subject)
    when_committed(session, gateway.peers.forget)
    return await _one(session, city)


@router.post("/peers/{city}/keys/{fingerprint}/withdraw", summary="Trust a key no longer")
async def withdraw_key(
    city: City, fingerprint: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$")], why: Reason, gateway: GatewayState, session: Session, officer: Officer
) -> PeerOut:
    """What it signed from now on is refused; what it signed before stays in the log."""
    found = await session.execute(
        update(peer_keys)
        .where(peer_keys.c.city == city, peer_keys.c.fingerprint == fingerprint, peer_keys.c.withdrawn.is_(None))
        .values(withdrawn=why.reason)
        .returning(peer_keys.c.fingerprint)
    )
    if found.scalar_one_or_none() is None:
        raise NotFound("The peer has no such key in use.")
    when_committed(session, gateway.peers.forget)
    return await _one(session, city)


@router.post("/peers/{city}/suspend", summary="Refuse a peer's messages for now")
async def suspend_peer(city: City, why: Reason, gateway: GatewayState, session: Session, officer: Officer) -> PeerOut:
    return await _changed(gateway, session, city, "suspended", why.reason, officer)


@router.post("/peers/{city}/resume", summary="Take a suspended peer's messages again")
async def resume_peer(city: City, gateway: GatewayState, session: Session, officer: Officer) -> PeerOut:
    return await _changed(gateway, session, city, "active", None, officer)


@router.delete("/peers/{city}", status_code=204, summary="Remove a peer")
async def remove_peer(city: City, gateway: GatewayState, session: Session, officer: Officer) -> Response:
    """Its messages are refused; agreements and log stay on record."""
    await _changed(gateway, session, city, "removed", None, officer)
    return Response(status_code=204)


async def _changed(gateway: GatewayState, session: Session, city: str, state: str, reason: str | None, officer: Caller) -> PeerOut:
    await set_state(session, city, state, reason, officer.subject)
    when_committed(session, gateway.peers.forget)
    return await _one(session, city)


async def _one(session: Session, city: str) -> PeerOut:
    found = await shown(session, city)
    if not found:
        raise NotFound(f"There is no peer {city!r}.")
    return found[0]
