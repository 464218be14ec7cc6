"""Both clients under one roof: the one that waits is called in a thread, since the hub of a test runs in this one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import islice
from typing import Any

from liandong import AsyncClient, Client


class Asking:
    """A client whose methods are awaited, whichever it is."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        method = getattr(self.client, name)
        if isinstance(self.client, AsyncClient):
            return await method(*arguments, **options)
        return await asyncio.to_thread(method, *arguments, **options)

    async def first(self, count: int, name: str, *arguments: Any, **options: Any) -> list[Any]:
        """The first things that `pages` or `events` gives."""
        found = getattr(self.client, name)(*arguments, **options)
        if isinstance(self.client, Client):
            return await asyncio.to_thread(lambda: list(islice(found, count)))
        taken: list[Any] = []
        async with asyncio.timeout(20), aclosing(found):
            async for each in found:
                taken.append(each)
                if len(taken) == count:
                    break
        return taken

    async def all(self, found: Any) -> list[Any]:
        """Everything that can be iterated over, either way."""
        return [each async for each in found] if isinstance(self.client, AsyncClient) else await asyncio.to_thread(list, found)

    async def close(self) -> None:
        await self.call("close")
