"""What is done to warnings: drafted, approved by a second person, issued once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from asyncpg import Box, Point
from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy import Text as SqlText
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from services.hub.areas.geometry import BadShape, checked
from services.hub.events.models import EventRow
from services.hub.incidents.actions import found as found_incident
from services.hub.incidents.models import incident_subjects
from services.hub.warnings.document import as_alert, identifier_of
from services.hub.warnings.domain import all_seen, common_area, expiry_fault, may_approve, succession_fault
from services.hub.warnings.models import public_warnings, warnings
from services.hub.warnings.schemas import IssueIn, WarningIn
from shared.caller import Caller
from shared.cap import BadCap, build
from shared.errors import Conflict, Forbidden, InvalidBody, NotFound
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.hub import WarningIssued
from shared.outbox.record import record
from shared.places import covers
from shared.service import Runtime
from shared.vocabulary import WarningLevel

VERTICES = 2000
"""Most points of a warned area: every receiver reads them all."""


async def draft(session: AsyncSession, runtime: Runtime, stated: WarningIn, caller: Caller, now: datetime) -> str:
    """A new draft; its id."""
    row = await _meant(session, runtime, stated, caller, now)
    made = str(ULID())
    begun = {"id": made, "author": caller.subject, "editors": [caller.subject], "drafted_at": now, "recorded_by": caller.subject}
    await session.execute(insert(warnings).values(**begun, **row))
    return made


async def redraft(session: AsyncSession, runtime: Runtime, before: RowMapping, stated: WarningIn, caller: Caller, now: datetime) -> None:
    """Another draft in the place of one; whoever changes it has a part in it and cannot approve it."""
    _in_state(before, "draft")
    row = await _meant(session, runtime, stated, caller, now)
    editors = sorted({*before["editors"], caller.subject})
    await _change(session, before, {**row, "editors": editors}, caller.subject)


async def approve(session: AsyncSession, row: RowMapping, caller: Caller, now: datetime) -> None:
    """The second person's word: from now on it says what it says."""
    _in_state(row, "draft")
    if not may_approve(caller.subject, row["editors"]):
        raise Forbidden("A warning is approved by somebody who wrote no part of it.")
    await _change(session, row, {"state": "approved", "approver": caller.subject, "approved_at": now}, caller.subject)


async def withdraw(session: AsyncSession, row: RowMapping, caller: Caller) -> None:
    """Never to be issued; what was issued is cancelled by a Cancel instead."""
    _in_state(row, "draft", "approved")
    await _change(session, row, {"state": "withdrawn"}, caller.subject)


async def issue(session: AsyncSession, runtime: Runtime, row: RowMapping, given: IssueIn, caller: Caller, now: datetime) -> None:
    """Make the document, keep its bytes, put it before the public if it is meant for it, tell everybody. Once, whoever asks how often."""
    if row["state"] == "issued" and (row["authority"], row["legal_basis"]) == (given.authority, given.legal_basis):
        return
    _at_revision(row, given.revision)
    _in_state(row, "approved")
    if fault := expiry_fault(row["expires"], now):
        raise Conflict(f"{fault} Withdraw this one and draft another.", pointer="/expires")
    previous = await _previous(session, row["previous"], caller, lock=True)
    _refuse_succession(row["kind"], row["status"], previous)
    settings, sent = runtime.settings, now.replace(microsecond=0)
    values: dict[str, Any] = {"state": "issued", "authority": given.authority, "legal_basis": given.legal_basis, "issued_by": caller.subject, "sent": sent}
    values |= {"identifier": identifier_of(settings.city, row["number"], sent), "sender": settings.audience, "references": _references(previous)}
    issued = {**row, **values}
    issued["document"] = values["document"] = _document(issued, settings.timezone)
    await _change(session, row, values, caller.subject)
    if previous is not None:
        await session.execute(update(warnings).where(warnings.c.id == previous["id"]).values(followed_by=row["id"], recorded_by=caller.subject))
        await session.execute(update(public_warnings).where(public_warnings.c.warning == previous["id"]).values(followed=True))
    if row["status"] == "Actual" and row["scope"] == "Public":
        names = ("status", "scope", "level", "hazard", "kind", "headline_zh", "headline_en", "authority", "sent", "expires", "document")
        await session.execute(insert(public_warnings).values(warning=row["id"], followed=row["kind"] == "Cancel", **{name: issued[name] for name in names}))
    record(session, _event(issued))


async def found(session: AsyncSession, warning: str, caller: Caller, *, lock: bool = False) -> RowMapping:
    """The warning, if it exists for the caller."""
    query = select(warnings).where(warnings.c.id == warning, covers(caller, warnings.c.area))
    row = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no warning {warning[:60]!r}.", pointer="/warning")
    return row


async def to_change(session: AsyncSession, warning: str, caller: Caller, revision: int) -> RowMapping:
    """The warning, locked, at the revision that the change starts from."""
    row = await found(session, warning, caller, lock=True)
    _at_revision(row, revision)
    return row


def _at_revision(row: RowMapping, revision: int) -> None:
    if row["revision"] != revision:
        raise Conflict(f"The warning is at revision {row['revision']}, not {revision}: somebody changed it. Read it again.", pointer="/revision")


def _in_state(row: RowMapping, *states: str) -> None:
    if row["state"] not in states:
        raise Conflict(f"The warning is {row['state']}; this can be done to one that is {' or '.join(states)}.", pointer="/warning")


async def _change(session: AsyncSession, row: RowMapping, values: Mapping[str, Any], by: str) -> None:
    await session.execute(update(warnings).where(warnings.c.id == row["id"]).values({**values, "revision": row["revision"] + 1, "recorded_by": by}))


async def _meant(session: AsyncSession, runtime: Runtime, stated: WarningIn, caller: Caller, now: datetime) -> dict[str, Any]:
    """The columns of a draft: areas and outline taken from the incident where they are not stated, everything fit to become CAP."""
    if fault := expiry_fault(stated.expires, now):
        raise InvalidBody(fault, pointer="/expires")
    if stated.onset is not None and not now.year - 1 < stated.onset.year < now.year + 2:
        raise InvalidBody("onset lies too far from now.", pointer="/onset")
    row = stated.model_dump(exclude={"revision"})
    incident = await found_incident(session, stated.incident, caller) if stated.incident else None
    if incident is not None and incident["exercise"] and stated.status == "Actual":
        raise InvalidBody("The incident is an exercise; nobody is warned of it in earnest.", pointer="/status")
    row["areas"] = sorted(set(stated.areas)) or [incident["area"] if incident else ""]
    row["area"] = await _area(runtime, row["areas"], caller)
    if incident is not None and row["geometry"] is None:
        row["geometry"] = await _outline(session, incident["id"])
    row |= _shape(row["geometry"])
    previous = await _previous(session, stated.previous, caller)
    _refuse_succession(stated.kind, stated.status, previous)
    if runtime.settings.city in stated.recipients:
        raise InvalidBody("This city hears of it anyway; name others.", pointer="/recipients")
    trial = {"identifier": "trial", "sender": "trial", "sent": now, "authority": "trial", "legal_basis": "trial", "references": _references(previous)}
    _document({**row, **trial}, runtime.settings.timezone)
    return row


async def _area(runtime: Runtime, codes: list[str], caller: Caller) -> str:
    """The area that the warning lies in as a whole."""
    unknown = set(codes) - await runtime.areas.known(codes)
    city = runtime.settings.areas
    if unknown or not all_seen(codes, caller.areas) or not all_seen(codes, city):
        named = ", ".join(sorted(unknown)[:5]) or ", ".join(codes[:5])
        raise InvalidBody(f"{named}: not among the areas of this city that are known and that the token covers.", pointer="/areas")
    area = common_area(codes)
    if area is None:
        raise InvalidBody("The areas of one warning lie in one province.", pointer="/areas")
    return area


async def _outline(session: AsyncSession, incident: str) -> Any:
    """The newest outline of the incident's releases, from the city's log; nothing if there is none, or it was lifted."""
    subjects = select(incident_subjects.c.regarding).where(incident_subjects.c.incident == incident)
    content = sql_cast(EventRow.envelope, SqlText)
    wanted = EventRow.regarding.in_(subjects), EventRow.type.in_((OutlineComputed.type, OutlineLifted.type))
    newest = (await session.execute(select(EventRow.type, content).where(*wanted).order_by(EventRow.position.desc()).limit(1))).one_or_none()
    if newest is None or newest[0] == OutlineLifted.type:
        return None
    return orjson.loads(newest[1])["data"].get("geometry")


def _shape(geometry: Any) -> dict[str, Any]:
    if geometry is None:
        return {"geometry": None, "extent": None}
    try:
        sound, (west, south, east, north), _ = checked(geometry)
    except BadShape as error:
        raise InvalidBody(str(error), pointer="/geometry") from error
    points = sum(len(ring) for polygon in ([sound["coordinates"]] if sound["type"] == "Polygon" else sound["coordinates"]) for ring in polygon)
    if points > VERTICES:
        raise InvalidBody(f"The area has {points} points; send a simpler one of at most {VERTICES}.", pointer="/geometry")
    return {"geometry": sound, "extent": Box(Point(east, north), Point(west, south))}


async def _previous(session: AsyncSession, warning: str | None, caller: Caller, *, lock: bool = False) -> RowMapping | None:
    if warning is None:
        return None
    try:
        return await found(session, warning, caller, lock=lock)
    except NotFound as error:
        raise InvalidBody(error.detail, pointer="/previous") from error


def _refuse_succession(kind: Any, status: Any, previous: RowMapping | None) -> None:
    known = (previous["state"], previous["status"], previous["kind"], previous["followed_by"] is not None) if previous is not None else None
    if fault := succession_fault(kind, status, known):
        raise Conflict(fault, pointer="/previous")


def _references(previous: RowMapping | None) -> list[list[str]]:
    """All messages that went before: `sender, identifier, sent` of each."""
    if previous is None or previous["state"] != "issued":
        return []
    return [*(previous["references"] or []), [previous["sender"], previous["identifier"], previous["sent"].isoformat()]]


def _document(row: Mapping[str, Any], zone: str) -> bytes:
    try:
        return build(as_alert(row, zone=zone))
    except BadCap as error:
        raise InvalidBody(f"This cannot be a CAP 1.2 message: {error}"[:500]) from error


def _event(row: Mapping[str, Any]) -> WarningIssued:
    named = ("identifier", "sender", "sent", "status", "kind", "headline_zh", "headline_en", "expires", "recipients", "area")
    regarding = f"incidents/{row['incident']}" if row["incident"] else None
    return WarningIssued(warning=row["id"], warninglevel=WarningLevel(row["level"]), regarding=regarding, **{name: row[name] for name in named})
