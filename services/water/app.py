"""Water: sites, and when they are due for inspection."""

from __future__ import annotations

from services.water.datasets import SITES
from services.water.models import metadata
from services.water.sites import api as sites
from shared.events.water import SiteRegistered
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="water",
    title=Text("水务", "Water"),
    routers=[sites.router],
    datasets=[SITES],
    publishes=[SiteRegistered],
    metadata=metadata,
    loads=["/sites"],
)
app = create_app(service)
