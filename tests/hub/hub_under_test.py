"""A hub with its clients file, in this process, and what tests ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from services.hub.access.clients_file import default_clients, write_clients
from tests.city import City


class HubUnderTest:
    def __init__(self, app: FastAPI, client: httpx.AsyncClient, secrets: dict[str, str], city: City) -> None:
        self.app, self.client, self.secrets, self.city = app, client, secrets, city

    async def ask(self, who: str, **form: str) -> httpx.Response:
        """What POST /oauth/token answers to one of the default clients."""
        credentials = {"grant_type": "client_credentials", "client_id": who, "client_secret": self.secrets[who]}
        return await self.client.post("/oauth/token", data={**credentials, **form})

    async def headers(self, who: str, **form: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {(await self.ask(who, **form)).json()['access_token']}"}


def clients_file(folder: Path) -> tuple[Path, dict[str, str]]:
    entries: list[dict[str, Any]] = default_clients("430300", dict.fromkeys(("hub", "food", "env"), ()))
    write_clients(folder / "clients.json", entries)
    return folder / "clients.json", {entry["id"]: entry["secret"] for entry in entries}
