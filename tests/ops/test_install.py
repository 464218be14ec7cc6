"""The environment is made from the lock file, once, and a damaged lock file is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.services import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what `ops/install.py` looks at and an empty lock file."""
    (tmp_path / "ops").mkdir()
    shutil.copy(ROOT / "ops" / "install.py", tmp_path / "ops")
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    (tmp_path / "requirements.lock").write_text("# nothing\n", encoding="utf-8")
    return tmp_path


def install(checkout: Path, lock: str = "requirements.lock") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "ops/install.py", lock], cwd=checkout, capture_output=True, text=True, check=False)


def test_a_damaged_lock_file_is_named_with_its_remedy(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    done = install(checkout)
    assert done.returncode == 1
    assert "Invalid requirement" in done.stderr
    assert "git checkout -- requirements.lock" in done.stderr
    assert not (checkout / ".venv" / "installed.json").exists()


def test_a_requirement_without_a_hash_is_refused(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("typer==0.29.2\n", encoding="utf-8")
    done = install(checkout)
    assert done.returncode == 1
    assert "hash" in done.stderr


def test_a_missing_lock_file_is_named(checkout: Path) -> None:
    done = install(checkout, "requirements-dev.lock")
    assert done.returncode == 1
    assert "git checkout -- requirements-dev.lock" in done.stderr
