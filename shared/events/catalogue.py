"""Every event that the services of a city may publish, with the schema of what it says."""

from __future__ import annotations

from typing import Any

from shared.events import env, fire, food, hub, intercity, traffic, water, worksafety
from shared.events.model import Event

EVENTS: dict[str, type[Event]] = {
    kind.type: kind
    for module in (env, fire, food, hub, intercity, traffic, water, worksafety)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
}


def data_schema(event: type[Event], hub_url: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of the event's `data`; area and scales travel as attributes instead."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{hub_url}/events/{event.type}"}
    return head | event.model_json_schema(mode="serialization")
