"""Keyset paging: the place where the next page begins, as an opaque token that only its own query and caller can use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from shared.caller import Caller
from shared.errors import InvalidRequest
from shared.vocabulary import Text

MOST_CHARACTERS = 16 * 1024
_DIGEST_BYTES = 32


class InvalidPageToken(InvalidRequest):
    slug = "invalid-page-token"
    title = Text("分页令牌无效", "Invalid page token")
    remedy = Text(
        "从第一页重新开始；令牌只用于给出它的查询和调用者。", "Begin again with the first page; a token serves only the query and the caller it was given to."
    )


def paging_key(secret: str) -> bytes:
    """The key that authenticates page tokens, derived from a secret that all replicas of a service share."""
    return hmac.digest(secret.encode(), b"liandong page token v1", "sha256")


def seal(key: bytes, place: Mapping[str, Any], *, query: Any, caller: Caller) -> str:
    """A token for `place` (JSON values), bound to the query and to the caller's subject and rights. Authentic, not secret."""
    content = json.dumps(place, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_digest(key, content, query, caller) + content).decode().rstrip("=")


def unseal(key: bytes, token: str, *, query: Any, caller: Caller, pointer: str = "/token") -> dict[str, Any]:
    """The place in a token made by `seal`; `InvalidPageToken` if anything about it is not as it was."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True) if len(token) <= MOST_CHARACTERS else b""
    except (binascii.Error, ValueError):
        raw = b""
    content = raw[_DIGEST_BYTES:]
    if not hmac.compare_digest(raw[:_DIGEST_BYTES], _digest(key, content, query, caller)):
        raise InvalidPageToken("This page token was not given for this query and this caller, or it was changed.", pointer=pointer)
    place: dict[str, Any] = json.loads(content)
    return place


def _digest(key: bytes, content: bytes, query: Any, caller: Caller) -> bytes:
    """Over the content and all that the answer depends on: changing any of it ends the paging."""
    rights = [caller.subject, sorted(caller.scopes), sorted(caller.areas), caller.clearance.grade, caller.clearance.personal, caller.actor, caller.purpose]
    bound = json.dumps([query, rights], separators=(",", ":"), sort_keys=True).encode()
    return hmac.digest(key, hashlib.sha256(bound).digest() + content, "sha256")
