"""Freed columns serve again."""

from __future__ import annotations

import subprocess
import sys

FAULTS = """
import resource
import numpy as np
from shared.memory import keep_freed_memory
{prepared}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(50):
    columns = [np.ones(300_000) for _ in range(4)]
    del columns
print(faults() - before)
"""


def faults(prepared: str) -> int:
    """Pages that fifty rounds of four columns ask of the system."""
    return int(subprocess.run([sys.executable, "-c", FAULTS.format(prepared=prepared)], check=True, capture_output=True, text=True).stdout)


def test_columns_that_come_and_go_are_not_asked_of_the_system_each_time() -> None:
    assert faults("keep_freed_memory()") * 5 < faults("")
