"""Writes messages to the crews, one for each revision, in the order of commits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.crews.domain import digest
from services.fire.dispatch.reading import Case
from shared.events.fire import CrewsInformed
from shared.outbox.record import record, when_committed
from shared.runtime import Runtime

_WRITE = text("""
    WITH next AS (UPDATE crew_counter SET position = position + 1 RETURNING position)
    INSERT INTO crew_messages (incident, revision, position, area, units, missing, digest, content, created_at)
    SELECT :incident, :revision, next.position, :area, :units, :missing, :digest, CAST(:content AS jsonb), :now FROM next
""").bindparams(
    bindparam("units", type_=ARRAY(Text)),
    bindparam("missing", type_=ARRAY(Text)),
    *(bindparam(name, type_=Text) for name in ("incident", "area", "digest", "content")),
)
"""The counter is locked until the commit, so positions become visible in their order."""


async def inform(session: AsyncSession, runtime: Runtime, case: Case, content: dict[str, Any], now: datetime) -> bool:
    """Write the message if it says anything new; whether it did. The caller holds the incident's work, so no revision is written twice."""
    before = case.said
    content = orjson.loads(orjson.dumps(content))
    said = digest(content, routes=False)
    same = before is not None and said == before["digest"]
    if same and before is not None and not (case.work["reroute"] and digest(content, routes=True) != digest(before["content"], routes=True)):
        return False
    revision = int(before["revision"]) + 1 if before is not None else 1
    units = sorted({each["unit"] for each in content["units"]})
    missing = sorted({each["what"] for each in content["missing"]})
    told = {"incident": case.id, "area": case.incident["area"], "units": units, "missing": missing}
    content |= {"revision": revision, "created_at": now.isoformat()}
    await session.execute(_WRITE, {**told, "revision": revision, "digest": said, "content": orjson.dumps(content).decode(), "now": now})
    record(session, CrewsInformed(**told, revision=revision, regarding=case.incident["regarding"]))
    terminals = runtime.own.terminals
    when_committed(session, lambda: terminals.told(units))
    return True
