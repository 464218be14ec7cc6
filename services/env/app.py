"""Environment: stations, what they measure, and how good the air is."""

from __future__ import annotations

from services.env.air import api as air
from services.env.datasets import DAILY, OBSERVATIONS, STATIONS
from services.env.models import metadata
from services.env.observations import api as observations
from services.env.stations import api as stations
from shared.events.env import ObservationExceeded
from shared.series import hold_directory
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="env",
    title=Text("生态环境", "Environment"),
    routers=[stations.router, observations.router, air.router],
    datasets=[STATIONS, OBSERVATIONS, DAILY],
    publishes=[ObservationExceeded],
    metadata=metadata,
    series=True,
    loads=["/stations", "/series", "/observations"],
    holds=hold_directory,
)
app = create_app(service)
