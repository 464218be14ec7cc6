"""Pictures of the page, made small: a palette of 256 colours instead of millions (PNG, ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOURS = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def shrink(picture: Path, kept: Path) -> int:
    """Write the picture with the colours that occur most, the others as the nearest of them; its size in bytes."""
    pixels = _pixels(picture.read_bytes())
    height, width, _ = pixels.shape
    colours, inverse, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    palette = colours[np.argsort(-counts)[:COLOURS]].astype(np.int32)
    nearest = np.array([int(((palette - colour) ** 2).sum(1).argmin()) for colour in colours.astype(np.int32)], np.uint8)
    rows = nearest[inverse.reshape(-1)].reshape(height, width)
    content = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = (_chunk(b"IHDR", head), _chunk(b"PLTE", palette.astype(np.uint8).tobytes()), _chunk(b"IDAT", zlib.compress(content, 9)), _chunk(b"IEND", b""))
    kept.parent.mkdir(parents=True, exist_ok=True)
    return kept.write_bytes(_SIGNATURE + b"".join(parts))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _pixels(png: bytes) -> NDArray[np.uint8]:
    """Height × width × RGB of an 8-bit picture that is not interlaced, as browsers take them."""
    position, packed, head = len(_SIGNATURE), b"", b""
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position : position + 8])
        content = png[position + 8 : position + 8 + length]
        head, packed = (content if kind == b"IHDR" else head), packed + (content if kind == b"IDAT" else b"")
        position += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", head[:10])
    assert depth == 8 and colour in (2, 6)
    size = 3 if colour == 2 else 4
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * size)
    rows = np.zeros((height, width, size), np.uint8)
    above = np.zeros((width, size), np.uint8)
    for number in range(height):
        above = rows[number] = _unfiltered(int(raw[number, 0]), raw[number, 1:].reshape(width, size), above)
    return rows[:, :, :3]


def _unfiltered(kind: int, line: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A row without its filter (section 9): none, sub, up, average or Paeth."""
    if kind in (0, 2):
        return line + above if kind else line
    if kind == 1:
        return np.cumsum(line, axis=0, dtype=np.uint8)
    out: Any = np.zeros(line.shape, np.int32)
    left = corner = np.zeros(line.shape[1], np.int32)
    for x in range(len(line)):
        up = above[x].astype(np.int32)
        guess = (left + up) // 2 if kind == 3 else _paeth(left, up, corner)
        out[x] = left = (line[x] + guess) % 256
        corner = up
    result: NDArray[np.uint8] = out.astype(np.uint8)
    return result


def _paeth(left: Any, up: Any, corner: Any) -> Any:
    guess = left + up - corner
    a, b, c = abs(guess - left), abs(guess - up), abs(guess - corner)
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
