"""Two cities for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.city import City
from tests.intercity.cities import TwoCities, two_cities


@pytest.fixture(scope="session")
async def cities(city: City, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoCities]:
    folder: Path = tmp_path_factory.mktemp("cities")
    async with two_cities(city, folder) as found:
        yield found
