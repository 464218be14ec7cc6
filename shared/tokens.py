"""Offline verification of access tokens: the issuer's key set and its revocations, kept on disk for a lost hub."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.auth import Caller
from shared.config import Settings
from shared.errors import Unauthenticated, Unavailable
from shared.private_files import write_private
from shared.superiors import ALGORITHM as _ALGORITHM
from shared.superiors import Superiors

ALGORITHM = _ALGORITHM
"""EdDSA over Ed25519 by its fully specified name (RFC 9864)."""
LEEWAY_S = 60
"""How far clocks may differ between issuer and service."""
REFRESH_S = 15.0
"""How often keys and revocations are fetched: a revocation takes effect within a minute."""
MAX_TOKEN_LENGTH = 8192
_log = structlog.get_logger("tokens")


class TokenSource(Protocol):
    """Where a service learns keys, revocations and, for Basic credentials, tokens."""

    async def keys(self) -> dict[str, Any]:
        """The JWK set (RFC 7517)."""

    async def revocations(self) -> dict[str, Any]:
        """`{"tokens": [sha256 of jti], "subjects": {subject: not before, epoch seconds}}`."""

    async def token(self, client: str, secret: str, audience: str) -> str:
        """An access token for the audience by client credentials; `Unauthenticated` if refused."""


class HubTokens:
    """The hub as the source, over HTTP."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._hub = settings.hub_url
        self._http = http

    async def keys(self) -> dict[str, Any]:
        return await self._get("/.well-known/jwks.json")

    async def revocations(self) -> dict[str, Any]:
        return await self._get("/oauth/revocations")

    async def token(self, client: str, secret: str, audience: str) -> str:
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "resource": audience}
        try:
            answer = await self._http.post(f"{self._hub}/oauth/token", data=form)
        except httpx.HTTPError as error:
            raise Unavailable("The hub does not answer, so Basic credentials cannot be checked; send a bearer token.") from error
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Unavailable("The hub cannot check Basic credentials now; send a bearer token.")
        if answer.status_code != 200:
            raise Unauthenticated("The hub refuses these client credentials.")
        return str(answer.json()["access_token"])

    async def _get(self, path: str) -> dict[str, Any]:
        answer = await self._http.get(f"{self._hub}{path}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


class Tokens:
    """Verifies tokens with what it last learned; never asks anybody while a request waits, but for an unknown key."""

    def __init__(self, settings: Settings, source: TokenSource, *, http: httpx.AsyncClient | None = None, clock: Callable[[], float] = time.time) -> None:
        self._superiors = Superiors(settings.superiors, settings.audience, http, clock)
        self._superior_keys: dict[str, Any] = {}
        self._issuer, self._audience = settings.issuer, settings.audience
        self._source, self._clock = source, clock
        self._cache_file = settings.cache_dir / "trust.json"
        self._keys = KeySet([])
        self._revoked_tokens: frozenset[str] = frozenset()
        self._revoked_subjects: Mapping[str, float] = {}
        self._verified: OrderedDict[str, Caller] = OrderedDict()
        self._exchanged: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._refreshed = 0.0
        self._refreshing = asyncio.Lock()

    @property
    def ready(self) -> bool:
        """Whether any key is known."""
        return bool(self._keys.keys)

    async def run(self) -> None:
        """Keep keys and revocations fresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep((REFRESH_S if self.ready else 1.0) * random.uniform(0.8, 1.2))

    def load(self) -> None:
        """Start with what the last run knew, so that a service can start while the hub is down."""
        if self._cache_file.exists():
            try:
                kept = orjson.loads(self._cache_file.read_bytes())
                self._take(kept)
                self._superiors.load(kept.get("superiors", {}))
            except (ValueError, KeyError, TypeError, JoseError) as error:
                _log.warning("trust cache unreadable, waiting for the hub", error=repr(error))

    async def refresh(self) -> None:
        """Fetch keys and revocations; on failure what was known stays."""
        try:
            trust = {"keys": (await self._source.keys())["keys"], "revocations": await self._source.revocations()}
            changed = self._take(trust)
            if self._superiors:
                trust["superiors"] = await self._superiors.refresh()
                changed = changed or trust["superiors"] != self._superior_keys
                self._superior_keys = trust["superiors"]
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError, JoseError, Unavailable) as error:
            _log.warning("keys and revocations not refreshed", error=repr(error))
            return
        finally:
            self._refreshed = self._clock()
        if changed:
            await asyncio.to_thread(_keep, self._cache_file, orjson.dumps(trust))

    def _take(self, trust: Mapping[str, Any]) -> bool:
        keys = KeySet.import_key_set({"keys": [key for key in trust["keys"] if key.get("kty") == "OKP"]})
        revoked_tokens = frozenset(trust["revocations"]["tokens"])
        revoked_subjects = {str(sub): float(since) for sub, since in trust["revocations"]["subjects"].items()}
        changed = (
            {key.kid for key in keys.keys} != {key.kid for key in self._keys.keys}
            or revoked_tokens != self._revoked_tokens
            or revoked_subjects != self._revoked_subjects
        )
        self._keys, self._revoked_tokens, self._revoked_subjects = keys, revoked_tokens, revoked_subjects
        if changed:
            self._verified.clear()
            self._exchanged.clear()  # who was given less rights asks with the same secret for a token of those
        return changed

    async def verify(self, token: str) -> Caller:
        """The caller whom a token names, or `Unauthenticated` with the reason."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated("The token is too long.")
        found = self._verified.get(token)
        if found is None:
            found = await self._superior(token) or self._check(token, await self._key_ids(token))
            self._verified[token] = found
            if len(self._verified) > 1000:
                self._verified.popitem(last=False)
        if self._clock() > found.expires + LEEWAY_S:
            raise Unauthenticated("The token has expired.")
        if found.issued > self._clock() + LEEWAY_S:
            raise Unauthenticated("The token was issued in the future; check the clocks.")
        if self._revoked(found):
            raise Unauthenticated("The token has been revoked.")
        return found

    def still_valid(self, found: Caller) -> bool:
        """Whether a caller who was verified earlier may still be served: neither expired nor revoked."""
        return not self._revoked(found) and self._clock() <= found.expires

    async def exchange(self, client: str, secret: str) -> Caller:
        """The caller whom Basic client credentials name; their token is kept for a minute."""
        pair = hashlib.sha256(f"{client}\0{secret}".encode()).digest()
        token, until = self._exchanged.get(pair, ("", 0.0))
        if until < self._clock():
            token = await self._source.token(client, secret, self._audience)
            self._exchanged[pair] = (token, self._clock() + 60)
            if len(self._exchanged) > 1000:
                self._exchanged.popitem(last=False)
        return await self.verify(token)

    async def _superior(self, token: str) -> Caller | None:
        """The caller of a token that says to be a superior hub's; None for all others."""
        if not self._superiors:
            return None
        try:
            header, claims = jwt_part(token, 0), jwt_part(token, 1)
        except (ValueError, IndexError):
            return None  # refused like any text that is no token
        issuer = claims.get("iss")
        return await self._superiors.check(token, header.get("kid"), issuer) if self._superiors.issued(issuer) else None

    async def _key_ids(self, token: str) -> KeySet:
        """The key set, fetched once more if the token names a key that is not in it."""
        try:
            kid = jwt_part(token, 0).get("kid")
        except ValueError as error:
            raise Unauthenticated("The bearer token is not a JWT.") from error
        if kid is not None and not isinstance(kid, str):
            raise Unauthenticated("The bearer token's `kid` is no text.")
        if kid not in {key.kid for key in self._keys.keys}:
            async with self._refreshing:
                if self._clock() - self._refreshed > 2:
                    await self.refresh()
            if not self.ready:
                raise Unavailable("This service has not yet learned the issuer's keys; the hub does not answer.")
        return self._keys

    def _check(self, token: str, keys: KeySet) -> Caller:
        try:
            claims = jwt.decode(token, keys, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise Unauthenticated("The token's signature does not verify with the issuer's keys.") from error
        if claims.get("iss") != self._issuer:
            raise Unauthenticated(f"The token is not from this city's issuer ({self._issuer}).")
        if claims.get("aud") != self._audience:
            raise Unauthenticated(f"The token is for another audience; this service is {self._audience}. Ask for one with `resource={self._audience}`.")
        try:
            return Caller.from_claims(claims)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise Unauthenticated("The token's claims are incomplete.") from error

    def _revoked(self, found: Caller) -> bool:
        return hash_token_id(found.token_id) in self._revoked_tokens or found.issued <= self._revoked_subjects.get(found.subject, -1)


def jwt_part(token: str, number: int) -> dict[str, Any]:
    """The unverified header (0) or claims (1) of a compact JWT; `ValueError` or `IndexError` if there is none."""
    text = token.split(".", 2)[number]
    part = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if not isinstance(part, dict):
        raise ValueError("not an object")
    return part


def hash_token_id(token_id: str) -> str:
    """How a revoked token is named in public: SHA-256 of its `jti`, hex."""
    return hashlib.sha256(token_id.encode()).hexdigest()


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, content)
