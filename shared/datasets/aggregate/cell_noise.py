"""Perturbation by cell key: a count is moved by a small bounded number that its members and a secret decide, the same for everybody at all times.

After the cell-key method of the Australian Bureau of Statistics (Fraser and Wooton 2005; Thompson, Broadfoot and Elazar 2013): as the
noise depends on who is in the cell and on nothing else, asking again, asking in other words and asking through many people brings the
same noise; as a cell with one person more or less has other noise, differences of cells show differences of noise (docs/adr/0018).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import stat
from bisect import bisect_right
from functools import cache
from pathlib import Path

from shared.errors import Unavailable
from shared.private_files import make_private

AT_MOST = 5
"""The largest change of a count."""
_SPREAD = 2.5
_KEY_BYTES = 32


@cache
def table(count: int) -> tuple[float, ...]:
    """How probable the changes of a count are, from `-m` to `m` with `m = min(AT_MOST, count)`: proportional to exp(-d² / (2 · 2.5²)).

    It is symmetric, so no count is biased, and no count becomes negative. Published: what it hides rests on the key alone.
    """
    most = min(AT_MOST, count)
    weights = [math.exp(-(change**2) / (2 * _SPREAD**2)) for change in range(-most, most + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def variance(count: int = AT_MOST) -> float:
    """The variance of the change of a count."""
    most = min(AT_MOST, count)
    return sum(change**2 * part for change, part in zip(range(-most, most + 1), table(most), strict=True))


DESCRIPTION = {"at_most": AT_MOST, "variance": round(variance(), 2), "per": "source"}
"""What the column of a perturbed count says of itself."""


def perturbed(key: bytes, dataset: str, members: str, count: int) -> int:
    """The count as it may be shown. `members` is a fingerprint of who is in the cell. Nothing stays nothing."""
    if count <= 0:
        return 0
    digest = hmac.digest(key, f"{dataset}\0{members}".encode(), hashlib.sha256)
    cumulative = _cumulative(min(AT_MOST, count))
    chance = int.from_bytes(digest[:8], "big") / 2**64
    return count - min(AT_MOST, count) + min(bisect_right(cumulative, chance), len(cumulative) - 1)


@cache
def _cumulative(most: int) -> tuple[float, ...]:
    found, total = [], 0.0
    for part in table(most):
        total += part
        found.append(total)
    return tuple(found)


@cache
def key_of(path: Path) -> bytes:
    """The secret in a file that only its owner may read, made if there is none: all processes of a service must have the same.

    Raises `Unavailable` if others may read it: then nothing is answered rather than something that can be undone.
    """
    if not path.exists():
        make_private(path, secrets.token_hex(_KEY_BYTES).encode())
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Unavailable("The key that protects personal data may be read by others; its file must have mode 0600.")
    return bytes.fromhex(path.read_text(encoding="ascii").strip())
