"""A message as bytes: a compact JWS (RFC 7515, 8037) over canonical JSON (RFC 8785), a line feed, and the payload that its digest binds.

The same bytes travel over HTTP, an exchange platform, or as a file across an air gap.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
import rfc8785
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.intercity.messages.domain import MessageMalformed, SignatureInvalid, digest_of
from services.intercity.peers.domain import CITY_PATTERN, SUITE
from services.intercity.peers.keyring import Keyring
from shared.datasets.aggregate.question import Moment

MEDIA_TYPE = "application/vnd.liandong.message"
TYP = "liandong-message+jws"
VERSION = "1"
_MOST_HEAD = 16 * 1024
City = Annotated[str, Field(pattern=CITY_PATTERN)]
MessageId = Annotated[str, Field(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$", description="ULID")]
Digest = Annotated[str, Field(pattern=r"^sha-256=:[A-Za-z0-9+/]{43}=:$")]
AgreementId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,63}$")]


class Reply(BaseModel):
    """What an answer says of the message that it answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: MessageId
    digest: Digest
    status: Annotated[int, Field(ge=200, le=599)]


class Envelope(BaseModel):
    """The signed part of a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    version: Literal["1"] = "1"
    id: MessageId
    sender: Annotated[City, Field(alias="from")]
    recipient: Annotated[City, Field(alias="to")]
    agreement: AgreementId | None
    purpose: Word | None
    operation: Word
    created: Moment
    expires: Moment
    suite: Literal["Ed25519"] = "Ed25519"
    type: Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]{1,80}$")]
    digest: Digest
    reply: Reply | None = None
    checkpoint: Annotated[str | None, Field(max_length=2048, pattern=r"^[A-Za-z0-9_.-]+$")] = None

    def canonical(self) -> bytes:
        """The bytes that are signed."""
        members = {
            name: value for name, value in self.__dict__.items() if name not in ("sender", "recipient", "created", "expires", "reply") and value is not None
        }
        times = {"created": moment(self.created), "expires": moment(self.expires)}
        reply = {"reply": dict(self.reply.__dict__)} if self.reply else {}
        return rfc8785.dumps({**members, "from": self.sender, "to": self.recipient, **times, **reply, "agreement": self.agreement, "purpose": self.purpose})


@dataclass(frozen=True, slots=True)
class Message:
    """A signed message and its payload."""

    envelope: Envelope
    signed: str
    """The compact JWS."""
    payload: bytes
    fingerprint: str
    """Of the key that it says it was signed with."""

    @property
    def digest(self) -> str:
        """By which answers and the log name the signed object."""
        return digest_of(self.signed.encode())

    @property
    def wire(self) -> bytes:
        return self.signed.encode() + b"\n" + self.payload


def moment(time: datetime) -> str:
    """UTC with `Z`, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sign(keys: Keyring, content: bytes, typ: str = TYP) -> str:
    """A compact JWS with the key that signs now."""
    return jws.serialize_compact({"alg": SUITE, "kid": keys.current.fingerprint, "typ": typ}, content, keys.current.jwk, algorithms=[SUITE])


def seal(keys: Keyring, envelope: Envelope, payload: bytes) -> Message:
    """The message, signed."""
    return Message(envelope, sign(keys, envelope.canonical()), payload, keys.current.fingerprint)


def read(content: bytes) -> Message:
    """A message whose signature is yet to be verified; `MessageMalformed` if it is none."""
    signed, separator, payload = content.partition(b"\n")
    if not separator or len(signed) > _MOST_HEAD:
        raise MessageMalformed("The first line is no signed envelope.")
    return message_of(signed, payload)


def message_of(signed: bytes, payload: bytes) -> Message:
    """The message of a signed envelope and its payload, as `read`."""
    try:
        head, body, _ = signed.split(b".")
        header, content = orjson.loads(_decoded(head)), _decoded(body)
        fingerprint = header["kid"]
        envelope = Envelope.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise MessageMalformed(f"The envelope is wrong at /{'/'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise MessageMalformed("The first line is no compact JWS with a key id.") from error
    if not isinstance(header, dict) or header.get("alg") != SUITE or header.get("typ") != TYP or not isinstance(fingerprint, str):
        raise MessageMalformed(f"The signature must be of type {TYP} with the algorithm {SUITE}.")
    if envelope.canonical() != content:
        raise MessageMalformed("The envelope is not canonical JSON (RFC 8785), or its times are not in UTC to the millisecond.")
    return Message(envelope, signed.decode(), payload, fingerprint)


def check(message: Message, key: OKPKey) -> None:
    """Raise `SignatureInvalid` unless the key signed the envelope, and the payload is the one whose digest it names."""
    verify(message.signed, key)
    if digest_of(message.payload) != message.envelope.digest:
        raise SignatureInvalid("The payload is not the one whose digest was signed.")


def verify(signed: str, key: OKPKey) -> bytes:
    """What was signed, or `SignatureInvalid`."""
    try:
        return jws.deserialize_compact(signed, key, algorithms=[SUITE]).payload
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignatureInvalid("The signature does not verify with the confirmed key.") from error


def detach(signed: str) -> str:
    """A compact JWS without its payload (RFC 7515, appendix F)."""
    head, _, signature = signed.split(".")
    return f"{head}..{signature}"


def attach(detached: str, content: bytes) -> str:
    """A detached JWS with its payload again; `ValueError` if it is none."""
    head, nothing, signature = detached.split(".")
    if nothing:
        raise ValueError("not detached")
    return f"{head}.{base64.urlsafe_b64encode(content).decode().rstrip('=')}.{signature}"


def key_named(signed: str) -> str:
    """The fingerprint in the header of a JWS; empty if there is none."""
    try:
        named = orjson.loads(_decoded(signed.split(".", 1)[0].encode()))["kid"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return ""
    return named if isinstance(named, str) else ""


def json_payload(content: bytes) -> Any:
    """The payload as JSON; `MessageMalformed` if it is none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise MessageMalformed("The payload is not JSON.") from error


def _decoded(part: bytes) -> bytes:
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
