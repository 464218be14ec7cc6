"""Has a road file read by another process, which may fail, hang or die without harm."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from fastapi import Request
from starlette.datastructures import UploadFile

from shared.errors import InvalidBody, UnsupportedMedia

PATIENCE_S = 300.0
"""How long reading a file may take."""
MEDIA_TYPES = (
    "application/vnd.openstreetmap.data+pbf",
    "application/vnd.openstreetmap.data+xml",
    "application/octet-stream",
    "application/gzip",
    "application/xml",
    "text/csv",
    "multipart/form-data",
)
_ROOT = Path(__file__).resolve().parents[3]
_KEPT = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "LANG")
"""All that the other process is told of this one's environment: no secrets."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the other process found."""

    form: str
    report: dict[str, Any]
    content: bytes
    arcs: bytes
    """An Arrow stream with a row for each arc."""


@asynccontextmanager
async def upload(request: Request) -> AsyncIterator[tuple[str, Path]]:
    """The body in a folder of its own, and its form. Raises `UnsupportedMedia` or `InvalidBody`."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMedia(f"Content-Type {media_type[:80] or 'none'!r} is not taken here; send {', '.join(MEDIA_TYPES)}.", pointer="/content-type")
    cache = request.app.state.runtime.settings.cache_dir
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="roads-", dir=cache))
    try:
        if media_type == "multipart/form-data":
            await _keep_parts(request, folder)
            yield "nodes-arcs-csv", folder
        else:
            with (folder / "roads").open("wb") as kept:
                async for part in request.stream():
                    kept.write(part)
            yield form_of(folder / "roads"), folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def parse(form: str, folder: Path) -> Parsed:
    """Raises `InvalidBody` with what is wrong with the file."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.traffic.network.parsing", form, str(folder)),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
    except TimeoutError as error:
        raise InvalidBody(f"The file could not be read within {PATIENCE_S:.0f} s. Cut it to the city.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return await asyncio.to_thread(_found, form, folder, process.returncode or 0)


def _found(form: str, folder: Path, status: int) -> Parsed:
    report = folder / "report.json"
    if status or not report.exists():
        raise InvalidBody(f"Reading the file went beyond what is allowed, or the file breaks its reader (status {status}). The network in force is unchanged.")
    said = orjson.loads(report.read_bytes())
    if "fault" in said:
        raise InvalidBody(f"{_shown(said['fault'])} The network in force is unchanged.")
    return Parsed(form, said, (folder / "network").read_bytes(), (folder / "arcs-of-network").read_bytes())


def _shown(fault: str) -> str:
    """What the other process says is wrong, as one line."""
    return "".join(each if each.isprintable() else " " for each in fault)[:500]


async def _keep_parts(request: Request, folder: Path) -> None:
    form = await request.form(max_files=2, max_fields=2)
    try:
        for name in ("nodes", "arcs"):
            part = form.get(name)
            if not isinstance(part, UploadFile):
                raise InvalidBody(f"The form needs the two files `nodes` and `arcs`; {name} is missing.", pointer=f"/{name}")
            with (folder / name).open("wb") as kept:
                while piece := await part.read(1 << 20):
                    kept.write(piece)
    finally:
        await form.close()


def form_of(path: Path) -> str:
    """The form that the first bytes show."""
    with path.open("rb") as file:
        start = file.read(4096)
    head = start[:64]
    if head[:2] == b"\x1f\x8b":
        return "edges-csv" if _is_table(_inflated(start)) else "osm-xml-gz"
    if b"OSMHeader" in head:
        return "osm-pbf"
    if _is_xml(head):
        return "osm-xml"
    if _is_table(head):
        return "edges-csv"
    raise InvalidBody(
        "The body is no OpenStreetMap file (PBF, XML, gzipped XML) and no CSV of edges, gzipped or not; nodes and arcs come as a form with two files."
    )


def _is_xml(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _is_table(head: bytes) -> bool:
    return b"," in head and not _is_xml(head)


def _inflated(start: bytes) -> bytes:
    """The first bytes of what was compressed, as far as they can be read."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, 64)
    except zlib.error:
        return b""
