"""Signing keys in their folder: private, rotated without a gap, healed after a crash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.hub.access import keys
from services.hub.access.keys import KEPT_AFTER_USE_S, PUBLISHED_BEFORE_USE_S, USE_S, Keyring, UnsafeKeys, open_keys, rotate, rotate_when_due

NOW = 1_800_000_000


def kids(ring: Keyring) -> list[str]:
    return [key["kid"] for key in ring.published["keys"]]


def test_the_first_start_makes_a_current_and_a_next_key_that_nobody_else_may_read(tmp_path: Path) -> None:
    ring = open_keys(tmp_path / "keys", NOW)
    assert kids(open_keys(tmp_path / "keys", NOW + 5)) == kids(ring)
    assert len(kids(ring)) == 2
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").glob("*.jwk")} == {0o600}
    assert all("d" not in key for key in ring.published["keys"])


def test_rotation_lets_the_published_next_key_sign_and_keeps_the_last_one_published(tmp_path: Path) -> None:
    before = open_keys(tmp_path, NOW)
    after = rotate(tmp_path, NOW + PUBLISHED_BEFORE_USE_S)
    assert after.current.kid == before.following.kid
    assert before.current.kid in kids(after)
    assert after.following.kid not in kids(before)


def test_a_key_signs_only_after_it_has_been_published_long_enough(tmp_path: Path) -> None:
    before = open_keys(tmp_path, NOW)
    assert rotate(tmp_path, NOW + PUBLISHED_BEFORE_USE_S - 1).current.kid == before.current.kid
    assert rotate(tmp_path, NOW + 1, force=True).current.kid == before.following.kid


def test_a_retired_key_goes_when_its_tokens_have_expired(tmp_path: Path) -> None:
    old = open_keys(tmp_path, NOW).current.kid
    rotated = NOW + PUBLISHED_BEFORE_USE_S
    rotate(tmp_path, rotated)
    assert old in kids(rotate_when_due(tmp_path, rotated + KEPT_AFTER_USE_S))
    assert old not in kids(rotate_when_due(tmp_path, rotated + KEPT_AFTER_USE_S + 1))
    assert not (tmp_path / f"{old}.jwk").exists()


def test_keys_rotate_by_themselves_after_their_time(tmp_path: Path) -> None:
    first = open_keys(tmp_path, NOW)
    assert rotate_when_due(tmp_path, NOW + USE_S - 1).current.kid == first.current.kid
    assert rotate_when_due(tmp_path, NOW + USE_S).current.kid == first.following.kid


def test_a_rotation_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    before = open_keys(tmp_path, NOW)
    keys._write(tmp_path, replace(before.following, used_from=NOW + 200))  # killed before the old key was retired and a next one made
    after = open_keys(tmp_path, NOW + 300)
    assert after.current.kid == before.following.kid
    assert [key.kid for key in after.retired] == [before.current.kid]
    assert len(kids(after)) == 3


def test_a_key_that_others_can_read_or_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    ring = open_keys(tmp_path, NOW)
    path = tmp_path / f"{ring.current.kid}.jwk"
    path.chmod(0o644)
    with pytest.raises(UnsafeKeys, match=f"chmod 600 {path}"):
        open_keys(tmp_path, NOW)
    path.chmod(0o600)
    path.write_text("{}")
    with pytest.raises(UnsafeKeys, match="not a signing key"):
        open_keys(tmp_path, NOW)
