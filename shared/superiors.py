"""Hubs of a higher level of the same administration: whose tokens open this hub, how far, and by which keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.caller import Caller, narrowed
from shared.config import Superior
from shared.errors import Unauthenticated, Unavailable

ALGORITHM = "Ed25519"
LONGEST_S = 120
"""Most seconds between issue and expiry: another hub's token is for one call, and is not revoked but runs out."""
_log = structlog.get_logger("tokens")


@dataclass(slots=True)
class _Known:
    superior: Superior
    keys: KeySet = field(default_factory=lambda: KeySet([]))
    wanted: float = 0.0
    """When a token last made us fetch them."""


class Superiors:
    """The superior hubs of the settings, by name and issuer."""

    def __init__(self, superiors: Mapping[str, Superior], audience: str, http: httpx.AsyncClient | None, clock: Callable[[], float] = time.time) -> None:
        self._audience, self._http, self._clock = audience, http, clock
        self._known = {name: _Known(superior) for name, superior in superiors.items()}
        self._fetching = asyncio.Lock()
        for known in self._known.values():
            known.keys = _key_set(known.superior.keys)

    def __bool__(self) -> bool:
        return bool(self._known)

    def issued(self, issuer: object) -> bool:
        """Whether a superior's tokens bear this `iss`."""
        return any(known.superior.issuer == issuer for known in self._known.values())

    def load(self, kept: Mapping[str, Any]) -> None:
        """Begin with the keys that the last run knew; pinned ones stay as they are."""
        for name, known in self._known.items():
            if name in kept and not known.superior.keys:
                known.keys = _key_set(kept[name])

    async def refresh(self) -> dict[str, Any]:
        """Fetch the keys that are not pinned; on failure what was known stays. Returns all keys in the form that `load` takes."""
        await asyncio.gather(*(self._fetch(name, known) for name, known in self._known.items() if not known.superior.keys))
        return {name: known.keys.as_dict(private=False)["keys"] for name, known in self._known.items()}

    async def check(self, token: str, kid: object, issuer: object) -> Caller:
        """The caller of a superior's token, narrowed to what is agreed with that superior. `Unauthenticated` with the reason."""
        refused: Unauthenticated | None = None
        for name, known in self._known.items():
            if known.superior.issuer == issuer:
                try:
                    return self._caller(name, known, jwt.decode(token, await self._keys(name, known, kid), algorithms=[ALGORITHM]).claims)
                except (JoseError, ValueError, TypeError, AttributeError, KeyError):
                    refused = Unauthenticated(f"The token's signature does not verify with the keys of {name}, or its claims are incomplete.")
                except Unauthenticated as error:
                    refused = error
        raise refused or Unauthenticated("No hub that is trusted here issued the token.")

    def _caller(self, name: str, known: _Known, claims: Mapping[str, Any]) -> Caller:
        found = Caller.from_claims(claims)
        if claims["aud"] != self._audience:
            raise Unauthenticated(f"The token is for another audience; this service is {self._audience}.")
        if found.actor != name:
            raise Unauthenticated(f"Of {known.superior.issuer} only {name} is trusted here, on somebody's behalf (`act`).")
        if not 0 < found.expires - found.issued <= LONGEST_S:
            raise Unauthenticated(f"A token of another hub lives at most {LONGEST_S} s.")
        bounds = known.superior
        within = narrowed(found, areas=bounds.areas, scopes=bounds.scopes, clearance=bounds.clearance)
        return replace(within, subject=f"{name}:{found.subject}", superior=name)

    async def _keys(self, name: str, known: _Known, kid: object) -> KeySet:
        """The superior's keys, fetched once more if the token names one that is not among them."""
        if kid not in {key.kid for key in known.keys.keys} and not known.superior.keys:
            async with self._fetching:
                if self._clock() - known.wanted > 2:
                    known.wanted = self._clock()
                    await self._fetch(name, known)
            if not known.keys.keys:
                raise Unavailable(f"This service has not yet learned the keys of {name}; it does not answer.")
        return known.keys

    async def _fetch(self, name: str, known: _Known) -> None:
        if self._http is None:
            return
        try:
            answer = await self._http.get(known.superior.keys_at)
            answer.raise_for_status()
            known.keys = _key_set(answer.json()["keys"])
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            _log.warning("keys of a superior hub not refreshed", superior=name, error=repr(error))


def _key_set(keys: Any) -> KeySet:
    usable = [key for key in keys if key.get("kty") == "OKP"]
    return KeySet.import_key_set({"keys": usable}) if usable else KeySet([])
