"""The last copy of the road network: fetched from traffic, kept on disk and in memory, asked when traffic does not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from shared.client import MIB
from shared.runtime import Runtime

if TYPE_CHECKING:
    from shared.roads import Network, Router, Vehicle

NETWORK_BYTES = 512 * MIB
FETCH_S = 60.0
LONGEST_S = 3600.0
_log = structlog.get_logger("roads")


@dataclass(frozen=True, slots=True)
class Way:
    """A way by road to an incident, as far as it goes."""

    travel_s: float
    length_m: float
    geometry: dict[str, Any]
    """GeoJSON LineString."""
    ends_at: tuple[float, float]
    left_m: float
    """Straight from there to the destination."""


class Roads:
    """Our own copy. Nothing is loaded before somebody needs it: an idle service stays small."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "roads" / "network.arrow"
        self._network: Network | None = None
        self._router: Router | None = None
        self._warmed: Router | None = None
        self._loading = threading.Lock()
        self.as_of: datetime | None = None
        """When traffic last said that this is its network."""
        self.wanted = asyncio.Event()
        """Set when the copy may be outdated."""

    @property
    def version(self) -> str | None:
        return self._network.version if self._network is not None else None

    async def refresh(self, runtime: Runtime) -> None:
        """Ask traffic for another network than ours. Raises `SourceFailure`."""
        known = await asyncio.to_thread(self._warm)
        headers = {"If-None-Match": f'"{known.version}"'} if known is not None else {}
        answer = await runtime.calls.ask("traffic", "/network", within=FETCH_S, headers=headers, limit_bytes=NETWORK_BYTES)
        if answer.status == 200 and answer.content:
            await asyncio.to_thread(self._keep, answer.content)
            await asyncio.to_thread(self._warm)
            _log.info("road network copied", version=self.version, bytes=len(answer.content))
        self.as_of = datetime.now(UTC)

    def ways(
        self, starts: Sequence[tuple[float, float]], end: tuple[float, float], vehicle: Vehicle, closures: Sequence[Mapping[str, Any]]
    ) -> list[Way | None] | None:
        """The soonest way of each start around all closures (GeoJSON geometries); None if there never was a network. Call it in a thread."""
        from shared.roads import BadGeometry, closed_arcs

        network = self._loaded()
        if network is None:
            return None
        router = self._router_of(network)
        closed = closed_arcs(network, ())
        for geometry in closures:
            try:
                closed |= closed_arcs(network, (geometry,))
            except BadGeometry as error:
                _log.warning("a closure cannot be drawn on the network", error=str(error))
        reach = router.avoiding(closed).many_to_one(starts, end, vehicle, LONGEST_S, ways=True)
        return [self._way(route) if (route := reach.route(place)) else None for place in range(len(starts))]

    @staticmethod
    def _way(route: Any) -> Way:
        line = {"type": "LineString", "coordinates": route.line.round(6).tolist()}
        return Way(round(route.travel_s, 1), round(route.length_m, 1), line, route.ends_at, round(route.left_m, 1))

    def _warm(self) -> Network | None:
        """The copy with its first search behind it: in an emergency the next one takes milliseconds."""
        network = self._loaded()
        if network is not None and self._router_of(network) is not self._warmed:
            somewhere = (float(network.lon[0]), float(network.lat[0]))
            self._router_of(network).many_to_one([somewhere], somewhere, "fire_engine", 1.0)
            self._warmed = self._router
        return network

    def _router_of(self, network: Network) -> Router:
        from shared.roads import Router

        if self._router is None or self._router.network is not network:
            self._router = Router(network)
        return self._router

    def _loaded(self) -> Network | None:
        from shared.roads import BadNetwork, from_bytes

        with self._loading:
            if self._network is None and self._file.is_file():
                try:
                    self._network = from_bytes(self._file.read_bytes())
                    self.as_of = datetime.fromtimestamp(self._file.stat().st_mtime, UTC)
                except (BadNetwork, OSError) as error:
                    _log.warning("the copy of the road network on disk is no good", error=str(error))
            return self._network

    def _keep(self, content: bytes) -> None:
        from shared.roads import from_bytes

        network = from_bytes(content)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(self._file)
        with self._loading:
            self._network = network
