"""Food: where it is made and sold, how those places are inspected, what was found."""

from __future__ import annotations

from services.food.datasets import FINDINGS, INSPECTIONS, PREMISES
from services.food.inspections import api as inspections
from services.food.models import metadata
from services.food.premises import api as premises
from shared.events.food import InspectionFailed
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="food",
    title=Text("食品安全", "Food safety"),
    routers=[premises.router, inspections.router],
    datasets=[PREMISES, INSPECTIONS, FINDINGS],
    publishes=[InspectionFailed],
    metadata=metadata,
    loads=["/premises", "/inspections", "/findings"],
)
app = create_app(service)
