"""Traffic: the road network, what is measured and what happens on it, what is closed, and the soonest ways through."""

from __future__ import annotations

from services.traffic.models import metadata
from services.traffic.network import api as network
from services.traffic.routing import api as routing
from services.traffic.routing.reading import hold, keep_in_step
from shared.events.traffic import NetworkReplaced
from shared.service import Lookup, Service, create_app
from shared.vocabulary import Text

service = Service(
    name="traffic",
    title=Text("交通", "Traffic"),
    routers=[network.router, routing.router],
    publishes=[NetworkReplaced],
    lookups=[
        Lookup(id="traffic.route", path="/route", title=Text("最快路线", "The soonest way by road")),
        Lookup(id="traffic.isochrone", path="/isochrone", title=Text("等时圈", "What is reached by road in time")),
    ],
    metadata=metadata,
    series=True,
    loads=["/network"],
    holds=hold,
    tasks=[keep_in_step],
)
app = create_app(service)
