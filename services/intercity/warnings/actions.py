"""Takes in a peer's warning: its issuer trusted, its bytes kept, once for each identifier; an exercise stays an exercise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.intercity.agreements.reading import Agreement
from services.intercity.messages.domain import MayHeal
from services.intercity.messages.wire import Message
from services.intercity.models import issuers, warnings
from services.intercity.proofs.ledger import Change
from services.intercity.state import Gateway
from services.intercity.warnings.domain import Trust, common_prefix, mistrusted
from shared.cap import Alert, BadCap, Info, parse
from shared.cap.areas import codes_of
from shared.cap.levels import level_of
from shared.errors import Problem
from shared.events.intercity import WarningReceived
from shared.outbox import record
from shared.vocabulary import Text

_RECEIVED = ("Alert", "Update", "Cancel")
_STATUSES = ("Actual", "Exercise", "System", "Test")


class UnsoundWarning(Problem):
    slug, status = "unsound-warning", 422
    title = Text("预警文件无效", "Unsound warning")
    remedy = Text("按 CAP 1.2 改正后重新签发。", "Correct the document by CAP 1.2 and sign it again.")


class IssuerNotTrusted(MayHeal, Problem):
    slug, status = "issuer-not-trusted", 403
    title = Text("发布者不受信任", "Issuer not trusted")
    remedy = Text("请对方人员联系本市，登记发布者及其事件与区域。", "Ask an officer of this city to trust the issuer for its events and areas.")


class WarningConflict(Problem):
    slug, status = "warning-conflict", 409
    title = Text("预警标识已用于另一文件", "Warning identifier used for another document")
    remedy = Text("更新或取消须使用新的标识并引用原预警。", "An update or a cancellation has an identifier of its own and refers to the first.")


async def take_warning(gateway: Gateway, peer: str, agreement: Agreement, message: Message) -> tuple[Change, bytes]:
    """What is to be written when the message's id is burnt, and the acknowledgement."""
    try:
        alert = parse(message.payload)
    except BadCap as error:
        raise UnsoundWarning(str(error)[:500]) from error
    if alert.kind not in _RECEIVED or alert.status not in _STATUSES or len(alert.identifier) > 200:
        raise UnsoundWarning(f"{alert.kind} with the status {alert.status} is nothing that another city is warned of.")
    areas = sorted({code for info in alert.infos for area in info.areas for code in codes_of(area.geocodes)})
    why = mistrusted(await _trust(gateway, peer, alert.sender), [_events(info) for info in alert.infos], areas, coded=_coded(alert))
    if why is not None:
        raise IssuerNotTrusted(f"{alert.identifier}: {why}.")
    row = _row(peer, alert, areas) | {"agreement": agreement.id, "message": message.envelope.id, "document": message.payload, "recorded_by": f"peer:{peer}"}

    async def change(session: AsyncSession) -> None:
        made = await session.scalar(insert(warnings).values(row).on_conflict_do_nothing().returning(warnings.c.id))
        if made is None:
            known = await session.scalar(select(warnings.c.document).where(warnings.c.id == row["id"]))
            if bytes(known or b"") != message.payload:
                raise WarningConflict(f"{alert.identifier} was received before with other words.")
            return
        record(session, _event(peer, alert, row))

    return change, orjson.dumps({"acknowledged": alert.identifier, "status": alert.status})


async def _trust(gateway: Gateway, peer: str, sender: str) -> Trust | None:
    async with gateway.runtime.sessions() as session:
        row = (await session.execute(select(issuers).where(issuers.c.peer == peer, issuers.c.sender == sender))).one_or_none()
    return Trust(row.sender, row.events, row.areas) if row else None


def _coded(alert: Alert) -> bool:
    """Whether everything it says is said of areas that it names by code: beside one of those, a mere polygon could lie anywhere."""
    return all(info.areas and all(codes_of(area.geocodes) for area in info.areas) for info in alert.infos)


def _events(info: Info) -> Sequence[str]:
    return (info.event, *(pair.value for pair in info.event_codes))


def _row(peer: str, alert: Alert, areas: Sequence[str]) -> dict[str, Any]:
    level = level_of(alert)
    ends = [info.expires for info in alert.infos if info.expires is not None]
    return {
        "id": f"{peer}:{alert.identifier}",
        "origin": peer,
        "identifier": alert.identifier,
        "sender": alert.sender,
        "sent_at": alert.sent,
        "status": alert.status,
        "kind": alert.kind,
        "event": alert.infos[0].event if alert.infos else None,
        "level": int(level) if level else None,
        "headline_zh": _headline(alert, "zh"),
        "headline_en": _headline(alert, "en"),
        "area": common_prefix(areas),
        "expires_at": max(ends, default=None),
        "received_at": datetime.now(UTC),
    }


def _headline(alert: Alert, language: str) -> str | None:
    return next((info.headline or info.event for info in alert.infos if info.language.lower().startswith(language)), None)


def _event(peer: str, alert: Alert, row: dict[str, Any]) -> WarningReceived:
    return WarningReceived(
        peer=peer,
        identifier=alert.identifier,
        sender=alert.sender,
        status=row["status"],
        kind=row["kind"],
        headline_zh=row["headline_zh"],
        headline_en=row["headline_en"],
        expires=row["expires_at"],
        warninglevel=level_of(alert),
        area=row["area"],
    )
