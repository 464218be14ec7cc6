"""What the public may see: the Atom feed and the documents in it. Both read one table, and no exercise can be in that."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from sqlalchemy import or_, select
from sqlalchemy.engine import RowMapping

from services.hub.warnings.actions import found
from services.hub.warnings.domain import RECENT
from services.hub.warnings.models import public_warnings
from shared.auth import caller as verified
from shared.cap.document import MEDIA_TYPE
from shared.cap.feeds import ATOM_TYPE, Entry, atom
from shared.cap.levels import NAMES
from shared.database import Session
from shared.errors import Forbidden, NotFound, Unauthenticated
from shared.service import Now, Runtime
from shared.vocabulary import WarningLevel

router = APIRouter(tags=["warnings"])
MOST_ENTRIES = 100
FEED_TITLE = "预警信息 · Public warnings"


@router.get("/warnings/feed.atom", summary="Public warnings in force and recent, Atom (RFC 4287)", response_class=Response)
async def feed(request: Request, session: Session, now: Now, if_none_match: Annotated[str | None, Header(max_length=1000)] = None) -> Response:
    """Public. Messages in force, and those of the last 24 hours, the newest first; `If-None-Match` answers 304 while nothing has changed."""
    runtime: Runtime = request.app.state.runtime
    table, base = public_warnings.c, runtime.settings.hub_url.rstrip("/")
    current = (table.expires > now) & table.followed.is_(False)
    query = select(public_warnings).where(or_(current, table.sent > now - RECENT)).order_by(table.sent.desc(), table.warning.desc()).limit(MOST_ENTRIES)
    rows = (await session.execute(query)).mappings().all()
    content = atom(
        name=f"urn:liandong:{runtime.settings.city}:warnings",
        title=FEED_TITLE,
        updated=max((row["sent"] for row in rows), default=datetime(2026, 1, 1, tzinfo=UTC)),
        link=f"{base}/warnings/feed.atom",
        author=runtime.settings.audience,
        entries=[_entry(row, base) for row in rows],
    )
    return _answer(content, ATOM_TYPE, if_none_match)


@router.get("/warnings/{warning}.xml", summary="The CAP 1.2 document of a warning", response_class=Response)
async def document(
    warning: Annotated[str, Path(max_length=60)],
    request: Request,
    session: Session,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
) -> Response:
    """The exact bytes that were issued. Public for what the public is warned of; anything else (exercises, restricted ones) needs a token."""
    content = await session.scalar(select(public_warnings.c.document).where(public_warnings.c.warning == warning))
    if content is None:
        content = await _for_callers(warning, request, session)
    return _answer(content, MEDIA_TYPE, if_none_match)


async def _for_callers(warning: str, request: Request, session: Session) -> bytes:
    """Without a token nobody learns whether there is such a warning."""
    if "authorization" not in request.headers:
        raise Unauthenticated("This is no public warning; whatever else it may be needs a bearer token.")
    caller = await verified(request)
    if not caller.has("hub:query", "hub:events", "hub:command"):
        raise Forbidden("This needs the scope hub:query, hub:events or hub:command.")
    row = await found(session, warning, caller)
    if row["document"] is None:
        raise NotFound(f"The warning {warning[:60]} has not been issued.", pointer="/warning")
    content: bytes = row["document"]
    return content


def _entry(row: RowMapping, base: str) -> Entry:
    level = NAMES[WarningLevel(row["level"])]
    return Entry(
        id=f"urn:liandong:warning:{row['warning']}",
        title=f"{row['headline_zh']} · {row['headline_en']}",
        updated=row["sent"],
        published=row["sent"],
        link=f"{base}/warnings/{row['warning']}.xml",
        summary=f"{row['kind']} · {level.zh} {level.en}",
        author=row["authority"],
        categories=(row["hazard"], row["kind"]),
    )


def _answer(content: bytes, media_type: str, if_none_match: str | None) -> Response:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match and tag in {given.strip().removeprefix("W/") for given in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
