"""Events of the environment service."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime

from shared.events.model import Event

Method = Literal["erg-isolation", "gaussian-plume"]


class ObservationExceeded(Event):
    """The mean of an hour rose above a limit; the hour before was not above. One event for a run of hours, none for hours over a week old."""

    type: ClassVar[str] = "env.observation.exceeded.v1"
    subject_template: ClassVar[str] = "stations/{station}"

    station: str
    property: str
    hour: AwareDatetime
    """Beginning of the hour."""
    mean: float
    limit: float
    unit: str
    """UCUM code of `mean` and `limit`."""
    source: str
    """Standard and table that set the limit."""


class OutlineComputed(Event):
    """Where a release endangers people, as far as is known now. A later revision replaces the earlier ones of the same release.

    `regarding` is `releases/<release>`.
    """

    type: ClassVar[str] = "env.outline.computed.v1"
    subject_template: ClassVar[str] = "releases/{release}"

    release: str
    revision: int
    """1 for the first outline of the release."""
    substance: str
    """CAS registry number."""
    un: str | None
    method: Method
    source: str
    """Edition and table, or paper and equation."""
    valid: bool
    """Whether the method holds for this substance and amount; a Gaussian plume does not for dense gas."""
    isolation_m: float
    """Nobody stays within this distance of the release, in any direction."""
    protective_m: float
    """People downwind are protected up to this distance."""
    wind_from_deg: float | None
    """Where the wind comes from; null: unknown, then the outline reaches in all directions."""
    wind_speed_m_s: float | None
    geometry: dict[str, Any]
    """GeoJSON Polygon or MultiPolygon, WGS 84: the whole area that is endangered, isolation included."""
    computed_at: AwareDatetime
    lon: float
    lat: float
    """Of the release."""


class OutlineLifted(Event):
    """The release is over, and nobody is endangered by it any more."""

    type: ClassVar[str] = "env.outline.lifted.v1"
    subject_template: ClassVar[str] = "releases/{release}"

    release: str
    lifted_at: AwareDatetime
