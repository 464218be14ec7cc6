"""Who a peer is: its key, and the fingerprint by which people confirm it out of band."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

CITY_PATTERN = r"^[0-9]{6}$"
SUITE = "Ed25519"
"""The algorithm suite that is known: EdDSA over Ed25519 by its fully specified name (RFC 9864), SHA-256 for digests."""


def fingerprint(key: Mapping[str, Any]) -> str:
    """The thumbprint of an Ed25519 key (RFC 7638 with SHA-256, members of RFC 8037), base64url."""
    members = json.dumps({"crv": key["crv"], "kty": key["kty"], "x": key["x"]}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).decode().rstrip("=")


def spoken(print_: str) -> str:
    """A fingerprint for reading aloud: its 256 bits as sixteen groups of four hexadecimal digits."""
    digits = base64.urlsafe_b64decode(print_ + "=").hex()
    return " ".join(digits[place : place + 4] for place in range(0, 64, 4))


def confirms(told: str, key: Mapping[str, Any]) -> bool:
    """Whether a fingerprint that was told, in either form, is that of the key; blanks and hyphens between groups do not count."""
    known = fingerprint(key)
    if hmac.compare_digest(told.strip().encode(), known.encode()):
        return True
    digits = re.sub(r"[\s-]", "", told).lower()
    return hmac.compare_digest(digits.encode(), spoken(known).replace(" ", "").encode())
