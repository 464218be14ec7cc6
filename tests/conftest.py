"""Fixtures of all tests: a city with real servers, and the shared data if they are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadFileScheduling

from tests.city import City

structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
WHOLE_CITIES = {"running_city", "faulted"}
_CITY = pytest.StashKey[City]()
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first: pure ones, then those on the shared servers, then those that start a whole city.

    With several workers the long files come first and the quick ones last, so that all workers end at the same time: faults before all, while the
    other worker does tests on the shared servers; then whole cities; pure tests fill what is left.
    """
    shared = os.environ.get("PYTEST_XDIST_WORKER") is not None
    items.sort(key=_rank_of_several if shared else _rank)


def _rank(item: pytest.Item) -> int:
    found = _fixtures(item)
    return 2 if found & WHOLE_CITIES else 1 if "city" in found else 0


def _rank_of_several(item: pytest.Item) -> int:
    return 0 if "faulted" in _fixtures(item) else (3, 1, 2)[_rank(item)]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Each file is one worker's; all faults together are, because they share a running city."""

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it ships no types
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return "tests/faults" if file.startswith("tests/faults/") else file

    return Scheduling(config, log)


def _fixtures(item: pytest.Item) -> frozenset[str]:
    return frozenset(getattr(item, "fixturenames", ()))


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
