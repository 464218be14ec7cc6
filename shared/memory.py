"""How the C library keeps memory that was freed: columns of a megabyte come and go with every question."""

from __future__ import annotations

import ctypes

MAPPED_FROM = 16 * 1024 * 1024
"""Bytes of one piece from which it is given back to the system at once."""
KEPT_FREE = 64 * 1024 * 1024
"""Most bytes that stay free at the end of the heap for the next question."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let freed columns serve again. By itself glibc gives them back, and each page must be cleared anew: a fifth of the time of a merge."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, MAPPED_FROM)
        mallopt(_TRIM_THRESHOLD, KEPT_FREE)
