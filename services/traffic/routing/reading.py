"""The roads as they are now, read from the database: the network in force, what is closed on it, and the speeds measured last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

import structlog
from sqlalchemy import bindparam, or_, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.traffic.models import closures, network_contents, networks
from shared.datasets.history import version_of
from shared.errors import Problem
from shared.runtime import Runtime
from shared.series import SeriesDirectory
from shared.vocabulary import Text

_log = structlog.get_logger("roads")
_SPEEDS = text("""
    SELECT series.lon, series.lat, newest.value FROM series CROSS JOIN LATERAL (
        SELECT value FROM observations WHERE series = series.id AND time >= :since AND time <= :now AND quality <= 2 ORDER BY time DESC LIMIT 1
    ) AS newest
    WHERE series.property = 'speed' AND series.lon IS NOT NULL
""")
_CHANGED = select(version_of(closures, networks).scalar_subquery(), select(networks.c.version).scalar_subquery())
_NOT_OVER = (
    select(closures.c.id, closures.c.revision, closures.c.reason, closures.c.area, closures.c.begins_at, closures.c.ends_at, closures.c.geometry)
    .where(closures.c.ended_at.is_(None), closures.c.geometry.is_not(None), or_(closures.c.ends_at.is_(None), closures.c.ends_at > bindparam("now")))
    .order_by(closures.c.id)
)
AT_MOST_S = 0.1
"""However much is committed, the roads are not built ahead more often than this; a question has them built in any case."""
SPEEDS_HOLD = timedelta(minutes=15)
"""A measured speed stands for the road this long; afterwards the free road counts again. A rule of this project."""


class NoNetwork(Problem):
    slug, status = "no-road-network", 409
    title = Text("尚无路网", "No road network")
    remedy = Text("先以 PUT /network 导入路网。", "Import a road network first, with PUT /network.")


@dataclass(frozen=True, slots=True)
class Closed:
    """A closure that is not over."""

    id: str
    revision: int
    reason: str
    area: str
    begins_at: datetime
    ends_at: datetime | None
    geometry: dict[str, Any]

    def holds_at(self, now: datetime) -> bool:
        return self.begins_at <= now and (self.ends_at is None or now < self.ends_at)


@dataclass(frozen=True, slots=True)
class RoadsNow:
    """One state of the roads; searches on it may run in any thread."""

    router: Any
    """`shared.roads.Router`."""
    closed: tuple[Closed, ...]
    """What holds now."""
    detectors: int
    """How many measured speeds went into it."""
    as_of: datetime
    masks: Any
    """`shared.roads.Masks`."""


@dataclass(slots=True)
class _Read:
    """What the database said last."""

    change: int = -1
    network: Any = None
    content: bytes = b""
    closures: tuple[Closed, ...] = ()
    speeds: tuple[tuple[float, float, float], ...] = ()
    as_of: datetime = field(default_factory=lambda: datetime.now(UTC))
    speeds_at: float = float("-inf")


class Roads:
    """The roads of one service process. What this process commits is seen by its next question, what another does within a second."""

    polls_s: ClassVar[float] = 1.0
    speeds_s: ClassVar[float] = 30.0
    first_s: ClassVar[float] = 3.0

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._read = _Read()
        self._stale, self._lock, self._news = True, asyncio.Lock(), asyncio.Event()
        self._built: tuple[Any, Any] | None = None

    @cached_property
    def masks(self) -> Any:
        """What geometries close (`shared.roads.Masks`)."""
        from shared.roads import Masks

        return Masks()

    @property
    def network(self) -> Any:
        """The network as last read (`shared.roads.Network`); None before there is one."""
        return self._read.network

    async def first_network(self) -> Any:
        """The network; of a process that has just begun, what the database has, waited for a little."""
        if self._read.network is None:
            with suppress(SQLAlchemyError, OSError, TimeoutError):
                async with asyncio.timeout(self.first_s), self._lock:
                    await self._refresh()
        return self._read.network

    def changed(self) -> None:
        """Something has been committed: read again at once, and before the next answer in any case."""
        self._stale = True
        self._news.set()

    def measured(self) -> None:
        """Speeds have come in."""
        self._read.speeds_at = float("-inf")
        self._stale = True

    async def now(self, moment: datetime) -> RoadsNow:
        """The roads at a moment that is about now. Raises `NoNetwork`."""
        async with self._lock:
            await self._refresh()
            read = self._read
            if read.network is None:
                raise NoNetwork("No road network has been imported, so nothing is known of travel times.")
            closed = tuple(closure for closure in read.closures if closure.holds_at(moment))
            key = (read.network.version, read.speeds, tuple((closure.id, closure.revision) for closure in closed))
            if self._built is None or self._built[0] != key:
                router = await asyncio.to_thread(self._build, closed)
                self._built = key, router
            return RoadsNow(self._built[1], closed, len(read.speeds), read.as_of, self.masks)

    async def content(self) -> tuple[str, bytes]:
        """Version and bytes of the network in force. Raises `NoNetwork`."""
        async with self._lock:
            await self._refresh()
        if self._read.network is None:
            raise NoNetwork("No road network has been imported.")
        return self._read.network.version, self._read.content

    async def state(self) -> tuple[str | None, tuple[Closed, ...], int, datetime]:
        """Version of the network, closures that are not over, number of measured speeds, and the moment of all this."""
        async with self._lock:
            await self._refresh()
        read = self._read
        return (read.network.version if read.network else None), read.closures, len(read.speeds), read.as_of

    async def run(self) -> None:
        """Keep in step with what other processes commit, and ready to answer at once."""
        while True:
            self._news.clear()
            try:
                self._stale = True
                await self.now(datetime.now(UTC))
            except NoNetwork:
                self._built = None
            except Exception as error:  # noqa: BLE001  whatever it is, the roads as last known are better than none
                _log.warning("roads not refreshed", error=repr(error))
            await asyncio.sleep(min(AT_MOST_S, self.polls_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self.polls_s - AT_MOST_S)):
                    await self._news.wait()

    async def _refresh(self) -> None:
        """Read what has changed; while the database is away, the roads stay as they were."""
        if not self._stale:
            return
        self._stale = False
        try:
            async with self._runtime.engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                await self._read_anew(connection)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._stale = True
            if self._read.network is None:
                raise
            _log.warning("roads as last known", error=repr(error))

    async def _read_anew(self, connection: AsyncConnection) -> None:
        read, now = self._read, datetime.now(UTC)
        change, version = (await connection.execute(_CHANGED)).one()
        if change != read.change:
            read.closures = tuple(Closed(*row) for row in await connection.execute(_NOT_OVER, {"now": now}))
            await self._read_network(connection, version)
            read.change = change
        if time.monotonic() - read.speeds_at > self.speeds_s:
            found = await connection.execute(_SPEEDS, {"since": now - SPEEDS_HOLD, "now": now})
            read.speeds = tuple(sorted((row.lon, row.lat, row.value) for row in found))
            read.speeds_at = time.monotonic()
        read.as_of = now

    async def _read_network(self, connection: AsyncConnection, version: str | None) -> None:
        if version == (self._read.network.version if self._read.network else None):
            return
        content = await connection.scalar(select(network_contents.c.content).where(network_contents.c.version == version))
        if content is not None:
            from shared.roads import from_bytes

            self._read.network, self._read.content = await asyncio.to_thread(from_bytes, content), content

    def _build(self, closed: tuple[Closed, ...]) -> Any:
        """A router for these closures, warm: its first search has been made. Runs in a thread."""
        from shared.roads import BadGeometry, Router, Speeds

        network = self._read.network
        every = None
        for closure in closed:
            try:
                mask = self.masks.of(network, closure.geometry)
            except BadGeometry as error:  # checked when it came; a newer library may judge otherwise
                _log.warning("closure not understood", closure=closure.id, error=str(error))
                continue
            every = mask if every is None else every | mask
        router = Router(network, Speeds.near(network, self._read.speeds) if self._read.speeds else None, every)
        somewhere = (float(network.lon[0]), float(network.lat[0]))
        for vehicle in ("fire_engine", "car"):
            router.many_to_one([somewhere], somewhere, vehicle, 1.0)
        return router


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the service keeps while it runs."""

    directory: SeriesDirectory
    roads: Roads


@asynccontextmanager
async def hold(runtime: Runtime) -> AsyncIterator[Traffic]:
    """For `Service.holds`."""
    yield Traffic(SeriesDirectory(), Roads(runtime))


async def keep_in_step(runtime: Runtime) -> None:
    """For `Service.tasks`."""
    await runtime.own.roads.run()
