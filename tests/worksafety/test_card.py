"""The on-site card: what lies around a point, by rights and clearance, in one query."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from tests.worksafety.conftest import SITE, Safety, held, site, unit

GENERAL = {"grade": "general", "personal": "none"}


async def test_the_card_lists_the_nearest_first_with_what_they_hold(safety: Safety) -> None:
    await safety.depot(exposed=None)
    await safety.load("/sites", site("N", lat=SITE[1] + 0.003), site("FAR", lat=SITE[1] + 0.02))
    await safety.load("/units", unit(of="N"))
    await safety.load("/inventories", held("gb18218-52", 60, at="N"))
    card = await safety.get("/on-site-card", lon=SITE[0], lat=SITE[1])
    assert [(each["site"], round(each["distance_m"]), each["bearing_deg"]) for each in card["sites"]] == [("430300:S1", 0, 0), ("430300:N", 334, 0)]
    chlorine = card["sites"][0]["substances"][0]
    assert (chlorine["un"], chlorine["q_now"], chlorine["q_design"], chlorine["guide"], chlorine["dense_gas"]) == ("1017", 25, 50, "124", True)
    assert card["sites"][0]["units"][0]["grade"] == 2
    said = " ".join(line["en"] for line in card["missing"])
    assert "1 items without a present quantity" in said and "1 sites without the population" in said
    wide = await safety.get("/on-site-card", lon=SITE[0], lat=SITE[1], radius_m=3000)
    assert [each["site"] for each in wide["sites"]] == ["430300:S1", "430300:N", "430300:FAR"]


async def test_the_card_keeps_to_areas_and_clearance(safety: Safety) -> None:
    await safety.depot()
    await safety.send("/releases", {"site": "430300:S1", "cas": "7782-50-5"}, 201)
    ask: dict[str, Any] = {"lon": SITE[0], "lat": SITE[1]}
    assert "q_now" in (await safety.get("/on-site-card", **ask))["sites"][0]["substances"][0]
    general = await safety.get("/on-site-card", headers=safety.headers("hub:query", clearance=GENERAL), **ask)
    substance = general["sites"][0]["substances"][0]
    assert (substance["q_now"], substance["q_design"], general["sites"][0]["units"][0]["r"]) == (None, None, None)
    assert any("may not see" in line["en"] for line in general["missing"])
    elsewhere = await safety.get("/on-site-card", headers=safety.headers(areas=["430302"]), **ask)
    assert (elsewhere["sites"], elsewhere["releases"]) == ([], [])
    assert elsewhere["missing"][0]["en"].startswith("No recorded site")
    await safety.get("/on-site-card", 403, headers=safety.headers("env:read"), **ask)
    for wrong in ({"lon": 200}, {"lat": "nan"}, {"radius_m": 0}, {"radius_m": "inf"}, {"radius_m": 1e9}):
        answer = await safety.client.get("/on-site-card", params=ask | wrong, headers=safety.headers())
        assert 400 <= answer.status_code < 500


async def test_the_card_is_one_query(safety: Safety) -> None:
    await safety.depot()
    runtime = safety.client._transport.app.state.runtime  # type: ignore[attr-defined]
    asked: list[str] = []
    event.listen(runtime.reader.sync_engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    await safety.get("/on-site-card", lon=SITE[0], lat=SITE[1])
    assert len([statement for statement in asked if "FROM" in statement]) == 1
