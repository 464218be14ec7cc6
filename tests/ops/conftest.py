"""One running city for all tests of the runtime."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ops.running_city import RunningCity, free_port_base


@pytest.fixture(scope="module")
def running_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    made = RunningCity(tmp_path_factory.mktemp("running"), free_port_base())
    made.start()
    yield made
    made.close()
