"""Water: gauges, how high the rivers stand, and which warning level that is."""

from __future__ import annotations

from services.water.datasets import GAUGES, LEVELS, STAGES
from services.water.gauges import api as gauges
from services.water.levels import api as levels
from services.water.models import metadata
from shared.events.water import StageChanged
from shared.series import hold_directory
from shared.service import Lookup, Service, create_app
from shared.vocabulary import Text

service = Service(
    name="water",
    title=Text("水务", "Water"),
    routers=[gauges.router, levels.router],
    datasets=[GAUGES, LEVELS, STAGES],
    publishes=[StageChanged],
    lookups=[Lookup(id="water.stage", path="/stage", title=Text("测站当前洪水等级", "Present flood stage of a gauge"))],
    metadata=metadata,
    series=True,
    loads=["/gauges", "/observations"],
    holds=hold_directory,
)
app = create_app(service)
