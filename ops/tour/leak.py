"""The first half: what escapes, where it endangers people, which roads close, who goes, and how that holds when traffic is gone."""

from __future__ import annotations

import math
import secrets
from datetime import datetime, timedelta
from typing import Any

import shapely

from ops.demo.cities import CITIES
from ops.hub import Refused
from ops.tour.city import RunningCity, unbroken
from ops.tour.state import RETURNS_WITHIN_S, Begun, fire_incident_of, now
from ops.tour.story import Story
from ops.tour.ways import leads_through

PLANT = "湘江氯碱厂"
NOTE = "演练：liandong tour / exercise of the tour"
QUARTER_DEG = 0.04
"""From the core to the middle of a quarter."""
WITHIN_S = 20.0


def overview(story: Story, city: RunningCity) -> None:
    """What the hub says of the city before anything happens."""
    with story.step("city", "一座城市，各管各的", "One city, every sector its own"):
        began = now() - timedelta(hours=1)
        question = {"measures": {"calls": {"fn": "count"}}, "filter": f"received_at >= TIMESTAMP('{began:%Y-%m-%dT%H:%M:%SZ}')"}
        answer = city.ask("analyst", "hub", "POST", "/collections/fire.calls/aggregate", question)
        story.keep(answer["coverage"])
        sources = city.ask("analyst", "hub", "GET", "/sources")
        up = [source["name"] for source in sources if source["kind"] == "sector" and source["health"] == "up"]
        story.say("每个部门保有自己的数据；枢纽逐一询问，并说明谁作了答。", "Each sector keeps its own data; the hub asks them, and says who answered.")
        story.figure("在线部门", "Sectors that answer", len(up))
        story.figure("近一小时接警", "Calls in the last hour", answer["rows"][0][0] if answer["rows"] else 0)


def leak(story: Story, city: RunningCity, begun: Begun) -> None:
    with story.step("leak", "氯碱厂液氯泄漏", "Chlorine escapes at the plant"):
        sites = city.rows("worksafety-system", "worksafety", "worksafety.sites", filter=f"name = '{PLANT}'", limit=1)
        if not sites or city.code not in CITIES:
            raise Refused(f"There is no {PLANT} here: the tour needs a city that was furnished (DEMO=on).")
        begun.site = sites[0]
        report = {"site": begun.site["id"], "unit": "U1", "cas": "7782-50-5", "rate_kg_s": 0.8, "note": NOTE}
        with unbroken():
            shown = city.sector("worksafety", "POST", "/releases", report)
            begun.release, begun.reported_at = shown["id"], datetime.fromisoformat(shown["timeline"][0]["recorded_at"])
        story.say("安监系统报告一次泄漏，仅此一次请求；此后一切自行发生。", "Work safety reports a release: one request. All else follows by itself.")
        story.figure("物质", "Substance", f"{shown['name_zh']} UN {shown['un']}", f"{shown['name_en']}, UN {shown['un']}")
        story.figure("泄漏速率", "Rate", f"{shown['rate_kg_s']} kg/s")


def outline(story: Story, city: RunningCity, begun: Begun) -> None:
    with story.step("outline", "影响范围", "The outline"):
        found = story.expect(
            "环境部门算出影响范围，安监已收到", "The environment service has an outline, and work safety knows it", WITHIN_S, lambda: _outline(city, begun)
        )
        if not found:
            return
        begun.outline = found
        story.figure("泄漏报告至范围算出", "From the report to the outline", after(begun, found["computed_at"]))
        wind = "–" if found["wind_from_deg"] is None else f"{found['wind_from_deg']:.0f}°, {found['wind_speed_m_s']:.1f} m/s"
        story.figure("此刻的风（来向、风速）", "The wind now (from, speed)", wind)
        story.figure("初始隔离、下风向防护", "Isolation, protection downwind", f"{found['isolation_m']:.0f} m, {found['protective_m']:.0f} m")
        story.figure("方法", "Method", found["method"])


def _outline(city: RunningCity, begun: Begun) -> dict[str, Any] | None:
    shown = city.sector("worksafety", "GET", f"/releases/{begun.release}")
    found: dict[str, Any] | None = shown["outline"] if shown["outline"] and shown["outline"]["geometry"] else None
    return found


def roads(story: Story, city: RunningCity, begun: Begun) -> None:
    with story.step("roads", "道路封闭", "Roads closed"):
        found = story.expect("范围内的道路已封闭", "The roads in the outline are closed", WITHIN_S, lambda: city.sector("traffic", "GET", closure(begun)))
        if found:
            story.figure("封闭路段", "Stretches of road closed", found["arcs"])


def closure(begun: Begun) -> str:
    return f"/closures/release-{begun.release}"


def crews(story: Story, city: RunningCity, begun: Begun) -> None:
    with story.step("crews", "力量出动，现场卡随行", "Units on their way, with the on-site card"):
        message = story.expect("车组已收到行动通报", "The crews have their message", WITHIN_S, lambda: _message(city, begun))
        if not message:
            return
        content = message["content"]
        story.figure("泄漏报告至首次通报", "From the report to the first message", after(begun, _first(city, begun)["created_at"]))
        incident = city.sector("fire", "GET", f"/incidents/{begun.fire_incidents[0]}")
        for unit in content["units"]:
            seconds = next((each["travel_s"] for each in incident["units"] if each["unit"] == unit["unit"]), None)
            story.figure("出动", "Sent", f"{unit['unit']}, {'–' if seconds is None else f'{seconds / 60:.1f} min'}")
        lines = [shapely.geometry.shape(unit["route"]["geometry"]) for unit in content["units"] if unit.get("route")]
        endangered = shapely.geometry.shape(content["outline"]["geometry"]) if content.get("outline") else None
        through = [line for line in lines if endangered is not None and leads_through(line, endangered)]
        story.check(bool(lines) and not through, f"{len(lines)} 条路线无一穿过影响范围", f"None of {len(lines)} routes leads through the outline")
        card = city.ask("duty", "hub", "GET", "/lookups/worksafety.on-site-card", lon=begun.site["lon"], lat=begun.site["lat"], radius_m=500)
        story.keep(card["coverage"])
        stored = [each for site in card["answer"]["sites"] for each in site["substances"]]
        for each in stored[:3]:
            story.figure("现场卡", "On-site card", f"{each['name_zh']} {each['q_now']} t", f"{each['name_en']}, {each['q_now']} t")
        story.check(message["missing"] == [], "通报无所缺", "Nothing is missing in the message")


def _message(city: RunningCity, begun: Begun) -> dict[str, Any] | None:
    """The message once nothing is missing in it; it comes at once, what was late in a second revision."""
    if not begun.fire_incidents:
        found = fire_incident_of(city, str(begun.release))
        begun.fire_incidents += [found] if found else []
    shown: dict[str, Any] | None = city.sector("fire", "GET", f"/incidents/{begun.fire_incidents[0]}/crews-message") if begun.fire_incidents else None
    return shown if shown and not shown["missing"] else None


def _first(city: RunningCity, begun: Begun) -> dict[str, Any]:
    found: dict[str, Any] = city.sector("fire", "GET", f"/incidents/{begun.fire_incidents[0]}/crews-message", revision=1)
    return found


def without_traffic(story: Story, city: RunningCity, begun: Begun) -> None:
    """The traffic service is killed as a fault would; the supervisor brings it back."""
    with story.step("traffic", "交通服务被中断，调度照常", "Traffic is killed; dispatch goes on"):
        at = {**elsewhere(city, begun), "crs": "wgs84"}
        number = f"tour-{secrets.token_hex(6)}"
        pid = city.kill("traffic")
        gone = now()
        story.say(f"交通服务进程 {pid} 被强制终止。随即有人报告房屋起火。", f"The process of traffic ({pid}) is killed. Then a house is reported on fire.")
        call_in = {"number": number, "kind": "structure_fire", "priority": "emergency", "received_at": now().isoformat(), **at}
        with unbroken():
            city.sector("fire", "POST", "/calls", call_in)
            incident = _incident_of_call(city, f"{city.code}:{number}")
            begun.fire_incidents.append(incident)
        city.sector("fire", "POST", f"/incidents/{incident}/dispatch", {})
        coverage = _coverage_of_closures(city)
        story.keep(coverage)
        lacking = [f"{source['source']}: {source['status']}" for source in coverage["sources"] if source["status"] != "ok"]
        story.check(
            not coverage["complete"],
            f"覆盖说明承认缺少交通：{', '.join(lacking)}",
            f"The coverage admits that traffic is missing: {', '.join(lacking)}",
        )
        units = story.expect("仍有力量出动", "Units are sent all the same", WITHIN_S, lambda: city.sector("fire", "GET", f"/incidents/{incident}")["units"])
        if units:
            copies = {unit["travel_times"] for unit in units}
            story.figure("出动力量", "Units sent", len(units))
            story.check(
                copies == {"copy"},
                f"行车时间取自消防自存的路网副本（{', '.join(sorted(copies))}）",
                f"Travel times by fire's own copy of the roads ({', '.join(sorted(copies))})",
            )
        back = story.expect(
            "交通服务已被重新启动，枢纽又得到它的答复",
            "Traffic was started again, and the hub has its answers",
            RETURNS_WITHIN_S,
            lambda: _coverage_of_closures(city)["complete"],
        )
        if back:
            story.figure("交通中断", "Traffic was away for", f"{(now() - gone).total_seconds():.1f} s")


def elsewhere(city: RunningCity, begun: Begun) -> dict[str, Any]:
    """Where the second incident is: on the demo's streets, in the quarter that lies farthest from the plant."""
    demo = CITIES[city.code]
    quarters = [(demo.lon + east, demo.lat + north) for east in (-QUARTER_DEG, QUARTER_DEG) for north in (-QUARTER_DEG, QUARTER_DEG)]
    lon, lat = max(quarters, key=lambda place: math.dist(place, (begun.site["lon"], begun.site["lat"])))
    return {"lon": round(lon, 5), "lat": round(lat, 5)}


def _coverage_of_closures(city: RunningCity) -> dict[str, Any]:
    """Who answers for the closed roads; if nobody does, the hub gives no number, and says so in the problem."""
    try:
        answer = city.ask("duty", "hub", "POST", "/aggregate", {"dataset": "traffic.closures", "measures": {"closures": {"fn": "count"}}})
    except Refused as error:
        if not isinstance(error.body, dict) or "coverage" not in error.body:
            raise
        answer = error.body
    found: dict[str, Any] = answer["coverage"]
    return found


def _incident_of_call(city: RunningCity, call_id: str) -> str:
    for row in city.rows("fire-system", "fire", "fire.incidents", filter="kind = 'structure_fire'", sortby="-opened_at", limit=5):
        if call_id in city.sector("fire", "GET", f"/incidents/{row['id']}")["calls"]:
            return str(row["id"])
    raise Refused(f"the call {call_id} opened no incident")


def after(begun: Begun, moment: str) -> str:
    """Time from the report of the release to a moment that a service recorded."""
    assert begun.reported_at is not None
    return f"{(datetime.fromisoformat(moment) - begun.reported_at).total_seconds() * 1000:.0f} ms"
