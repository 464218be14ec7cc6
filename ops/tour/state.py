"""What a tour has begun, so that it can all be ended, whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ops.hub import Refused
from ops.tour.city import RunningCity

SETTLES_WITHIN_S = 15.0
RETURNS_WITHIN_S = 90.0
"""A killed service: its pause before the restart, its start on a busy machine, and the hub's next look at it."""


@dataclass
class Begun:
    """Identifiers as the services gave them; None or empty while there are none."""

    site: dict[str, Any] = field(default_factory=dict)
    release: str | None = None
    reported_at: datetime | None = None
    outline: dict[str, Any] = field(default_factory=dict)
    fire_incidents: list[str] = field(default_factory=list)
    incident: str | None = None
    warning: str | None = None
    warning_identifier: str | None = None
    concluded: bool = False


def now() -> datetime:
    return datetime.now(UTC)


def incident_of(city: RunningCity, release: str) -> str | None:
    """The hub's incident about a release."""
    for row in city.rows("duty", "hub", "hub.incidents", filter="kind = 'release'", sortby="-opened_at", limit=10):
        if f"releases/{release}" in city.ask("duty", "hub", "GET", f"/incidents/{row['id']}")["regarding"]:
            return str(row["id"])
    return None


def fire_incident_of(city: RunningCity, release: str) -> str | None:
    """The fire service's incident about a release."""
    found = city.rows("fire-system", "fire", "fire.incidents", filter=f"release = '{release}'", limit=1)
    return found[0]["id"] if found else None


def roads_open(city: RunningCity, release: str) -> bool:
    """Whether the hub itself hears of traffic that the closure has ended; `Refused` while traffic, which the tour kills, is away."""
    found = city.rows("duty", "hub", "traffic.closures", filter=f"id = 'release-{release}'", limit=1)
    return bool(found and found[0]["ended_at"])


def end(city: RunningCity, begun: Begun, note: str) -> list[str]:
    """Leave the city as it should be: the release over, crews free, incidents closed. What could not be done, in words; doing it twice does no harm."""
    failed: list[str] = []
    if begun.release:
        _try(failed, lambda: city.sector("worksafety", "POST", f"/releases/{begun.release}/conclude", {}))
        _try(failed, lambda: _find_what_followed(city, begun, str(begun.release)))
    if begun.warning:
        _try(failed, lambda: _give_up_warning(city, str(begun.warning)))
    for incident in begun.fire_incidents:
        _try(failed, lambda incident=incident: _free_crews(city, incident))
    if begun.incident:
        _try(failed, lambda: close_incident(city, str(begun.incident), note))
    return failed


def _try(failed: list[str], work: Any) -> None:
    try:
        work()
    except Refused as error:
        failed.append(str(error))


def _give_up_warning(city: RunningCity, warning: str) -> None:
    """A warning that was not issued is withdrawn; one that was, an exercise, ends by itself within minutes."""
    shown = city.ask("duty", "hub", "GET", f"/warnings/{warning}")
    if shown["state"] in ("draft", "approved"):
        city.ask("duty", "hub", "POST", f"/warnings/{warning}/withdraw", {"revision": shown["revision"]})


def _find_what_followed(city: RunningCity, begun: Begun, release: str) -> None:
    """Incidents follow a report by themselves; one that was interrupted right after it waits for them."""

    def found() -> bool:
        begun.incident = begun.incident or incident_of(city, release)
        known = fire_incident_of(city, release)
        begun.fire_incidents += [known] if known and known not in begun.fire_incidents else []
        return bool(begun.incident and known)

    _until(found, "the incidents that follow the release were not found")


def _free_crews(city: RunningCity, incident: str) -> None:
    """Units that are with the incident turn back; it then closes by itself, or by hand if nobody was sent."""

    def closed() -> bool:
        shown = city.sector("fire", "GET", f"/incidents/{incident}")
        for unit in shown["units"]:
            if unit["released_at"] is None:
                city.sector("fire", "POST", f"/units/{unit['unit']}/state", {"state": "returning", "at": now().isoformat()})
        if not shown["closed_at"]:
            with suppress(Refused):  # while it closes by itself
                city.sector("fire", "POST", f"/incidents/{incident}/close")
        return bool(shown["closed_at"])

    _until(closed, f"the fire service's incident {incident} does not close")


def _until(reached: Callable[[], bool], otherwise: str) -> None:
    """A service that does not answer for a moment is asked again."""
    end_by, last = time.monotonic() + SETTLES_WITHIN_S, ""
    while True:
        try:
            if reached():
                return
        except Refused as error:
            if not error.passing:
                raise
            last = f": {error}"
        if time.monotonic() > end_by:
            raise Refused(f"{otherwise} within {SETTLES_WITHIN_S:g} s{last}")
        time.sleep(0.2)


def close_incident(city: RunningCity, incident: str, note: str) -> None:
    """Tasks that nobody answered are waived, then the incident is closed."""
    shown = city.ask("commander", "hub", "GET", f"/incidents/{incident}")
    if shown["state"] == "closed":
        return
    for task in shown["tasks"]:
        if task["state"] not in ("done", "waived"):
            city.ask("commander", "hub", "POST", f"/tasks/{task['id']}/waive", {"reason": note})
    shown = city.ask("commander", "hub", "GET", f"/incidents/{incident}")
    city.ask("commander", "hub", "POST", f"/incidents/{incident}/close", {"revision": shown["revision"], "summary": note})
