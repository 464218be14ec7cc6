"""The hub: who may ask, whom to ask, and one answer from all."""

from __future__ import annotations

from services.hub.access import accounts, api, people
from services.hub.access.tasks import keep_access
from services.hub.access.trust import OwnTrust
from services.hub.areas import api as areas
from services.hub.areas.datasets import AREAS
from services.hub.catalog import api as catalog
from services.hub.catalog.heartbeat import keep_catalog
from services.hub.console import api as console
from services.hub.contract import contract
from services.hub.events import api as events
from services.hub.events import handlers, stream
from services.hub.events.live import keep_live
from services.hub.governance.datasets import ACCESSES
from services.hub.governance.qualities import keep_measured
from services.hub.governance.recording import AccessRecord, keep_accesses
from services.hub.incidents import api as incidents
from services.hub.incidents import handlers as incident_handlers
from services.hub.incidents import tasks_api
from services.hub.incidents.datasets import INCIDENTS, TASKS
from services.hub.lookups import api as lookups
from services.hub.models import Base
from services.hub.sql import api as sql
from services.hub.state import hold
from services.hub.warnings import api as warnings
from services.hub.warnings import public
from services.hub.warnings.datasets import WARNINGS
from shared.events.hub import IncidentClosed, IncidentGraded, IncidentOpened, IncidentReopened, ResponseSet, TaskAnswered, TaskAssigned, WarningIssued
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="hub",
    title=Text("枢纽", "Hub"),
    routers=[
        api.router,
        people.router,
        accounts.router,
        areas.router,
        catalog.router,
        stream.router,
        events.router,
        lookups.router,
        sql.router,
        incidents.router,
        tasks_api.router,
        public.router,
        warnings.router,
        console.pages,
        console.router,
    ],
    datasets=[AREAS, INCIDENTS, TASKS, WARNINGS, ACCESSES],
    publishes=[IncidentOpened, IncidentGraded, ResponseSet, IncidentClosed, IncidentReopened, TaskAssigned, TaskAnswered, WarningIssued],
    metadata=Base.metadata,
    area_master=True,
    loads=["/areas"],
    contract=contract,
    holds=hold,
    token_source=OwnTrust,
    on={"*": handlers.LOG, ReleaseReported: incident_handlers.open_for_release, ReleaseConcluded: incident_handlers.propose_closing},
    tasks=[keep_access, keep_catalog, keep_live, keep_accesses, keep_measured],
    middleware=[AccessRecord],
)
app = create_app(service)
