"""One running city for all faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.faulted_city import FaultedCity
from tests.ops.running_city import free_port_base


@pytest.fixture(scope="session")
def faulted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultedCity]:
    made = FaultedCity(tmp_path_factory.mktemp("faulted"), free_port_base())
    made.start()
    made.prepare()
    yield made
    made.close()
