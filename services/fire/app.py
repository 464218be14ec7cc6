"""Fire and rescue: calls for service, who responded, and how long it took."""

from __future__ import annotations

from services.fire.calls import api as calls
from services.fire.datasets import CALLS, RESPONSES
from services.fire.models import metadata
from shared.events.fire import CallReceived
from shared.service import Service, create_app
from shared.vocabulary import Text

service = Service(
    name="fire",
    title=Text("消防救援", "Fire and rescue"),
    routers=[calls.router],
    datasets=[CALLS, RESPONSES],
    publishes=[CallReceived],
    metadata=metadata,
    loads=["/responses"],
)
app = create_app(service)
