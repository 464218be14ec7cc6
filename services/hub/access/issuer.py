"""The issuer of access tokens: signs with the current key, publishes all, rotates by time."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.access.domain import HOP_LIFE_S, TOKEN_LIFE_S, hop_claims
from services.hub.access.keys import Keyring, UnsafeKeys, open_keys, rotate_when_due
from services.hub.access.models import RevokedSubject, RevokedToken
from shared.caller import Caller
from shared.tokens import ALGORITHM, LEEWAY_S

LOOK_S = 20.0
"""How often the folder is read again, so that a rotation by the command line is seen."""
_HOP_USED_S, _MOST_HOPS = 20.0, 5_000
_log = structlog.get_logger("access")


class Issuer:
    """Mints tokens in the name of `url` (the `iss` of its tokens)."""

    def __init__(self, url: str, name: str, folder: Path) -> None:
        self.url, self.name, self._folder = url, name, folder
        self.ring: Keyring = open_keys(folder, int(time.time()))
        self._hops: dict[tuple[str, Caller, str], tuple[float, str]] = {}

    def mint(self, claims: Mapping[str, Any], *, life_s: int = TOKEN_LIFE_S) -> str:
        """A signed JWT (RFC 9068) with these claims about rights, valid from now for `life_s` seconds, at most 15 minutes."""
        issued = round(time.time(), 6)  # to the microsecond, like revocations: a token issued right after one is not hit by it
        times = {"iss": self.url, "iat": issued, "exp": int(issued) + min(life_s, TOKEN_LIFE_S), "jti": secrets.token_urlsafe(16)}
        key = self.ring.current
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt"}, {**times, **claims}, key.jwk, algorithms=[ALGORITHM])

    def hop(self, asker: Caller, audience: str) -> str:
        """A token for calls to one service on the asker's behalf, valid for a minute.

        One is used for twenty seconds, and never for another token of the asker's: signing and verifying cost more than the rest of a small question.
        """
        now, asked = time.time(), (self.ring.current.kid, asker, audience)  # the clock by which services judge it, even if it was set
        minted, token = self._hops.get(asked, (0.0, ""))
        if not minted <= now < minted + _HOP_USED_S:
            token = self.mint(hop_claims(asker, audience, self.name), life_s=HOP_LIFE_S)
            if len(self._hops) >= _MOST_HOPS:
                self._hops.clear()
            self._hops[asked] = (now, token)
        return token

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of a token of ours for whatever audience, expired or not; nothing if it is not ours."""
        try:
            claims = jwt.decode(token, KeySet([key.jwk for key in (self.ring.current, self.ring.following, *self.ring.retired)]), algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, AttributeError, KeyError):
            return None
        return claims if claims.get("iss") == self.url else None

    async def run(self) -> None:
        """Rotate when due and read what others changed in the folder, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                ring = await asyncio.to_thread(rotate_when_due, self._folder, int(time.time()))
            except (OSError, UnsafeKeys) as error:
                _log.error("signing keys not read; the known ones stay in use", error=str(error))
                continue
            if ring.current.kid != self.ring.current.kid:
                _log.info("signing key changed", kid=ring.current.kid)
            self.ring = ring


async def revocations(session: AsyncSession) -> dict[str, Any]:
    """What services must refuse: `{"tokens": [hash], "subjects": {subject: epoch seconds}}`, without what has expired anyway."""
    now = datetime.now(UTC)
    tokens = await session.scalars(select(RevokedToken.hash).where(RevokedToken.expires_at > _past(now, LEEWAY_S)).order_by(RevokedToken.hash))
    subjects = await session.execute(
        select(RevokedSubject.subject, RevokedSubject.not_before)
        .where(RevokedSubject.not_before > _past(now, TOKEN_LIFE_S + LEEWAY_S))
        .order_by(RevokedSubject.subject)
    )
    return {"tokens": list(tokens), "subjects": {subject: since.timestamp() for subject, since in subjects}}


async def forget_expired(session: AsyncSession) -> None:
    """Delete revocations that no unexpired token can meet."""
    now = datetime.now(UTC)
    await session.execute(delete(RevokedToken).where(RevokedToken.expires_at < _past(now, 2 * LEEWAY_S)))
    await session.execute(delete(RevokedSubject).where(RevokedSubject.not_before < _past(now, TOKEN_LIFE_S + 2 * LEEWAY_S)))


def _past(now: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(now.timestamp() - seconds, UTC)
