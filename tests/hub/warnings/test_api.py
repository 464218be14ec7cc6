"""Warnings from the first draft to the last message, and what of them the public sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from lxml import etree
from sqlalchemy import text

from shared.cap import parse, problems_of
from shared.cap.areas import codes_of
from shared.cap.feeds import ATOM
from shared.cap.levels import level_of
from tests.city import City
from tests.hub.desk import Desk, desk_of

OUTLINE = {"type": "Polygon", "coordinates": [[[112.94, 27.83], [112.96, 27.83], [112.96, 27.85], [112.94, 27.83]]]}
BY_LAW = {"authority": "湘潭市人民政府", "legal_basis": "《突发事件应对法》第六十四条"}


def words() -> dict[str, Any]:
    return {
        "status": "Actual",
        "level": 2,
        "hazard": "hazardous-release",
        "categories": ["CBRNE"],
        "response_types": ["Shelter"],
        "urgency": "Immediate",
        "certainty": "Observed",
        "event_zh": "氯气泄漏",
        "event_en": "Chlorine release",
        "headline_zh": "氯气泄漏橙色预警",
        "headline_en": "Orange warning: chlorine release",
        "description_zh": "某厂氯气泄漏。\n请关闭门窗。",
        "description_en": "Chlorine escapes <fast> & far.\nClose windows.",
        "area_name_zh": "岳塘区",
        "area_name_en": "Yuetang District",
        "areas": ["430304"],
        "expires": (datetime.now(UTC) + timedelta(hours=6)).isoformat(timespec="seconds"),
    }


class Office:
    """Two officers and the public."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def draft(self, **changed: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.desk.done("POST", "/warnings", words() | changed, subject="person:author")
        return made

    async def send(self, warning: dict[str, Any], what: str, subject: str = "person:second", **body: Any) -> httpx.Response:
        return await self.desk.send("POST", f"/warnings/{warning['id']}/{what}", {"revision": warning["revision"], **body}, subject=subject)

    async def done(self, warning: dict[str, Any], what: str, **body: Any) -> dict[str, Any]:
        answer = await self.send(warning, what, **body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def issued(self, **changed: Any) -> dict[str, Any]:
        return await self.done(await self.done(await self.draft(**changed), "approve"), "issue", **BY_LAW)

    async def public(self, path: str, **headers: str) -> httpx.Response:
        """Asked by nobody in particular."""
        return await self.desk.client.get(path, headers=headers)

    async def feed(self) -> list[str]:
        root = etree.fromstring((await self.public("/warnings/feed.atom")).content)
        return [link.get("href").rpartition("/")[2].removesuffix(".xml") for link in root.iterfind("a:entry/a:link", {"a": ATOM})]


@pytest.fixture(scope="module")
async def office(city: City) -> AsyncIterator[Office]:
    async with desk_of(city) as desk:
        yield Office(desk)


def columns(office: Office, statement: str, *arguments: Any) -> list[Any]:
    return list(office.desk.city.sql(office.desk.settings, statement, *arguments))


async def test_a_warning_is_issued_by_two_people_as_valid_cap_in_both_languages(office: Office, shared_data: Path) -> None:
    made = await office.issued(geometry=OUTLINE, recipients=["430100"], areas=["430304", "430302"])
    answer = await office.public(f"/warnings/{made['id']}.xml")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/cap+xml")
    alert = parse(answer.content)
    etree.XMLSchema(etree.parse(shared_data / "cap/xsd/CAP-v1.2.xsd")).assertValid(etree.fromstring(answer.content))
    assert not problems_of(alert) and not alert.deviations
    assert (alert.identifier, alert.sender, alert.status, alert.kind, alert.source) == (
        made["identifier"],
        "430300/hub",
        "Actual",
        "Alert",
        BY_LAW["authority"],
    )
    assert [info.language for info in alert.infos] == ["zh-CN", "en"]
    assert alert.infos[0].description == words()["description_zh"] and alert.infos[1].description == words()["description_en"]
    assert level_of(alert) == 2 and codes_of(alert.infos[0].areas[0].geocodes) == ("430302", "430304")
    assert alert.infos[1].areas[0].polygons[0][0] == (112.94, 27.83)
    assert str(alert.sent.utcoffset()) == "8:00:00" and made["area"] == "4303"
    (told,) = columns(office, "SELECT envelope FROM outbox WHERE subject = $1", f"warnings/{made['id']}")
    event = orjson.loads(told["envelope"])
    assert (event["type"], event["warninglevel"], event["data"]["recipients"]) == ("hub.warning.issued.v1", "II", ["430100"])


async def test_nobody_approves_their_own_words_not_even_in_the_database(office: Office) -> None:
    made = await office.draft()
    assert (await office.send(made, "approve", subject="person:author")).status_code == 403
    changed = await office.desk.done("PUT", f"/warnings/{made['id']}", {**words(), "revision": 1, "level": 1}, subject="person:second")
    assert (await office.send(changed, "approve")).status_code == 403
    with pytest.raises(asyncpg.CheckViolationError):
        columns(office, "UPDATE warnings SET state = 'approved', approver = 'person:author', approved_at = now() WHERE id = $1", made["id"])
    approved = await office.done(changed, "approve", subject="person:third")
    assert (approved["state"], approved["approver"], approved["editors"]) == ("approved", "person:third", ["person:author", "person:second"])


async def test_no_single_person_issues_by_the_database_either(office: Office) -> None:
    """Neither by taking back a part in the draft, nor by putting a draft before the public."""
    made = await office.draft()
    alone = "state = 'approved', approver = 'person:author', approved_at = now()"
    shown = "warning, status, scope, level, hazard, kind, headline_zh, headline_en, authority, sent, expires, document"
    forged = "SELECT id, status, scope, level, hazard, kind, headline_zh, headline_en, 'x', now(), expires, 'x' FROM warnings WHERE id = $1"
    for role in ("app", "owner"):
        for statement in (
            f"UPDATE warnings SET editors = '{{}}', {alone} WHERE id = $1",
            f"UPDATE warnings SET author = 'person:x', editors = '{{person:x}}', {alone} WHERE id = $1",
            "UPDATE warnings SET headline_zh = 'x', state = 'approved', approver = 'person:x', approved_at = now() WHERE id = $1",
            f"INSERT INTO public_warnings ({shown}) {forged}",
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                office.desk.city.sql(office.desk.settings, statement, made["id"], role=role)


async def test_what_was_approved_cannot_be_changed_and_earlier_drafts_are_kept(office: Office) -> None:
    made = await office.draft()
    changed = await office.desk.done("PUT", f"/warnings/{made['id']}", {**words(), "revision": 1, "level": 3}, subject="person:author")
    assert (changed["level"], changed["revision"]) == (3, 2)
    assert (await office.desk.send("PUT", f"/warnings/{made['id']}", {**words(), "revision": 1}, subject="person:author")).status_code == 409
    approved = await office.done(changed, "approve")
    late = await office.desk.send("PUT", f"/warnings/{made['id']}", {**words(), "revision": 3}, subject="person:author")
    assert late.status_code == 409
    for role in ("app", "owner"):
        for change in ("level = 1", "status = 'Exercise'", "headline_zh = 'x'", "state = 'draft'", "approver = 'person:x'"):
            with pytest.raises(asyncpg.CheckViolationError):
                office.desk.city.sql(office.desk.settings, f"UPDATE warnings SET {change} WHERE id = $1", made["id"], role=role)
    issued = await office.done(approved, "issue", **BY_LAW)
    with pytest.raises(asyncpg.CheckViolationError):
        columns(office, "UPDATE warnings SET document = 'x' WHERE id = $1", made["id"])
    kept = columns(office, "SELECT level, state FROM warnings_history WHERE id = $1 ORDER BY revision", made["id"])
    assert [tuple(row) for row in kept] == [(2, "draft"), (3, "draft"), (3, "approved")] and issued["level"] == 3


async def test_issuing_needs_an_approval_an_authority_and_a_legal_basis_and_happens_once(office: Office) -> None:
    made = await office.draft()
    assert (await office.send(made, "issue", **BY_LAW)).status_code == 409
    approved = await office.done(made, "approve")
    assert (await office.send(approved, "issue", authority="x")).status_code == 422
    answers = await asyncio.gather(*(office.send(approved, "issue", **BY_LAW) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["identifier"] for answer in answers}) == 1
    assert (await office.send(approved, "issue", authority="other", legal_basis="x")).status_code == 409
    assert len(columns(office, "SELECT FROM outbox WHERE subject = $1", f"warnings/{made['id']}")) == 1


async def test_update_and_cancel_refer_to_all_that_went_before_and_take_its_place(office: Office) -> None:
    first = await office.issued()
    second = await office.issued(kind="Update", previous=first["id"], level=1)
    last = await office.issued(kind="Cancel", previous=second["id"], urgency="Past", response_types=["AllClear"])
    alert = parse((await office.public(f"/warnings/{last['id']}.xml")).content)
    assert [reference.identifier for reference in alert.references] == [first["identifier"], second["identifier"]]
    assert alert.references[0].sent == parse((await office.public(f"/warnings/{first['id']}.xml")).content).sent
    for kind, previous in (("Update", first), ("Cancel", first), ("Update", last), ("Alert", last)):
        refused = await office.desk.send("POST", "/warnings", words() | {"kind": kind, "previous": previous["id"]})
        assert (refused.status_code, refused.json()["pointer"]) == (409, "/previous")
    assert (await office.desk.send("POST", "/warnings", words() | {"kind": "Update", "previous": "x"})).status_code == 422
    feed = await office.feed()
    assert feed.index(last["id"]) < feed.index(second["id"]) < feed.index(first["id"])


async def test_of_two_updates_drafted_at_once_one_is_issued(office: Office) -> None:
    first = await office.issued()
    drafts = [await office.done(await office.draft(kind="Update", previous=first["id"]), "approve") for _ in range(2)]
    answers = await asyncio.gather(*(office.send(draft, "issue", **BY_LAW) for draft in drafts))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_the_feed_is_public_and_answers_304_until_something_changes(office: Office) -> None:
    made = await office.issued()
    first = await office.public("/warnings/feed.atom")
    assert first.headers["content-type"].startswith("application/atom+xml")
    assert (await office.feed())[0] == made["id"]
    again = await office.public("/warnings/feed.atom", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await office.issued()
    assert (await office.public("/warnings/feed.atom", **{"If-None-Match": first.headers["etag"]})).status_code == 200
    document = await office.public(f"/warnings/{made['id']}.xml")
    assert (await office.public(f"/warnings/{made['id']}.xml", **{"If-None-Match": document.headers["etag"]})).status_code == 304
    past = {"sent": datetime.now(UTC) - timedelta(days=2), "expires": datetime.now(UTC) - timedelta(days=1)}
    columns(office, "UPDATE public_warnings SET sent = $1, expires = $2 WHERE warning = $3", past["sent"], past["expires"], made["id"])
    assert made["id"] not in await office.feed()


@pytest.mark.parametrize("changed", [{"status": "Exercise"}, {"status": "Test"}, {"scope": "Restricted", "restriction": "responders"}], ids=str)
async def test_exercises_and_restricted_warnings_reach_no_public_channel_whatever_is_tried(office: Office, changed: dict[str, Any]) -> None:
    made = await office.issued(**changed)
    path = f"/warnings/{made['id']}.xml"
    assert made["id"] not in await office.feed()
    unknown = await office.public("/warnings/01JD3V8Q6T8E4M2Z5Y7W9X0ABC.xml")
    hidden = await office.public(path)
    assert (hidden.status_code, hidden.json()["detail"]) == (unknown.status_code, unknown.json()["detail"]) == (401, unknown.json()["detail"])
    headers = office.desk.city.headers("hub", scope="hub:query")
    alert = parse((await office.desk.client.get(path, headers=headers)).content)
    if made["status"] != "Actual":
        assert all((info.headline or "").startswith(("【演练】", "[EXERCISE]", "【测试】", "[TEST]")) for info in alert.infos)
    names = "warning, status, scope, level, hazard, kind, headline_zh, headline_en, authority, sent, expires, document"
    of_row = "SELECT id, {0}, level, hazard, kind, headline_zh, headline_en, authority, sent, expires, document FROM warnings WHERE id = $1"
    for role in ("app", "owner"):
        with pytest.raises(asyncpg.CheckViolationError):  # as it is
            office.desk.city.sql(office.desk.settings, f"INSERT INTO public_warnings ({names}) " + of_row.format("status, scope"), made["id"], role=role)
        with pytest.raises(asyncpg.ForeignKeyViolationError):  # or pretending that it is another
            office.desk.city.sql(office.desk.settings, f"INSERT INTO public_warnings ({names}) " + of_row.format("'Actual', 'Public'"), made["id"], role=role)
        with pytest.raises(asyncpg.CheckViolationError):  # or made another after its approval
            office.desk.city.sql(office.desk.settings, "UPDATE warnings SET status = 'Actual', scope = 'Public' WHERE id = $1", made["id"], role=role)
    if made["status"] != "Actual":
        real = await office.issued()
        for kind, status, previous in (("Update", "Actual", made), ("Update", made["status"], real), ("Cancel", made["status"], real)):
            refused = await office.desk.send("POST", "/warnings", words() | {"kind": kind, "status": status, "previous": previous["id"]})
            assert refused.status_code == 409


async def test_of_an_exercise_nobody_is_warned_in_earnest(office: Office) -> None:
    incident = await office.desk.open(exercise=True)
    refused = await office.desk.send("POST", "/warnings", words() | {"incident": incident["id"]})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/status")
    assert (await office.draft(incident=incident["id"], status="Exercise"))["incident"] == incident["id"]


async def test_a_public_warning_does_not_become_an_exercise_afterwards(office: Office) -> None:
    made = await office.issued()
    with pytest.raises((asyncpg.CheckViolationError, asyncpg.ForeignKeyViolationError)):
        columns(office, "UPDATE warnings SET status = 'Exercise' WHERE id = $1", made["id"])
    with pytest.raises(asyncpg.CheckViolationError):
        columns(office, "UPDATE public_warnings SET status = 'Exercise' WHERE warning = $1", made["id"])


async def test_drafts_say_nothing_to_anybody_without_a_token(office: Office) -> None:
    made = await office.draft()
    for state in ("draft", "approved"):
        assert (await office.public(f"/warnings/{made['id']}.xml")).status_code == 401
        assert (await office.public(f"/warnings/{made['id']}")).status_code == 401
        answer = await office.desk.send("GET", f"/warnings/{made['id']}.xml", scope="hub:query")
        assert answer.status_code == 404
        made = await office.done(made, "approve") if state == "draft" else made
    withdrawn = await office.done(made, "withdraw")
    assert withdrawn["state"] == "withdrawn"
    assert (await office.send(withdrawn, "issue", **BY_LAW)).status_code == 409
    assert made["id"] not in await office.feed()


async def test_a_draft_from_an_incident_takes_its_area_and_the_newest_outline(office: Office) -> None:
    incident = await office.desk.open(about="releases/W1")
    bigger = {"type": "Polygon", "coordinates": [[[112.9, 27.8], [113.0, 27.8], [113.0, 27.9], [112.9, 27.8]]]}
    for kind, geometry in (("env.outline.computed.v1", OUTLINE), ("env.outline.computed.v1", bigger)):
        await say(office, kind, {"geometry": geometry})
    made = await office.draft(incident=incident["id"], areas=[])
    assert (made["areas"], made["geometry"]["coordinates"]) == (["430304"], bigger["coordinates"])
    await say(office, "env.outline.lifted.v1", {})
    assert (await office.draft(incident=incident["id"], areas=[]))["geometry"] is None


async def say(office: Office, kind: str, data: dict[str, Any], area: str | None = "430304") -> None:
    async with office.desk.sessions.begin() as session:
        insert = (
            "INSERT INTO event_log (id, source, type, subject, sequence, time, area, regarding, envelope) "
            "VALUES (gen_random_uuid()::text, '430300/env', :kind, 'x', 1, now(), :area, 'releases/W1', :envelope)"
        )
        await session.execute(text(insert), {"kind": kind, "area": area, "envelope": orjson.dumps({"type": kind, "data": data}).decode()})


async def test_warnings_of_peers_are_listed_apart(office: Office) -> None:
    await say(office, "intercity.warning.received.v1", {"peer": "430100", "identifier": "P-1"}, area=None)
    shown = await office.desk.done("GET", "/warnings/received", scope="hub:query")
    assert [one["event"]["data"]["identifier"] for one in shown] == ["P-1"]
    assert await office.desk.done("GET", "/warnings/received", scope="hub:query", areas=["4303"]) == []


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"areas": ["430102"]}, 201),
        ({"areas": ["990000"]}, 422),
        ({"areas": []}, 422),
        ({"expires": "2020-01-01T00:00:00Z"}, 422),
        ({"expires": "9999-12-31T23:59:59Z"}, 422),
        ({"onset": "0001-01-01T00:00:00+14:00"}, 422),
        ({"geometry": {"type": "Point", "coordinates": [1, 2]}}, 422),
        ({"geometry": {"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}}, 422),
        ({"geometry": {"type": "Polygon", "coordinates": None}}, 422),
        ({"geometry": {"type": "Polygon", "coordinates": [[[n / 1e4, (n % 50) / 1e4] for n in range(3000)] + [[0, 0]]]}}, 422),
        ({"description_en": "bad \x00"}, 422),
        ({"description_en": "no character \ufffe"}, 422),
        ({"level": 5}, 422),
        ({"restriction": "x"}, 422),
        ({"recipients": ["430300"]}, 422),
        ({"incident": "nothing"}, 404),
    ],
)
async def test_what_cannot_be_a_warning_is_refused_when_it_is_drafted(office: Office, changed: dict[str, Any], status: int) -> None:
    answer = await office.desk.send("POST", "/warnings", words() | changed)
    assert answer.status_code == status, answer.text


async def test_rights_by_area_and_scope(office: Office) -> None:
    made = await office.draft()
    assert (await office.desk.send("GET", f"/warnings/{made['id']}", areas=["4301"])).status_code == 404
    assert (await office.desk.send("POST", "/warnings", words(), areas=["4301"])).status_code == 422
    assert (await office.desk.send("POST", "/warnings", words(), scope="hub:query")).status_code == 403
    shared = await office.desk.done("GET", "/collections/hub.warnings/items?limit=1000", scope="hub:query")
    assert shared["numberReturned"] > 5
    assert (await office.desk.done("GET", "/collections/hub.warnings/items", scope="hub:query", areas=["430102"]))["numberReturned"] <= 1
