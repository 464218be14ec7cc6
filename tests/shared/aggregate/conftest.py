"""A client of the toy service, for modules whose `settings` name its database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.shared.aggregate.toy import TOY


@pytest.fixture(scope="module")
async def client(city: City, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(TOY, settings)) as made:
        made.headers.update(city.headers("toy", scope="toy:read", clearance={"grade": "general", "personal": "personal"}))
        yield made
