"""A province over two cities that share data with each other through their gateways: what a city has of the other is counted once, at its owner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.secretfiles import private_folder, write_private_json
from tests.hub.federation.sectors import Federation, federation
from tests.intercity.cities import NORTH, SOUTH, TwoCities, grant

COUNT: dict[str, Any] = {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "deadline_ms": 20_000}
OWN = {f"{NORTH}/fire": 90, f"{SOUTH}/fire": 60}


def leaves(answered: dict[str, Any]) -> dict[str, Any]:
    assert answered["coverage"]["complete"], answered
    return {entry["source"]: entry["rows"] for entry in answered["coverage"]["sources"]}


async def test_a_peers_data_are_counted_once_at_their_owner(cities: TwoCities, tmp_path: Path) -> None:
    await cities.agree(give=grant(filter=None), take=grant(filter=None))
    for code in (NORTH, SOUTH):
        await cities.meet(code)
    south = cities.south
    both = await south.send("POST", "hub", "/aggregate", {**COUNT, "sources": [f"{SOUTH}/fire", f"{NORTH}/hub"]}, "hub:query")
    assert both["rows"] == [[150]]  # the city itself may have both, by naming its peer

    write_private_json(private_folder(tmp_path / "signing") / "key.jwk", cities.province.signing_key())
    below = {f"{code}/hub": cities.of(code).url("hub") for code in (NORTH, SOUTH)}
    issuing: dict[str, Any] = {"issuer": cities.province.url, "signing_keys": tmp_path / "signing"}
    async with federation(cities.city, {}, below, code="430000", **issuing) as province:
        asker = {"Authorization": f"Bearer {cities.province.token('430000/hub', scope='hub:query')}"}

        async def ask(**more: Any) -> dict[str, Any]:
            answer = await province.client.post("/aggregate", json={**COUNT, **more}, headers=asker)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        every = await ask()
        assert (every["rows"], leaves(every)) == ([[150]], OWN)
        one = await ask(sources=[f"{SOUTH}/hub"])
        assert (one["rows"], leaves(one)) == ([[60]], {f"{SOUTH}/fire": 60})
        assert await _rows(province, asker) == OWN
        sources = (await province.client.get("/sources", headers=asker)).json()
        shared = {offer["dataset"] for source in sources for offer in source["datasets"]}
        assert "fire.calls" in shared and not any(name.startswith("intercity.") for name in shared)
        refused = await province.client.post("/aggregate", json={**COUNT, "sources": ["430300/intercity"]}, headers=asker)
        assert refused.status_code == 400


async def _rows(province: Federation, asker: dict[str, str]) -> dict[str, Any]:
    """All rows, page by page, by leaf; none of them by way of an agreement."""
    found: list[dict[str, Any]] = []
    rows: dict[str, Any] = {}
    address: str | None = "/collections/fire.calls/items?limit=40&sortby=-received_at"
    while address:
        page = (await province.client.get(address, headers=asker)).json()
        found += page["features"]
        for source, count in leaves(page).items():
            rows[source] = rows.get(source, 0) + count
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert len({row["id"] for row in found}) == len(found) and not any("agreement" in row["properties"] for row in found)
    return rows
