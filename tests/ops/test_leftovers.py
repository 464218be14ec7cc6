"""What an unclean end leaves behind is found and ended; what is somebody else's is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.leftovers import Ledger, end_all
from tests.ops.running_city import living

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ignores SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_leftover_is_found_by_a_later_ledger_and_ended_even_if_it_is_stubborn(tmp_path: Path, stubborn: subprocess.Popen[bytes]) -> None:
    Ledger(tmp_path / "processes.json").enter("fire", stubborn.pid)
    left = Ledger(tmp_path / "processes.json").alive()
    assert {name: process.pid for name, process in left.items()} == {"fire": stubborn.pid}
    end_all(list(left.values()), patience_s=0.3)
    assert not living(list(left.values()))


def test_a_process_that_got_the_pid_later_is_not_ours(tmp_path: Path, stubborn: subprocess.Popen[bytes]) -> None:
    ledger = Ledger(tmp_path / "processes.json")
    ledger.enter("fire", stubborn.pid)
    (pid, started), *_ = json.loads((tmp_path / "processes.json").read_text(encoding="utf-8")).values()
    (tmp_path / "processes.json").write_text(json.dumps({"fire": [pid, started - 60]}), encoding="utf-8")
    assert Ledger(tmp_path / "processes.json").alive() == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fire": [999999999, 1.0]}'])
def test_a_damaged_or_old_ledger_is_no_obstacle(tmp_path: Path, content: str) -> None:
    (tmp_path / "processes.json").write_text(content, encoding="utf-8")
    assert Ledger(tmp_path / "processes.json").alive() == {}
