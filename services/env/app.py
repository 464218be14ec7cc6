"""Environment: stations, what they measure, how good the air is, and where a release endangers people."""

from __future__ import annotations

from services.env.air import api as air
from services.env.datasets import DAILY, OBSERVATIONS, OUTLINES, STATIONS
from services.env.models import metadata
from services.env.observations import api as observations
from services.env.outlines import api as outlines
from services.env.outlines.handlers import lift_outline, outline_release
from services.env.stations import api as stations
from shared.events.env import ObservationExceeded, OutlineComputed, OutlineLifted
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.series import hold_directory
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="env",
    title=Text("生态环境", "Environment"),
    routers=[stations.router, observations.router, air.router, outlines.router],
    datasets=[STATIONS, OBSERVATIONS, DAILY, OUTLINES],
    publishes=[ObservationExceeded, OutlineComputed, OutlineLifted],
    on={ReleaseReported: outline_release, ReleaseConcluded: lift_outline},
    metadata=metadata,
    series=True,
    loads=["/stations", "/series", "/observations"],
    holds=hold_directory,
)
app = create_app(service)
