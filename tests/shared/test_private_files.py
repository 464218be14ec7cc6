"""Private files: whole, of the owner alone, and made once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.private_files import make_private, write_private


def test_a_written_file_is_the_owners_alone_and_takes_the_place_of_the_old_one(tmp_path: Path):
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (b"new", 0o600, [path])


def test_of_many_that_make_a_file_at_once_one_does_and_all_read_the_same(tmp_path: Path):
    path = tmp_path / "folder" / "key"

    def made(number: int) -> bytes:
        make_private(path, b"%d" % number)
        return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(made, range(32)))) == 1
    assert (path.stat().st_mode & 0o777, list(path.parent.iterdir())) == (0o600, [path])


def test_what_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "key").mkdir()
    with pytest.raises(OSError, match="key"):
        write_private(tmp_path / "key", b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["key"]
