"""What crosses HTTP about peers and keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, UrlConstraints

from services.intercity.peers.domain import CITY_PATTERN, SUITE
from shared.row_models import PlainText


def _plain(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username is not None or url.password is not None or url.query is not None or url.fragment is not None:
        raise ValueError("is an address to which paths are added: without credentials, query and fragment")
    return url


def _public_key(key: dict[str, Any]) -> dict[str, Any]:
    if "d" in key:
        raise ValueError("must be a public key: this one has its private part, which must be replaced now")
    try:
        known = OKPKey.import_key({name: value for name, value in key.items() if name in ("kty", "crv", "x")})
        usable = known.curve_name == SUITE and len(known.as_dict()["x"]) == 43
    except (JoseError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError("must be a public Ed25519 key as a JWK") from error
    if not usable:
        raise ValueError("must be a public Ed25519 key as a JWK")
    return dict(known.as_dict(private=False))


BaseUrl = Annotated[AnyHttpUrl, UrlConstraints(max_length=512), AfterValidator(_plain)]
RFC_8037 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
"""The key of appendix A.2; its thumbprint is that of A.3."""
PublicKey = Annotated[dict[str, Any], Field(max_length=20, examples=[RFC_8037]), AfterValidator(_public_key)]
City = Annotated[str, Field(pattern=CITY_PATTERN, examples=["430100"])]
Told = Annotated[
    str,
    Field(
        min_length=40, max_length=120, description="As the peer's officer read it out, in either form", examples=["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]
    ),
]


class KeyOut(BaseModel):
    """A public key and its fingerprint."""

    key: dict[str, Any]
    fingerprint: Annotated[str, Field(description="RFC 7638 thumbprint, SHA-256, base64url")]
    spoken: Annotated[str, Field(description="The same 256 bits in groups of four hexadecimal digits, for reading aloud")]


class Identity(KeyOut):
    """Who this gateway is."""

    city: str
    suite: Literal["Ed25519"] = "Ed25519"
    next: Annotated[KeyOut | None, Field(description="The key that will sign once peers have confirmed it")]


class KeyIn(BaseModel):
    """A peer's key, confirmed."""

    model_config = ConfigDict(extra="forbid")

    key: PublicKey
    fingerprint: Told


class PeerIn(KeyIn):
    """A peer whose key was confirmed out of band."""

    city: City
    url: Annotated[BaseUrl, Field(examples=["https://gateway.example.org"])]
    name_zh: PlainText | None = None
    name_en: PlainText | None = None


class KnownKey(BaseModel):
    """A peer's key and who confirmed it."""

    fingerprint: str
    confirmed_by: str
    confirmed_at: datetime
    withdrawn: str | None


class PeerOut(BaseModel):
    """A peer and how it stands."""

    city: str
    url: str
    name_zh: str | None
    name_en: str | None
    state: str
    reason: str | None
    keys: list[KnownKey]


class Reason(BaseModel, json_schema_extra={"example": {"reason": "演练结束"}}):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid")

    reason: PlainText
