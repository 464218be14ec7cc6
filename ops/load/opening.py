"""Opens a publisher's file: decompressed by its name, as UTF-8 whatever it was written in."""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ops.load.mapping import CannotMap

PIECE = 1 << 20
REPLACED = "�"
"""Stands where bytes could not be decoded."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a file before it is loaded."""

    digest: str
    """SHA-256 of the file as it lies there, hexadecimal."""
    lines: int
    """Line ends after decompression; how far a load has come is measured by them."""


def survey(path: Path) -> Survey:
    """Read a file once, for its digest and its length."""
    with readable(path):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines = 0
        with pa.input_stream(str(path), compression="detect", buffer_size=PIECE) as stream:
            while piece := stream.read(PIECE):
                lines += piece.count(b"\n")
    return Survey(digest, lines)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that cannot be read. Raises `CannotMap`."""
    try:
        yield
    except FileNotFoundError as error:
        raise CannotMap(f"There is no file {path}.") from error
    except (OSError, pa.ArrowException) as error:
        raise CannotMap(f"{path} cannot be read: {str(error)[:300]}") from error


def opened(path: Path, encoding: str) -> io.BufferedReader:
    """The file's text as UTF-8 without a byte order mark; what cannot be decoded is `REPLACED`."""
    stream = pa.input_stream(str(path), compression="detect", buffer_size=PIECE)
    return io.BufferedReader(_Recoded(stream, encoding), PIECE)


class _Recoded(io.RawIOBase):
    """A stream of bytes in one encoding, read as UTF-8."""

    def __init__(self, stream: Any, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)("replace")
        self._ready, self._ended = memoryview(b""), False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            piece = self._stream.read(PIECE)
            self._ended = not piece
            self._ready = memoryview(self._decoder.decode(piece, final=self._ended).encode())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()
