"""What crosses HTTP about sources: what they announce, how they are registered, how they are."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, UrlConstraints

from services.hub.catalog.domain import Health, Kind

CONTRACT = "1"
SourceName = Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}/[a-z][a-z0-9]{0,31}$", examples=["430300/traffic"])]
DatasetId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,31}\.[a-z][a-z0-9_]{0,62}$")]


def _plain(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username is not None or url.password is not None or url.query is not None or url.fragment is not None:
        raise ValueError("is an address to which paths are added: without credentials, query and fragment")
    try:
        address = ip_address((url.host or "").strip("[]"))
    except ValueError:
        return url  # a name
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise ValueError("is the address of a service, not a link-local, multicast or unspecified one")
    return url


BaseUrl = Annotated[AnyHttpUrl, UrlConstraints(max_length=512), AfterValidator(_plain)]


def _public_key(key: dict[str, Any]) -> dict[str, Any]:
    try:
        known = OKPKey.import_key({name: value for name, value in key.items() if name in ("kty", "crv", "x", "kid")})
    except (JoseError, KeyError, ValueError, TypeError) as error:
        raise ValueError("must be a public Ed25519 key as a JWK") from error
    if "d" in key or known.curve_name != "Ed25519":
        raise ValueError("must be a public Ed25519 key as a JWK, without its private part")
    return dict(known.as_dict(private=False))


PublicKey = Annotated[dict[str, Any], AfterValidator(_public_key)]


class Announced(BaseModel):
    """One dataset in `GET /capabilities`."""

    id: DatasetId
    version: Annotated[str | None, Field(max_length=64)] = None
    as_of: Annotated[str | None, Field(max_length=40)] = None


class AnnouncedLookup(BaseModel):
    """One lookup in `GET /capabilities`."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,31}\.[a-z][a-z0-9-]{0,62}$")]
    path: Annotated[str, Field(pattern=r"^(/[a-z0-9][a-z0-9-]{0,62}){1,4}$")]
    title: Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=8)] = {}


class AnnouncedPeer(BaseModel):
    """A peer city that the gateway can ask, in its `GET /capabilities`."""

    city: Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]
    url_path: Annotated[str, Field(pattern=r"^(/[a-z0-9][a-z0-9-]{0,62}){1,4}$")]


class Announcement(BaseModel):
    """What a source says of itself at `GET /capabilities`; what else it says is not needed here."""

    service: Annotated[str, Field(max_length=32)]
    city: Annotated[str, Field(max_length=32)]
    version: Annotated[str, Field(max_length=64)]
    contract: Literal["1"]
    datasets: Annotated[list[Announced], Field(max_length=500)]
    lookups: Annotated[list[AnnouncedLookup], Field(max_length=100)] = []
    peers: Annotated[list[AnnouncedPeer], Field(max_length=500)] = []


class SourceIn(BaseModel):
    """A source to ask from now on."""

    model_config = ConfigDict(extra="forbid")

    name: SourceName
    kind: Kind = "sector"
    url: BaseUrl
    key: PublicKey | None = None


class KeyIn(BaseModel):
    """The key of a source that is to be believed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"key": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}}
    )

    key: Annotated[PublicKey | None, Field(description="Without one, the next key that the source proves is pinned")]


class DriftOut(BaseModel):
    """What changed in a schema, by field."""

    added: list[str]
    removed: Annotated[list[str], Field(description="Shown to administrators")]
    retyped: list[str]
    altered: Annotated[list[str], Field(description="Another unit, label, range, list of values, role, or need to be there")]


class OfferOut(BaseModel):
    """A dataset of a source, as far as it exists for the asker."""

    dataset: str
    version: str | None
    as_of: str | None
    schema_digest: str
    drifted: Annotated[bool, Field(description="Whether its schema has changed since the hub first met it")]
    changed_at: datetime
    changes: Annotated[DriftOut | None, Field(description="What that change was, as far as the asker may see the fields")] = None


class SourceOut(BaseModel):
    """A source and how it is."""

    name: str
    kind: Kind
    health: Health
    since: datetime | None
    last_seen: datetime | None
    circuit: Annotated[str, Field(description="closed: asked; open: left alone after repeated failures; half-open: tried once")]
    elapsed_ms: int | None
    version: str | None
    problem: dict[str, Any] | None
    datasets: list[OfferOut]
    url: Annotated[str | None, Field(description="Shown to administrators")]
    key: Annotated[dict[str, Any] | None, Field(description="The pinned key, who pinned it (`first use` or an administrator) and when")]
    trust: Annotated[
        Literal["proven", "unproven", "unknown"], Field(description="Whether the last heartbeat found it to hold that key; else it is sent nothing")
    ]
    added_by: str
