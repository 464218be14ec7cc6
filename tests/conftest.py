"""Fixtures of all tests: a city with real servers, and the shared data if they are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.city import City

structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
_CITY = pytest.StashKey[City]()
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first: pure ones, then those on the shared servers, then those that start a whole city."""
    items.sort(key=lambda item: ("running_city" in _fixtures(item), "city" in _fixtures(item)))


def _fixtures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[City]:
    """Real PostgreSQL and Redis, started when the first test asks for them."""
    made = City(tmp_path_factory.mktemp("city"))
    request.config.stash[_CITY] = made
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> Iterator[None]:
    """Databases made for one test end with it; those of wider fixtures stay."""
    made = request.config.stash.get(_CITY, None)
    mark = made.mark() if made else 0
    yield
    if made is not None:
        made.forget(mark)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that is not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the real data in {SHARED_DATA}, which are not part of the repository")
    return SHARED_DATA
