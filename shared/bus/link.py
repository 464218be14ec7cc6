"""One connection to Redis that never reconnects by itself, so whoever uses it knows when something may have been lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import RedisError, ResponseError

LOST = (RedisError, OSError, TimeoutError)
"""What a link raises when Redis is away or refuses; nothing that was sent may be taken as done."""
PATIENCE_S = 5.0
"""How long Redis may take for an answer, beyond the time it was told to block."""

Command = tuple[str | bytes | int, ...]


class Link:
    """Commands in one write, their answers in one read. An answer that is an error is returned, not raised, by `ask_all`."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def ask(self, *command: str | bytes | int, blocking_s: float = 0.0) -> Any:
        """The answer to one command; raises its error."""
        (answer,) = await self.ask_all([command], blocking_s=blocking_s)
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    async def ask_all(self, commands: Sequence[Command], *, blocking_s: float = 0.0) -> list[Any]:
        """The answers to several commands, sent together; the last may block for `blocking_s` seconds."""
        if not self._connection.is_connected:
            raise ConnectionResetError("the link to Redis is broken")
        async with asyncio.timeout(PATIENCE_S + blocking_s):
            await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
            return [await self._answer() for _ in commands]

    async def _answer(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error


@asynccontextmanager
async def open_link(url: SecretStr | None) -> AsyncIterator[Link]:
    """A link for the time of the block; raises one of `LOST` if Redis cannot be reached or refuses the user."""
    if url is None:
        raise ConnectionRefusedError("no Redis is configured for this user")
    named: dict[str, Any] = {**parse_url(url.get_secret_value())}
    kind: type[AbstractConnection] = named.pop("connection_class", Connection)
    connection = kind(**named, socket_timeout=None, socket_connect_timeout=PATIENCE_S, driver_info=None, protocol=2)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        yield Link(connection)
    finally:
        await connection.disconnect(nowait=True)
