"""A service proves who it is to whoever is about to send it a token: with a key of its own, over a challenge that could not be foreseen."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel

from shared.private_files import make_private
from shared.tokens import jwt_part

ALGORITHM = "Ed25519"
TYPE = "liandong-proof+jwt"
"""`typ` of a proof, so that it can be taken for no other token."""
FRESH_S = 120
"""Most seconds between a proof's time and ours."""
CHALLENGE = r"^[A-Za-z0-9_-]{22,128}$"
router = APIRouter(tags=["operation"])


class NoProof(ValueError):
    """A proof that proves nothing, and why."""


class Proof(BaseModel):
    """The answer to a challenge."""

    service: str
    """`430300/fire`."""
    proof: str
    """JWS (RFC 7515, compact) over `sub` (the service), `nonce` (the challenge) and `iat`; its header bears the public key (`jwk`)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The key by which a service is known."""

    name: str
    key: OKPKey

    @classmethod
    def open(cls, path: Path, name: str) -> Identity:
        """The key in a file with mode 0600, made at the first start. `PermissionError` if others can read it, `ValueError` if it holds none."""
        if not path.exists():
            make_private(path, orjson.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)))
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"{path} can be read by others; run: chmod 600 {path}")
        try:
            key = OKPKey.import_key(orjson.loads(path.read_bytes()))
        except (ValueError, KeyError, TypeError, JoseError) as error:
            raise ValueError(f"{path} holds no key: {error!r}") from error
        if key.curve_name != ALGORITHM or not key.is_private:
            raise ValueError(f"{path} holds no private Ed25519 key")
        return cls(name, key)

    @property
    def public(self) -> dict[str, Any]:
        return public_part(self.key)

    def prove(self, challenge: str) -> Proof:
        header = {"alg": ALGORITHM, "typ": TYPE, "jwk": self.public}
        claims = {"sub": self.name, "nonce": challenge, "iat": int(time.time())}
        return Proof(service=self.name, proof=jwt.encode(header, claims, self.key, algorithms=[ALGORITHM]))


def proven_key(content: bytes, name: str, challenge: str) -> dict[str, Any]:
    """The public key that an answer of `GET /proof` proves for a service; `NoProof` if it proves none."""
    try:
        said = Proof.model_validate_json(content)
        header = jwt_part(said.proof, 0)
        key = OKPKey.import_key(header["jwk"])
        token = jwt.decode(said.proof, key, algorithms=[ALGORITHM])
        claims, fresh = token.claims, abs(time.time() - token.claims["iat"]) <= FRESH_S
        right = header["typ"] == TYPE and key.curve_name == ALGORITHM and (claims["nonce"], claims["sub"]) == (challenge, name)
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        raise NoProof(f"it answers the challenge with something else: {type(error).__name__}") from error
    if not right or not fresh:
        raise NoProof("its proof is for another service or challenge" if not right else "its clock is off by minutes")
    return public_part(key)


def public_part(key: OKPKey) -> dict[str, Any]:
    """The public half of a key as a JWK (RFC 8037), nothing else."""
    return {name: value for name, value in key.as_dict(private=False).items() if name in ("kty", "crv", "x")}


@router.get("/proof", summary="Proof that this is the service it says to be")
async def proof(
    request: Request, response: Response, challenge: Annotated[str, Query(pattern=CHALLENGE, description="Random text of whoever asks, used once")]
) -> Proof:
    """A hub asks before it sends any token. The key is the service's own; the hub pins it (`GET /sources`)."""
    response.headers["Cache-Control"] = "no-store"
    identity: Identity = request.app.state.runtime.identity
    return identity.prove(challenge)
