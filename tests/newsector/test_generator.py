"""A new sector: made whole or not at all, sound as it stands, keeping the contract."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.newsector import writing
from ops.newsector.names import CannotMake
from ops.newsector.plan import plan
from ops.services import ROOT

PARTS = ("services", "shared", "ops", "tests", "docs", "bench", "deploy", "pyproject.toml", "alembic.ini", "compose.yaml")
LISTS = ("shared/events/catalogue.py", "shared/sectors.py", "pyproject.toml", "alembic.ini")
LONGEST, SHORTEST = "abcdefghijklmnopqrst", "zq"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that name every service, and nothing else."""
    for part in LISTS:
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    return tmp_path


@pytest.fixture
def whole_checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of this repository's files, without what runs or is built."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, tmp_path / part)
    yield tmp_path
    shutil.rmtree(tmp_path)


def content(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", *command], cwd=root, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.mark.proof
def test_a_new_sector_is_formatted_linted_tested_and_conforms(whole_checkout: Path) -> None:
    began = time.monotonic()
    made = run(whole_checkout, "ops.cli", "new", "sector", "heritage", "--zh", "文物", "--en", "Heritage", "--root", str(whole_checkout))
    assert "make test TESTS=tests/heritage" in made.stdout and "in step\n" in made.stdout
    tested = run(whole_checkout, "pytest", "-q", "-p", "no:cacheprovider", "tests/heritage")
    print(f"from the command to a service that conforms: {time.monotonic() - began:.1f} s")  # noqa: T201 - told by pytest -s
    assert "4 passed" in tested.stdout
    assert "heritage +8" in (whole_checkout / "docs/settings.md").read_text() or "heritage +9" in (whole_checkout / "docs/settings.md").read_text()
    assert "文物" in (whole_checkout / "services/heritage/app.py").read_text(encoding="utf-8")
    again = subprocess.run(
        [sys.executable, "-m", "ops.cli", "new", "sector", "heritage", "--root", str(whole_checkout)], capture_output=True, cwd=whole_checkout, check=False
    )
    assert again.returncode == 2


@pytest.mark.parametrize("name", [SHORTEST, LONGEST, "community"])
def test_what_is_made_keeps_the_format_whatever_its_name(checkout: Path, name: str) -> None:
    changes = plan(checkout, name, "示例", "Example")
    writing.write(changes)
    written = [str(path) for path in changes if path.suffix == ".py"]
    run(checkout, "ruff", "format", "--check", "--no-cache", *written)
    run(checkout, "ruff", "check", "--no-cache", *written)


@pytest.mark.proof
def test_what_is_made_keeps_types_and_import_rules(whole_checkout: Path) -> None:
    writing.write(plan(whole_checkout, "heritage", "文物", "Heritage"))
    run(whole_checkout, "mypy", "services/heritage", "tests/heritage", "shared/events")
    done = subprocess.run([str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=whole_checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(
    "name", ["", "a", "Water", "wa-ter", "1st", "wasser_werk", "food", "hub", "class", "../etc", "model", "x" * 21, "水务", "env\n", "postgres"]
)
def test_a_name_that_is_no_good_or_taken_changes_nothing(name: str) -> None:
    with pytest.raises(CannotMake):
        plan(ROOT, name, "某", "Some")


@pytest.mark.parametrize("title", ["", 'a"b', "a\\b", "{x}", "x" * 41, "a\nb"])
def test_a_title_that_could_not_stand_in_code_is_refused(title: str) -> None:
    with pytest.raises(CannotMake):
        plan(ROOT, "heritage", title, "Some")


@pytest.mark.parametrize("list_file", ["shared/events/catalogue.py", "pyproject.toml", "alembic.ini"])
def test_a_list_that_looks_otherwise_stops_it_before_anything_is_written(checkout: Path, list_file: str) -> None:
    if list_file == "alembic.ini":
        (checkout / list_file).unlink()
    else:
        (checkout / list_file).write_text("nothing\n", encoding="utf-8")
    before = content(checkout)
    with pytest.raises(CannotMake, match=list_file):
        plan(checkout, "heritage", "文物", "Heritage")
    assert content(checkout) == before


def test_a_disk_that_fails_half_way_leaves_nothing_behind(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, before, written = plan(checkout, "heritage", "文物", "Heritage"), content(checkout), 0
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        nonlocal written
        written += 1
        if written == len(changes) - 1:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="No space"):
        writing.write(changes)
    assert content(checkout) == before
    assert not (checkout / "services/heritage").exists()
