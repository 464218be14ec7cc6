"""The hub's own source of trust: it verifies without asking itself over HTTP."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from services.hub.access.actions import authenticate, mint
from services.hub.access.domain import Refusal
from services.hub.access.issuer import revocations
from services.hub.state import Hub
from shared.errors import TooMany, Unauthenticated, Unavailable
from shared.service import Runtime


class OwnTrust:
    """Keys from the hub's folder, revocations and clients from its database (`shared.tokens.TokenSource`)."""

    def __init__(self, runtime: Runtime) -> None:
        self._hub: Hub = runtime.own
        self._sessions = runtime.sessions

    async def keys(self) -> dict[str, Any]:
        return self._hub.issuer.ring.published

    async def revocations(self) -> dict[str, Any]:
        try:
            async with self._sessions() as session:
                return await revocations(session)
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable("The hub's database does not answer, so revocations are not read.") from error

    async def token(self, client: str, secret: str, audience: str) -> str:
        try:
            async with self._sessions() as session:
                known = await authenticate(session, self._hub, client, secret)
            return mint(self._hub, known.subject, known.grant, {"resource": audience})[0]
        except Refusal as refusal:
            if refusal.retry_after_s is not None:
                raise TooMany(refusal.description, headers={"Retry-After": str(refusal.retry_after_s)}) from refusal
            raise Unauthenticated(refusal.description) from refusal
