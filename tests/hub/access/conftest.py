"""A hub that runs in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.hub.app import service
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.hub.hub_under_test import HubUnderTest, clients_file


@pytest.fixture
async def hub(city: City, tmp_path: Path) -> AsyncIterator[HubUnderTest]:
    path, secrets = clients_file(tmp_path)
    app = create_app(service, city.settings("hub", clients_file=path))
    async with running(app) as client:
        yield HubUnderTest(app, client, secrets, city)
