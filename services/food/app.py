"""Food: where it is made and sold, inspected and tested, where it goes, and how it is called back."""

from __future__ import annotations

from services.food.datasets import DATASETS
from services.food.inspections import api as inspections
from services.food.laboratories import api as laboratories
from services.food.lots import api as lots
from services.food.models import metadata
from services.food.premises import api as premises
from services.food.recalls import api as recalls
from services.food.samples import api as samples
from services.food.tracing import api as tracing
from shared.events.food import InspectionFailed, RecallOpened, SampleFailed
from shared.service import Lookup, Service, create_app
from shared.vocabulary import Text

service = Service(
    name="food",
    title=Text("食品安全", "Food safety"),
    routers=[each.router for each in (premises, inspections, laboratories, samples, lots, tracing, recalls)],
    datasets=DATASETS,
    publishes=[InspectionFailed, SampleFailed, RecallOpened],
    lookups=[
        Lookup(id="food.trace", path="/trace", title=Text("批次追溯", "Where a lot came from and where it went")),
        Lookup(id="food.patterns", path="/patterns", title=Text("不合格样品的共同上游", "What failed samples have in common upstream")),
        Lookup(id="food.limits", path="/limits", title=Text("食品限量标准", "What the standards allow")),
    ],
    metadata=metadata,
    loads=["/premises", "/inspections", "/findings", "/laboratories", "/samples", "/tests", "/lots", "/movements", "/notices"],
)
app = create_app(service)
