"""A process of its own for DuckDB: without credentials, files, network or descriptors beyond the pipes of one statement.

Run as a script by `pool.Workers`, with an empty environment. It loads DuckDB once and keeps a few children ready; each takes one
job from the control socket (descriptor 0), answers it and ends. Nothing of this service's code is imported here.

A job is a message with the descriptors of its sockets: one to talk, one for each scan. Over the first come four bytes of length and
JSON; frames go back: a letter, four bytes of length, content. `P` the process id, `S` the Arrow schema, `B` a batch, `E` an error, `D` the end.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
FRAME = 4 * MIB
"""About the most that goes back at once; a single row may have four times as much. The hub reads no frame beyond that."""
BUFFERED = 64 * MIB
"""Most bytes of one scan that wait in memory before DuckDB reads them."""
_PAUSE_S = 0.5
_EMPTY = 9
"""The descriptor of the folder it was started in, which is empty and stays so."""
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _NOBODY = 1, 38, 65534
_SETTINGS: dict[str, Any] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "temp_directory": "",
    "preserve_insertion_order": False,
}


def main() -> None:
    wanted = json.loads(sys.argv[1])
    Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, this ends before the hub or the database
    isolation = _without_network()
    folder = Path.cwd()
    os.dup2(os.open(".", os.O_RDONLY | os.O_DIRECTORY), _EMPTY)
    os.chdir("/")
    sys.modules["pandas"] = None  # type: ignore[assignment]  # neither needed nor loaded by chance later
    import duckdb
    import pyarrow as pa
    import pyarrow.ipc

    isolation += _rehearse(duckdb, wanted)
    control = socket.socket(fileno=0)
    control.send(json.dumps({"isolation": isolation}).encode())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    ready: list[int] = []
    while True:
        while len(ready) < wanted["ready"]:
            ready.append(_fork(control, duckdb, pa, wanted))
        watch = select.poll()
        watch.register(0, 0)
        for pipe in ready:
            watch.register(pipe, select.POLLIN)
        for descriptor, _ in watch.poll():
            if descriptor == 0:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                os._exit(0)  # nobody asks any more; the children end with their parent
            if not os.read(descriptor, 1):
                time.sleep(_PAUSE_S)  # it ended without a job; not again and again without a breath
            os.close(descriptor)
            ready.remove(descriptor)


def _without_network() -> list[str]:
    """A network namespace with nothing in it, where the system allows it; before any thread begins."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for flags in (_CLONE_NEWNET | _CLONE_NEWIPC, _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC):
        if libc.unshare(flags) == 0:
            return ["network"]
    return []


def _without_files() -> list[str]:
    """The folder it was started in, which is empty, as the only file system; then nobody's rights, where the system allows it."""
    done: list[str] = []
    with contextlib.suppress(OSError):
        os.fchdir(_EMPTY)
        os.chroot(".")
        os.chdir("/")
        done.append("files")
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
            done.append("user")
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))
    return [*done, "descriptors"]


def _rehearse(duckdb: Any, wanted: dict[str, Any]) -> list[str]:
    """What children will be cut off from, as a first one found out, having gone through all that they do before a job."""
    import pyarrow.pandas_compat  # noqa: F401  # loaded late otherwise, when no file can be opened any more

    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            _, isolation = _database(duckdb, wanted)
            os.write(writing, json.dumps(isolation).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        return list(json.loads(told.read()))


def _fork(control: socket.socket, duckdb: Any, pa: Any, wanted: dict[str, Any]) -> int:
    """A child that waits for a job; the pipe that tells when it has taken one, or ended."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        try:
            _serve(control, writing, duckdb, pa, wanted)
        except BaseException:  # noqa: BLE001  # whatever it was, the hub sees that no end came
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    return reading


def _serve(control: socket.socket, taken: int, duckdb: Any, pa: Any, wanted: dict[str, Any]) -> None:
    database, _ = _database(duckdb, wanted)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the change of user, which would undo it
    room = array.array("i")
    message, ancillary, *_ = control.recvmsg(64, socket.CMSG_SPACE(64 * room.itemsize))
    if not message:
        return
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            room.frombytes(data[: len(data) - len(data) % room.itemsize])
    os.write(taken, b"x")
    os.close(taken)
    os.close(0)
    os.close(_EMPTY)
    control.detach()
    talk, *scans = (socket.socket(fileno=descriptor) for descriptor in room)
    for limit, most in ((resource.RLIMIT_NOFILE, 0), (resource.RLIMIT_AS, (3 * wanted["memory_mb"] + 2048) * MIB)):
        resource.setrlimit(limit, (most, most))
    incoming = talk.makefile("rb")
    job = json.loads(incoming.read(struct.unpack("!I", incoming.read(4))[0]))
    signal.setitimer(signal.ITIMER_REAL, job["seconds"])  # without a handler, the kernel ends the process
    _send(talk, b"P", str(os.getpid()).encode())
    try:
        _answer(talk, scans, job, database, duckdb, pa)
    except duckdb.Error as error:
        said, pointed, where = str(error).partition("\nLINE ")
        _send(talk, b"E", json.dumps({"kind": type(error).__name__, "detail": said[:2000] + pointed + where[:2000]}).encode())
    except (MemoryError, pa.ArrowMemoryError) as error:
        _send(talk, b"E", json.dumps({"kind": "OutOfMemoryException", "detail": str(error)[:200]}).encode())


def _database(duckdb: Any, wanted: dict[str, Any]) -> tuple[Any, list[str]]:
    """DuckDB in memory, tried once, so that nothing is loaded later; then no files any more."""
    database = duckdb.connect(":memory:", config={**_SETTINGS, "threads": wanted["threads"], "memory_limit": f"{wanted['memory_mb']}MB"})
    database.execute("SET python_enable_replacements = false")
    list(database.sql("SELECT count(*) AS n, now() AS moment FROM (VALUES (1)) AS t(x)").to_arrow_reader(1))
    return database, _without_files()


def _answer(talk: socket.socket, scans: list[socket.socket], job: dict[str, Any], database: Any, duckdb: Any, pa: Any) -> None:
    database.execute("SET TimeZone = '" + job["timezone"].replace("'", "''") + "'")
    sources = [_Source(sock, pa) for sock in scans]
    if not (job["once"] and len(sources) <= 1):
        for source in sources:
            source.settle()
    tables = []
    for name, source in zip(job["scans"], sources, strict=True):
        stream = source.whole() if source.ended else source.reader()
        tables.append(stream)
        if source.ended or job["once"]:
            database.register(name, stream)
        else:
            database.register(f"{name}_stream", stream)
            database.execute(f'CREATE TABLE "{name}" AS SELECT * FROM "{name}_stream"')
    database.execute("SET lock_configuration = true")
    reader = _begun(database, duckdb, job["sql"]).to_arrow_reader(job["batch_rows"])
    _send(talk, b"S", reader.schema.serialize())
    for batch in reader:
        _send_rows(talk, batch)
    _send(talk, b"D", b"")


def _begun(database: Any, duckdb: Any, sql: str) -> Any:
    try:
        return database.sql(sql)
    except duckdb.BinderException:
        database.execute(sql)  # fails again before anything is computed, and says where
        raise


def _send_rows(talk: socket.socket, batch: Any) -> None:
    """A batch in frames that the hub can take in whole."""
    if batch.nbytes <= FRAME or batch.num_rows == 1:
        if batch.nbytes > 4 * FRAME:
            raise MemoryError(f"A row of the answer has {batch.nbytes} bytes; at most {4 * FRAME} are given.")
        _send(talk, b"B", batch.serialize())
        return
    half = batch.num_rows // 2
    _send_rows(talk, batch.slice(0, half))
    _send_rows(talk, batch.slice(half))


def _send(talk: socket.socket, kind: bytes, content: Any) -> None:
    view = memoryview(content)
    talk.sendall(kind + struct.pack("!I", view.nbytes))
    talk.sendall(view)


class _Incoming:
    """A socket as a file that gives what was asked for in one piece, each byte copied once."""

    def __init__(self, sock: socket.socket, pa: Any) -> None:
        self._socket, self._pa, self.closed = sock, pa, False

    def read(self, size: int) -> Any:
        piece = self._pa.allocate_buffer(size)
        view, got = memoryview(piece).cast("B"), 0
        while got < size:
            came = self._socket.recv_into(view[got:], size - got, socket.MSG_WAITALL)
            if not came:
                break
            got += came
        return piece if got == size else piece.slice(0, got)

    def close(self) -> None:
        self.closed = True


class _Source:
    """A scan's rows: a thread takes them in as they come, DuckDB takes them out."""

    def __init__(self, sock: socket.socket, pa: Any) -> None:
        self._pa, self._socket = pa, sock
        self._waiting: deque[Any] = deque()
        self._bytes = 0
        self._change = threading.Condition()
        self.schema: Any = None
        self.ended = False
        self._failure: Exception | None = None
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        try:
            with self._pa.ipc.open_stream(self._pa.PythonFile(_Incoming(self._socket, self._pa), mode="r")) as stream:
                with self._change:
                    self.schema = stream.schema
                    self._change.notify_all()
                for batch in stream:
                    self._put(batch)
        except Exception as error:  # noqa: BLE001  # told to whoever reads
            self._failure = error
        with self._change:
            self.ended = True
            self._change.notify_all()

    def _put(self, batch: Any) -> None:
        with self._change:
            self._waiting.append(batch)
            self._bytes += batch.nbytes
            self._change.notify_all()
            self._change.wait_for(lambda: self._bytes < BUFFERED)

    def settle(self) -> None:
        """Wait until all rows are here, or as many as may wait."""
        with self._change:
            self._change.wait_for(lambda: self.ended or self._bytes >= BUFFERED)
        self._check()

    def whole(self) -> Any:
        self._check()
        return self._pa.Table.from_batches(list(self._waiting), self.schema)

    def reader(self) -> Any:
        with self._change:
            self._change.wait_for(lambda: self.schema is not None or self.ended)
        self._check()
        return self._pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def _batches(self) -> Iterator[Any]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self.ended)
                if not self._waiting:
                    break
                batch = self._waiting.popleft()
                self._bytes -= batch.nbytes
                self._change.notify_all()
            yield batch
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


if __name__ == "__main__":
    main()
