"""Issued warnings on the city's live stream, by level."""

from __future__ import annotations

from tests.city import City
from tests.hub.desk import desk_of
from tests.hub.events.receiving import receiving
from tests.hub.warnings.test_api import Office
from tests.shared.events_under_test import eventually


async def test_a_receiver_of_grave_warnings_hears_of_them_alone(city: City) -> None:
    async with desk_of(city, on_port=True) as desk:
        office, headers = Office(desk), city.headers("hub", scope="hub:events")
        async with receiving(desk.client, headers, params={"type": "hub.warning.*", "warninglevel": "I,II"}) as receiver:
            await office.issued(level=3)
            grave = await office.issued(level=1)
            await eventually(lambda: bool(receiver.events))
    assert [event["data"]["warning"] for event in receiver.events] == [grave["id"]]
    assert (receiver.events[0]["warninglevel"], receiver.events[0]["subject"]) == ("I", f"warnings/{grave['id']}")
