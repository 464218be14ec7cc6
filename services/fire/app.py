"""Fire and rescue: calls and incidents, stations and units, who is sent, what crews are told, and how long it took."""

from __future__ import annotations

from services.fire.calls import api as calls
from services.fire.crews import api as crews
from services.fire.crews import stream
from services.fire.crews.tasks import keep_in_touch, keep_terminals
from services.fire.datasets import CALLS, HYDRANTS, INCIDENTS, RESPONSES, STATIONS, UNITS
from services.fire.dispatch import api as dispatch
from services.fire.dispatch import handlers as reactions
from services.fire.dispatch.tasks import keep_dispatching
from services.fire.incidents import api as incidents
from services.fire.models import metadata
from services.fire.roads import handlers as roads
from services.fire.roads.tasks import keep_roads
from services.fire.state import hold
from services.fire.stations import api as stations
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.fire import CallReceived, CrewsInformed, IncidentClosed, IncidentOpened, UnitsDispatched
from shared.events.traffic import ClosureEnded, ClosureOpened, NetworkReplaced
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="fire",
    title=Text("消防救援", "Fire and rescue"),
    routers=[calls.router, stations.router, incidents.router, dispatch.router, stream.router, crews.router],
    datasets=[CALLS, RESPONSES, INCIDENTS, STATIONS, UNITS, HYDRANTS],
    publishes=[CallReceived, IncidentOpened, UnitsDispatched, CrewsInformed, IncidentClosed],
    on={
        ReleaseReported: reactions.release_reported,
        ReleaseConcluded: reactions.release_concluded,
        OutlineComputed: reactions.outline_computed,
        OutlineLifted: reactions.outline_lifted,
        ClosureOpened: roads.keep_closure,
        ClosureEnded: roads.end_closure,
        NetworkReplaced: roads.network_replaced,
    },
    asks=("hub", "traffic"),
    metadata=metadata,
    loads=["/responses", "/stations", "/units", "/hydrants", "/units/positions"],
    holds=hold,
    tasks=[keep_dispatching, keep_roads, keep_terminals, keep_in_touch],
)
app = create_app(service)
