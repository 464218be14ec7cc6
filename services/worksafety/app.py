"""Work safety: who stores what, how dangerous it is, what escapes, and what happened."""

from __future__ import annotations

from services.worksafety import datasets
from services.worksafety.accidents import api as accidents
from services.worksafety.card import api as card
from services.worksafety.inventories import api as inventories
from services.worksafety.models import metadata
from services.worksafety.releases import api as releases
from services.worksafety.releases.handlers import keep_outline, lift_outline
from services.worksafety.sensors import api as sensors
from services.worksafety.sites import api as sites
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.worksafety import GradeChanged, ReleaseConcluded, ReleaseReported, ThresholdExceeded
from shared.series import hold_directory
from shared.service import Lookup, Service, create_app
from shared.vocabulary import Text

service = Service(
    name="worksafety",
    title=Text("安全生产", "Work safety"),
    routers=[sites.router, inventories.router, sensors.router, releases.router, accidents.router, card.router],
    datasets=[
        datasets.ENTERPRISES,
        datasets.SITES,
        datasets.UNITS_OF_SITES,
        datasets.SUBSTANCES,
        datasets.INVENTORIES,
        datasets.GRADES,
        datasets.SENSORS,
        datasets.OBSERVATIONS,
        datasets.RELEASES,
        datasets.ACCIDENTS,
    ],
    publishes=[GradeChanged, ReleaseReported, ReleaseConcluded, ThresholdExceeded],
    on={OutlineComputed: keep_outline, OutlineLifted: lift_outline},
    lookups=[Lookup(id="worksafety.on-site-card", path="/on-site-card", title=Text("现场卡", "On-site card"))],
    metadata=metadata,
    series=True,
    loads=["/enterprises", "/sites", "/units", "/substances", "/inventories", "/sensors", "/observations", "/accidents"],
    holds=hold_directory,
)
app = create_app(service)
