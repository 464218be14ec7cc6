"""The second half: the warning, the neighbour, what was known when, and the end."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from ops.hub import Refused, call
from ops.tour.city import RunningCity, unbroken
from ops.tour.leak import WITHIN_S
from ops.tour.neighbour import agree, received
from ops.tour.state import RETURNS_WITHIN_S, Begun, end, incident_of, now, roads_open
from ops.tour.story import Story

AUTHORITY, LAW = "市人民政府（演练）", "《突发事件应对法》第六十四条（演练）"
SUMMARY = "演练结束 / The tour's exercise is over"
IN_FORCE = timedelta(minutes=10)
ARRIVES_WITHIN_S = 30.0


def warning(story: Story, city: RunningCity, begun: Begun, neighbour: RunningCity | None) -> None:
    with story.step("warning", "预警：拟稿与审批由两人", "The warning: two people, one to draft and one to approve"):
        begun.incident = story.expect("枢纽已立为突发事件", "The hub has opened an incident", WITHIN_S, lambda: incident_of(city, str(begun.release)))
        if not begun.incident:
            return
        if neighbour:
            agree(city, neighbour)
        with unbroken():
            drafted = city.ask("duty", "hub", "POST", "/warnings", _draft(begun, neighbour))
            begun.warning = drafted["id"]
        approved = city.ask("commander", "hub", "POST", f"/warnings/{begun.warning}/approve", {"revision": drafted["revision"]})
        issue = {"revision": approved["revision"], "authority": AUTHORITY, "legal_basis": LAW}
        issued = city.ask("commander", "hub", "POST", f"/warnings/{begun.warning}/issue", issue)
        begun.warning_identifier = issued["identifier"]
        story.figure("拟稿、审批", "Drafted, approved by", f"{issued['author'].rpartition(':')[2]}, {issued['approver'].rpartition(':')[2]}")
        story.figure("CAP 编号", "CAP identifier", issued["identifier"])
        story.say("状态为“演练”：任何公开渠道都不会收到。", "Its status is Exercise: no public channel gets it.")
        story.check(not _public(city, str(begun.warning)), "公众查询不到这份预警", "The public cannot see this warning")


def _draft(begun: Begun, neighbour: RunningCity | None) -> dict[str, Any]:
    texts = {
        "event_zh": "氯气泄漏",
        "event_en": "Chlorine release",
        "headline_zh": "氯气泄漏橙色预警",
        "headline_en": "Orange warning: chlorine release",
        "description_zh": "演练。请下风向人员关闭门窗，向上风方向撤离。",
        "description_en": "Exercise. Downwind: close windows, leave towards the wind.",
        "area_name_zh": "氯碱厂下风向",
        "area_name_en": "Downwind of the chlorine plant",
    }
    kind = {"status": "Exercise", "level": 2, "hazard": "hazardous-release", "categories": ["CBRNE"], "urgency": "Immediate", "certainty": "Observed"}
    expires = (now() + IN_FORCE).isoformat(timespec="seconds")
    return {**kind, **texts, "incident": begun.incident, "expires": expires, "recipients": [neighbour.code] if neighbour else []}


def _public(city: RunningCity, warning_id: str) -> bool:
    """Whether somebody without a token gets the document."""
    try:
        call("GET", f"{city.url('hub')}/warnings/{warning_id}.xml")
    except Refused as error:
        return error.status is None or error.status < 400
    except ValueError:  # a document, though not JSON
        return True
    return True


def neighbour_told(story: Story, city: RunningCity, begun: Begun, neighbour: RunningCity | None) -> None:
    with story.step("neighbour", "邻市", "The neighbouring city"):
        if neighbour is None:
            story.aside(
                "没有运行中的邻市。可另行启动：CITY=430100 VAR_DIR=var-south PORT_BASE=9000 make run，再以 --neighbour var-south 重来。",
                "No neighbour runs. Start one with CITY=430100 VAR_DIR=var-south PORT_BASE=9000 make run, then come again with --neighbour var-south.",
            )
            return
        if begun.warning_identifier is None:
            story.aside("没有可送达的预警。", "There is no warning to send.")
            return
        identifier = begun.warning_identifier
        found = story.expect(
            f"{neighbour.code} 已收到签名的预警",
            f"{neighbour.code} has received the warning, signed",
            ARRIVES_WITHIN_S,
            lambda: received(neighbour, identifier),
        )
        if found:
            story.check(found["status"] == "Exercise", "在那边仍是演练", "There it is an exercise, too")
            story.figure("来源", "From", found["origin"])


def known_when(story: Story, city: RunningCity, begun: Begun) -> None:
    with story.step("known", "当时知道什么", "What was known when"):
        before = now()
        city.sector("worksafety", "POST", f"/releases/{begun.release}", {"rate_kg_s": 2.5})
        story.say("现场核实：泄漏速率改为 2.5 kg/s。旧值仍可按当时查询。", "On site it turns out to be 2.5 kg/s. What was known before can still be asked.")
        question = {"filter": f"id = '{begun.release}'", "limit": 1}
        earlier = city.ask("analyst", "hub", "GET", "/collections/worksafety.releases/items", known_at=before.isoformat(), **question)
        later = city.ask("analyst", "hub", "GET", "/collections/worksafety.releases/items", **question)
        story.keep(earlier["coverage"])
        rates = [answer["features"][0]["properties"]["rate_kg_s"] if answer["features"] else None for answer in (earlier, later)]
        story.figure(f"{before:%H:%M:%S} UTC 时所知", f"Known at {before:%H:%M:%S} UTC", f"{rates[0]} kg/s")
        story.figure("现在所知", "Known now", f"{rates[1]} kg/s")
        story.check(rates == [0.8, 2.5], "两个答案各如其时", "Each answer is that of its moment")


def over(story: Story, city: RunningCity, begun: Begun) -> None:
    with story.step("over", "结束", "It is over"):
        failed = end(city, begun, SUMMARY)
        begun.concluded = not failed
        story.check(not failed, "泄漏终止，车组归队，事件关闭", "The release is concluded, crews turn back, the incident is closed")
        for fault in failed:
            story.aside(fault, fault)
        reopened = partial(roads_open, city, str(begun.release))
        story.expect("枢纽得到交通部门答复：道路已重新开放", "Traffic tells the hub that the roads are open again", RETURNS_WITHIN_S, reopened)
        for incident in begun.fire_incidents:
            story.expect("消防事件已关闭", "The fire service's incident is closed", WITHIN_S, lambda incident=incident: _closed(city, incident))  # type: ignore[misc]  # bound at once
        if begun.incident:
            timeline = city.ask("duty", "hub", "GET", f"/incidents/{begun.incident}/timeline")
            story.figure("事件时间线条目", "Entries of the incident's timeline", len(timeline["items"]))


def _closed(city: RunningCity, incident: str) -> bool:
    return city.sector("fire", "GET", f"/incidents/{incident}")["closed_at"] is not None
