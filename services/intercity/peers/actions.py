"""Registering peers and their keys, after an officer has compared the fingerprint."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from services.intercity.models import peer_keys, peers
from services.intercity.peers.domain import confirms, fingerprint
from services.intercity.peers.schemas import KeyIn, KnownKey, PeerIn, PeerOut
from shared.errors import Conflict, NotFound, Problem
from shared.vocabulary import Text

MOST_KEYS = 4


class FingerprintMismatch(Problem):
    slug, status = "fingerprint-mismatch", 409
    title = Text("指纹不符", "Fingerprint does not match")
    remedy = Text(
        "经另一途径（如电话）与对方人员逐组核对；不符即为他人之钥。",
        "Compare group by group with the peer's officer over another channel; another key is not theirs.",
    )


def check_confirmed(given: KeyIn) -> str:
    """The fingerprint of the key; `FingerprintMismatch` unless it is what the peer's officer said."""
    if not confirms(given.fingerprint, given.key):
        raise FingerprintMismatch("The key has another fingerprint than was read out.", pointer="/fingerprint")
    return fingerprint(given.key)


async def add_peer(session: AsyncSession, given: PeerIn, by: str) -> None:
    """Register a city; a removed one comes back with its new key alone."""
    check_confirmed(given)
    known = (await session.execute(select(peers.c.state).where(peers.c.city == given.city).with_for_update())).scalar_one_or_none()
    if known in ("active", "suspended"):
        raise Conflict(f"{given.city} is a peer already; give it a new key by POST /peers/{given.city}/keys.", pointer="/city")
    row = {"city": given.city, "url": str(given.url).rstrip("/"), "name_zh": given.name_zh, "name_en": given.name_en, "state": "active", "reason": None}
    await session.execute(insert(peers).values(**row, recorded_by=by).on_conflict_do_update(index_elements=[peers.c.city], set_={**row, "recorded_by": by}))
    await session.execute(update(peer_keys).where(peer_keys.c.city == given.city, peer_keys.c.withdrawn.is_(None)).values(withdrawn="registered anew"))
    await add_key(session, given.city, given, by)


async def add_key(session: AsyncSession, city: str, given: KeyIn, by: str) -> None:
    """Trust one more key of a peer: `Conflict` for a key that is another city's, was withdrawn, or is one too many."""
    print_ = check_confirmed(given)
    rows = (await session.execute(select(peer_keys).where((peer_keys.c.city == city) | (peer_keys.c.fingerprint == print_)).with_for_update())).all()
    same = next((row for row in rows if row.fingerprint == print_), None)
    if same is not None and same.city != city:
        raise Conflict(f"This key is that of {same.city}.", pointer="/key")
    if same is not None and same.withdrawn not in (None, "registered anew"):
        raise Conflict(f"This key was withdrawn: {same.withdrawn}.", pointer="/key")
    if sum(row.withdrawn is None for row in rows) >= MOST_KEYS:
        raise Conflict(f"A peer has {MOST_KEYS} keys at most; withdraw one first.", pointer="/key")
    values = {"city": city, "key": given.key, "withdrawn": None, "recorded_by": by}
    await session.execute(insert(peer_keys).values(fingerprint=print_, **values).on_conflict_do_update(index_elements=[peer_keys.c.fingerprint], set_=values))


async def set_state(session: AsyncSession, city: str, state: str, reason: str | None, by: str) -> None:
    """Suspend, resume or remove a peer. `NotFound` if there is none."""
    found = await session.execute(
        update(peers).where(peers.c.city == city, peers.c.state != "removed").values(state=state, reason=reason, recorded_by=by).returning(peers.c.city)
    )
    if found.scalar_one_or_none() is None:
        raise NotFound(f"There is no peer {city[:20]!r}.")


async def shown(session: AsyncSession, city: str | None = None) -> list[PeerOut]:
    """Peers with their keys, in the order of their codes."""
    wanted = select(peers).order_by(peers.c.city) if city is None else select(peers).where(peers.c.city == city)
    found = (await session.execute(wanted)).mappings().all()
    keys: dict[str, list[KnownKey]] = {}
    for row in (await session.execute(select(peer_keys).order_by(peer_keys.c.recorded_at, peer_keys.c.fingerprint))).mappings():
        keys.setdefault(row["city"], []).append(_key(row))
    return [PeerOut(**{name: row[name] for name in ("city", "url", "name_zh", "name_en", "state", "reason")}, keys=keys.get(row["city"], [])) for row in found]


def _key(row: RowMapping) -> KnownKey:
    return KnownKey(fingerprint=row["fingerprint"], confirmed_by=row["recorded_by"], confirmed_at=row["recorded_at"], withdrawn=row["withdrawn"])
