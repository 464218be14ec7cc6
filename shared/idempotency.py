"""`Idempotency-Key`: the same request sent again gets the same answer, and nothing happens twice.

The record is written in the transaction of the change, so there is either both or neither. A request that comes while the first
one still runs waits for it. The key belongs to the client (the token's subject); records are kept 24 hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import AnyCaller
from shared.database import Session, core_metadata
from shared.errors import InvalidRequest, Problem, Unavailable
from shared.vocabulary import Text

idempotency = sa.Table(
    "idempotency",
    core_metadata,
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 over method, target and body"),
    sa.Column("status", sa.SmallInteger),
    sa.Column("answer", sa.LargeBinary),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
)
sa.Index("ix_idempotency_recorded_at", idempotency.c.recorded_at)

_CLAIM = text("""
    WITH forgotten AS (
        DELETE FROM idempotency WHERE (client, key) IN (
            SELECT client, key FROM idempotency
            WHERE recorded_at < now() - interval '24 hours' AND (client, key) <> (:client, :key)
            ORDER BY recorded_at LIMIT 10 FOR UPDATE SKIP LOCKED
        )
    )
    INSERT INTO idempotency AS kept (client, key, digest) VALUES (:client, :key, :digest)
    ON CONFLICT (client, key) DO UPDATE SET digest = excluded.digest, status = NULL, answer = NULL, recorded_at = clock_timestamp()
    WHERE kept.recorded_at < now() - interval '24 hours'
    RETURNING true
""")
"""Waits while another transaction holds the same key; forgets a few old records on the way, so that nobody else has to."""
_EARLIER = text("SELECT digest, status, answer FROM idempotency WHERE client = :client AND key = :key")
_KEEP = text("UPDATE idempotency SET status = :status, answer = :answer WHERE client = :client AND key = :key")


class KeyReused(Problem):
    slug, status = "idempotency-key-reused", 422
    title = Text("幂等键已用于另一请求", "Idempotency key used for another request")
    remedy = Text("为不同的请求使用新的 Idempotency-Key。", "Use a new Idempotency-Key for a different request.")


class Once:
    """Runs the work of a request at most once for each key; without a key, every time."""

    def __init__(self, request: Request, session: AsyncSession, client: str, key: str | None) -> None:
        self._request, self._session, self._client, self._key = request, session, client, key

    async def __call__(self, work: Callable[[], Awaitable[Any]], *, body_digest: bytes | None = None, status: int = 200) -> Response:
        """The answer of `work` as JSON, or the kept answer of the same request.

        `work` must do all it does in the request's session. `body_digest` is the SHA-256 of the body where the route read it itself.
        Raises `KeyReused` if the key came with another method, target or body before.
        """
        if self._key is None:
            return _json(await _content(work), status)
        given = {"client": self._client, "key": self._key}
        digest = self._digest(body_digest or hashlib.sha256(await self._request.body()).digest())
        if await self._session.scalar(_CLAIM, {**given, "digest": digest}) is None:
            earlier = (await self._session.execute(_EARLIER, given)).one_or_none()
            if earlier is None:
                raise Unavailable("The earlier request with this Idempotency-Key is just being forgotten; send again.")
            if earlier.digest != digest:
                raise KeyReused(f"Idempotency-Key {self._key!r} was used within 24 hours for another request.", pointer="/idempotency-key")
            return _json(earlier.answer, earlier.status, {"Idempotency-Replayed": "true"})
        content = await _content(work)
        await self._session.execute(_KEEP, {**given, "status": status, "answer": content})
        return _json(content, status)

    def _digest(self, body_digest: bytes) -> bytes:
        target = f"{self._request.method} {self._request.url.path}?{self._request.url.query}\n"
        return hashlib.sha256(target.encode() + body_digest).digest()


async def _content(work: Callable[[], Awaitable[Any]]) -> bytes:
    return orjson.dumps(await work(), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _json(content: bytes, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(content, status, headers, media_type="application/json")


async def _once(
    request: Request,
    session: Session,
    caller: AnyCaller,
    idempotency_key: Annotated[
        str | None, Header(description="Any text of the client's own; the same request sent again with it takes effect once", max_length=200)
    ] = None,
) -> Once:
    if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable() and idempotency_key.strip()):
        raise InvalidRequest("Idempotency-Key must be 1 to 200 printable ASCII characters.", pointer="/idempotency-key")
    return Once(request, session, caller.subject, idempotency_key)


Repeatable = Annotated[Once, Depends(_once, scope="function")]
"""For a route that may be repeated: `return await once(work)`."""
