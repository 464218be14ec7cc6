"""Merges published notices: translations and updates of one notice become one row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Text, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.food.models import NOTICE_FACTS, notice_documents
from services.food.premises.actions import identifier
from services.food.recalls.domain import kind_of, language_of
from services.food.recalls.schemas import NoticeIn
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.row_models import Checked, misdated

_ONE_AFTER_ANOTHER = text("SELECT pg_advisory_xact_lock(hashtext('food.notices'))")
"""Twins may come in two requests at once; each must see the other's."""
_FIRST = ("kind", "status", "published_at", "title")
_KNOWN = tuple(name for name in NOTICE_FACTS if name not in _FIRST)
_SUM_UP = text(f"""
    INSERT INTO notices AS known (id, registry, number, documents, recorded_by, {", ".join((*_FIRST, *_KNOWN))})
    SELECT DISTINCT ON (notice) notice, registry, substr(notice, length(registry) + 2), count(*) OVER same, :recorded_by, {", ".join(_FIRST)},
        {", ".join(f"coalesce({name}, max({name}) OVER same)" for name in _KNOWN)}
    FROM notice_documents WHERE notice = ANY(:notices)
    WINDOW same AS (PARTITION BY notice)
    ORDER BY notice, CASE language WHEN 'zh' THEN 0 WHEN 'en' THEN 1 ELSE 2 END, published_at DESC, id
    ON CONFLICT (id) DO UPDATE SET documents = excluded.documents, recorded_by = excluded.recorded_by,
        {", ".join(f"{name} = excluded.{name}" for name in NOTICE_FACTS)}
    WHERE (known.documents, {", ".join(f"known.{name}" for name in NOTICE_FACTS)})
        IS DISTINCT FROM (excluded.documents, {", ".join(f"excluded.{name}" for name in NOTICE_FACTS)})
""")
"""The Chinese document before the English before any other, the newest first; what it leaves out, another may say."""


async def save_notices(session: AsyncSession, batch: Checked[NoticeIn], caller: Caller, now: datetime, *, correct: bool) -> LoadAnswer:
    """Take new documents and, if `correct`, new facts about known ones; one row for each notice they tell of.

    A document is known by its number and language. It belongs to the notice of that number, or to that of a document with the same address.
    """
    for number, row in list(batch.rows.items()):
        if fault := misdated(row.published_at, now):
            batch.reject(number, "published_at", "time-out-of-range", fault)
    await session.execute(_ONE_AFTER_ANOTHER)
    there = await _by_address(session, {row.url for row in batch.rows.values() if row.url})
    rows: dict[int, dict[str, Any]] = {}
    for number, row in batch.rows.items():
        language = row.language or language_of(row.title)
        own = identifier(row.registry, row.number)
        facts = row.model_dump(include=set(NOTICE_FACTS)) | {"kind": row.kind or kind_of(row.title)}
        notice = there.get((row.registry, row.url or ""), own)
        document = f"{own}~{language}{f'~{row.document}' if row.document else ''}"
        rows[number] = {"id": document, "registry": row.registry, "number": row.number, "notice": notice, "language": language, **facts}
    merged = await merge(session, notice_documents, rows, key=("id",), recorded_by=caller.subject, correct=correct, derived=("notice",))
    merged.explain(batch, "number and language")
    touched = sorted({rows[number]["notice"] for number in (*merged.taken, *merged.corrected)})
    if touched:
        await session.execute(_SUM_UP, {"notices": touched, "recorded_by": caller.subject})
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def _by_address(session: AsyncSession, urls: set[str]) -> dict[tuple[str, str], str]:
    columns = notice_documents.c.registry, notice_documents.c.url, notice_documents.c.notice
    query = select(*columns).where(notice_documents.c.url == any_(literal(sorted(urls), ARRAY(Text)))).order_by(notice_documents.c.id.desc())
    return {(row.registry, row.url): row.notice for row in await session.execute(query)} if urls else {}
