"""Traffic: the road network, what is measured and what happens on it, what is closed, and the soonest ways through."""

from __future__ import annotations

from services.traffic.closures import api as closures
from services.traffic.closures.handlers import close_roads, open_roads
from services.traffic.closures.tasks import end_by_time
from services.traffic.datasets import ADJACENCY, CLOSURES, DETECTORS, INCIDENTS, NETWORKS, OBSERVATIONS, ROADS
from services.traffic.detectors import api as detectors
from services.traffic.incidents import api as incidents
from services.traffic.models import metadata
from services.traffic.network import api as network
from services.traffic.routing import api as routing
from services.traffic.routing.reading import hold, keep_in_step
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.traffic import ClosureEnded, ClosureOpened, NetworkReplaced, TrafficIncidentReported
from shared.service import Lookup, Service, create_app
from shared.vocabulary import Text

service = Service(
    name="traffic",
    title=Text("交通", "Traffic"),
    routers=[network.router, detectors.router, incidents.router, closures.router, routing.router],
    datasets=[ROADS, NETWORKS, DETECTORS, ADJACENCY, OBSERVATIONS, INCIDENTS, CLOSURES],
    publishes=[NetworkReplaced, TrafficIncidentReported, ClosureOpened, ClosureEnded],
    on={OutlineComputed: close_roads, OutlineLifted: open_roads},
    lookups=[
        Lookup(id="traffic.route", path="/route", title=Text("最快路线", "The soonest way by road")),
        Lookup(id="traffic.isochrone", path="/isochrone", title=Text("等时圈", "What is reached by road in time")),
    ],
    metadata=metadata,
    series=True,
    loads=["/network", "/detectors", "/adjacency", "/series", "/observations", "/incidents"],
    holds=hold,
    tasks=[keep_in_step, end_by_time],
)
app = create_app(service)
