"""Records over HTTP: pages, filters, forms and what is refused."""

from __future__ import annotations

from tests.shared.datasets.conftest import Watch

ITEMS = "/collections/watch.reports/items"


async def test_a_page_is_a_feature_collection_with_times_in_utc(watch: Watch) -> None:
    page = (await watch.get(ITEMS, limit=1)).json()
    assert page["type"] == "FeatureCollection"
    assert page["numberReturned"] == 1
    assert page["timeStamp"].endswith("Z")
    feature = page["features"][0]
    assert feature["id"] == "r1"
    assert feature["geometry"] == {"type": "Point", "coordinates": [112.9, 27.8]}
    assert feature["properties"]["seen_at"] == "2026-11-01T00:00:00Z"
    assert feature["properties"]["post_name"] == "North gate"
    assert {link["rel"] for link in page["links"]} >= {"self", "next", "collection", "alternate"}
