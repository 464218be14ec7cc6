"""Starts a whole city, keeps it running, and ends it without leaving a process behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ops.demo.cities import CITIES
from ops.journal import Journal
from ops.launching import Launch, LaunchError
from ops.leftovers import Ledger, end_all
from ops.place import HOST, Place
from ops.ports import conflicts, outside_range
from ops.probe import ask
from ops.process import Supervised
from ops.runfile import DEMO, write_run_file
from ops.secretfiles import private_folder
from ops.servers import Servers, servers_of, write_users
from ops.services import ROOT, present

LEAST_DISK, FULL_DISK = 300 * 1024 * 1024, 16 * 1024 * 1024
ALL_END_S, SERVICES_END_S, UNREADY_END_S = 9.0, 4.0, 0.5
"""How long everything, the services of it, and services that never became ready may take to end."""
READY_WITHIN_S = 60.0
SAME_SIGNAL_S = 1.0
"""`timeout` and some shells send one Ctrl-C twice: to the process and to its group."""
ENDS_BEFORE_GIVING_UP = 3


class Supervisor:
    """One city on this machine."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self.place, self.journal = place, journal
        self._ledger = Ledger(place.var / "processes.json")
        self._servers: Servers
        self._children: dict[str, Supervised] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._ready = False
        self._asked = 0.0

    async def run(self) -> None:
        """Start, stay until a signal comes or the start fails, end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait({starting})
            elif starting.exception() is None:
                await stopping
        finally:
            stopping.cancel()
            self.journal.starting = False
            await self._end()
        if not starting.cancelled():
            starting.result()

    def _asked_to_stop(self) -> None:
        """The first signal ends the city in order; one that comes later, not the same twice, ends it at once."""
        now = time.monotonic()
        if self._stop.is_set() and now - self._asked > SAME_SIGNAL_S:
            for child in self._children.values():
                child.kill()
        if not self._stop.is_set():
            self._asked = now
        self._stop.set()

    async def _start(self) -> None:
        began = time.monotonic()
        self._servers = await asyncio.to_thread(self._clear_the_ground)
        postgres, redis, services = self._servers.postgres, self._servers.redis, present()
        self.journal.say(f"starting {'PostgreSQL, ' if postgres else ''}{'Redis, ' if redis else ''}{', '.join(services)}: some 15 s")
        self.journal.starting = True
        servers = {"postgres": postgres.launch} if postgres else {}
        servers |= {"redis": redis.launch} if redis else {}
        await asyncio.gather(*(self._launch(name, launch) for name, launch in servers.items()))
        if postgres:
            await self._until("postgres", postgres.ready)
        await asyncio.gather(*(self._launch(name, lambda name=name: self._service(name)) for name in services))  # type: ignore[misc]
        await self._helper("ops.prepare", "The databases could not be prepared")
        await asyncio.gather(*(self._until(name, lambda name=name: self._answers(name)) for name in services))  # type: ignore[misc]
        await self._helper("ops.seed", "The hub could not be made ready")
        if self._lives():
            await self._launch(DEMO, self._demo)
        self._ready, self.journal.starting = True, False
        await self._write_run_file()
        self.journal.say(f"ready after {time.monotonic() - began:.1f} s: {', '.join(services)}")
        self._greet()

    def _clear_the_ground(self) -> Servers:
        """Everything that can be wrong before the first process starts gets its message here."""
        place = self.place
        wanted = {name: place.port(name) for name in present()}
        if outside_range(wanted.values()):
            raise LaunchError(f"PORT_BASE={place.port_base} gives ports outside 1–65535. Choose a PORT_BASE from 1 to 65528.")
        free = shutil.disk_usage(place.var).free
        if free < LEAST_DISK:
            raise LaunchError(
                f"The disk of {place.var} is full: {free // 2**20} MiB are free, {LEAST_DISK // 2**20} MiB are needed. Make room, or set VAR_DIR."
            )
        place.run_file.unlink(missing_ok=True)
        for name in wanted:
            place.config_file(name).unlink(missing_ok=True)  # services load their libraries and wait until it is there again
        left = self._ledger.alive()
        servers = servers_of(place)
        if servers.postgres and (server := servers.postgres.leftover()):
            left["postgres"] = server
        if left:
            self.journal.say(
                f"an earlier run ended uncleanly; ending what it left: {', '.join(f'{name} (pid {p.pid})' for name, p in left.items())}", "warning"
            )
            end_all(list(left.values()))
        if found := conflicts(wanted):
            raise LaunchError("\n".join([*found, "Stop what listens there, or move the whole city: PORT_BASE=9000 make run"]))
        servers = servers_of(place, choose_ports=True)
        if servers.redis:
            write_users(place, servers.redis)
        return servers

    async def _launch(self, name: str, launch: Callable[[], Launch]) -> None:
        child = Supervised(launch, self.journal, self._ledger, self._write_run_file, name)
        self._children[name] = child
        await child.start()
        self._watchers.append(asyncio.create_task(child.keep_running()))

    def _service(self, name: str) -> Launch:
        settings = {
            f"LIANDONG_{key.upper()}" for key in ("service", "city", "database_url", "reader_url", "owner_url", "redis_publish_url", "redis_consume_url")
        }
        flags = [
            "--no-access-log",
            "--no-server-header",
            "--no-proxy-headers",
            "--timeout-graceful-shutdown",
            "3",
            "--timeout-keep-alive",
            "75",
            "--log-level",
            "warning",
        ]
        command = [sys.executable, "-m", "uvicorn", f"services.{name}.app:app", "--host", HOST, "--port", str(self.place.port(name)), *flags]
        environment = {"LIANDONG_CONFIG": str(self.place.config_file(name)), "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
        return Launch(name, command, settings=environment, without=settings, folder=ROOT)

    def _lives(self) -> bool:
        """Whether the demo plays in this city: only in those that it knows."""
        return self.place.demo == "on" and self.place.city in CITIES

    def _demo(self) -> Launch:
        environment = {**self.place.environment(), "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
        return Launch(DEMO, [sys.executable, "-m", "ops.demo"], settings=environment, folder=ROOT)

    def _answers(self, name: str) -> bool:
        status, body = ask(f"{self.place.url(name)}/readyz")
        return status == 200 and body["status"] == "ready"

    async def _until(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait for a child to do its work; give up when it keeps ending or takes too long."""
        child, end = self._children.get(name), time.monotonic() + READY_WITHIN_S
        while not await asyncio.to_thread(ready):
            if child and child.ended >= ENDS_BEFORE_GIVING_UP:
                raise LaunchError(f"{name} ends again and again. Its last lines stand above and in {self.place.log_file}.")
            if time.monotonic() > end:
                why = ask(f"{self.place.url(name)}/readyz")[1] if name in present() else "no answer"
                raise LaunchError(f"{name} was not ready within {READY_WITHIN_S:g} s: {why}. The log is {self.place.log_file}.")
            await asyncio.sleep(0.05)

    async def _helper(self, module: str, failure: str) -> None:
        """Run a module of ours to its end in a process of its own, so that its libraries do not stay in memory."""
        launch = Launch(module, [sys.executable, "-m", module], settings=self.place.environment(), folder=ROOT)
        process = await asyncio.create_subprocess_exec(
            *launch.command(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=launch.environment(),
            cwd=launch.folder,
            start_new_session=True,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            raise
        text = output.decode(errors="replace").strip()
        if process.returncode != 0:
            raise LaunchError(f"{failure}:\n{text[-3000:]}")
        if text:
            self.journal.say(text)

    async def _write_run_file(self) -> None:
        if self._ready and not self._stop.is_set():
            pids = {name: child.pid for name, child in self._children.items()}
            try:
                await asyncio.to_thread(write_run_file, self.place, self._servers, os.getpid(), pids)
            except OSError as error:
                self.journal.say(f"{self.place.run_file} could not be written: {error.strerror}", "error")

    def _greet(self) -> None:
        """Addresses and where the credentials are; shown, not logged."""
        lines = [f"  {name:<10} {self.place.url(name)}" for name in present()]
        self.journal.show(
            "\n".join(
                [
                    "",
                    *lines,
                    f"  the page: {self.place.url('hub')}/ (sign in as client duty; its secret: {self.place.run_file}, which only you may read)",
                    "  in a second shell: . .venv/bin/activate, then liandong status, liandong tour, liandong token analyst",
                    f"  every request is logged: tail -f {self.place.log_file}",
                    "  Ctrl-C ends everything.",
                    "",
                ]
            )
        )

    async def _end(self) -> None:
        """Services first, then what they stand on; at most 10 seconds in all."""
        end = time.monotonic() + ALL_END_S
        patience, self._ready = SERVICES_END_S if self._ready else UNREADY_END_S, False
        self.place.run_file.unlink(missing_ok=True)
        if self._children:
            self.journal.say("ending")
        servers = {"postgres", "redis"} & set(self._children)
        await asyncio.gather(*(child.stop(patience) for name, child in self._children.items() if name not in servers))
        await asyncio.gather(*(self._children[name].stop(end - time.monotonic()) for name in servers))
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if self._children:
            self.journal.say("ended; no process is left")


def run_city(place: Place) -> None:
    """Run a city in the foreground until Ctrl-C or SIGTERM; `LaunchError` says what a person must mend."""
    try:
        private_folder(place.var)
        journal = Journal(place.log_file)
        lock = (place.var / "supervisor.lock").open("a+")
    except OSError as error:
        raise LaunchError(f"{place.var} cannot be written: {error.strerror}. Make room or mend its permissions, or set VAR_DIR.") from error
    with lock:
        hold(lock.fileno(), place.var)
        try:
            asyncio.run(Supervisor(place, journal).run())
        except (OSError, LaunchError) as error:
            raise LaunchError(explained(error, place)) from error
        finally:
            journal.close()


def explained(error: Exception, place: Place) -> str:
    """Why the city does not start. Whatever failed, a full disk is named first, for it fails everything."""
    what = f"{error.strerror or error}: {error.filename or place.var}" if isinstance(error, OSError) else str(error)
    free = shutil.disk_usage(place.var).free
    return f"The disk of {place.var} is full ({free // 2**20} MiB are free). Make room, or set VAR_DIR.\n{what}" if free < FULL_DISK else what


def hold(descriptor: int, var: Path) -> None:
    """Let one supervisor at a time have a folder; the kernel forgets the lock with the process."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LaunchError(f"A city already runs in {var}: see `liandong status`. A second one needs its own VAR_DIR and PORT_BASE.") from error
