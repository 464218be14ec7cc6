"""Judges inspections by their score and findings, and tells of those that failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Text, any_, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.food.inspections.domain import failed, is_news, rule_for
from services.food.models import findings, inspections, premises
from shared.events.food import InspectionFailed

_LINK = text("""
    UPDATE findings SET inspection = chosen.id, recorded_by = :recorded_by
    FROM (
        SELECT DISTINCT ON (premises, inspected_at) id, premises, inspected_at FROM inspections
        WHERE (premises, inspected_at) IN (SELECT premises, inspected_at FROM inspections WHERE id = ANY(:ids))
        ORDER BY premises, inspected_at, score IS NULL, number
    ) AS chosen
    WHERE findings.inspection IS NULL AND findings.premises = chosen.premises AND findings.found_at = chosen.inspected_at
    RETURNING findings.inspection
""")
"""Findings that waited for an inspection of their premises and time: the one with a score, if there are several."""
_JUDGED = ("id", "registry", "premises", "inspected_at", "kind", "score", "failed", "edition")
_JUDGE = text("""
    UPDATE inspections SET failed = verdict.failed, edition = verdict.edition, recorded_by = :recorded_by
    FROM unnest(CAST(:ids AS text[]), CAST(:failed AS boolean[]), CAST(:editions AS text[])) AS verdict (id, failed, edition)
    WHERE inspections.id = verdict.id
""")


async def link_findings(session: AsyncSession, ids: Sequence[str], recorded_by: str) -> set[str]:
    """Give waiting findings to these newly recorded inspections; the ids of inspections that got any."""
    return set(await session.scalars(_LINK, {"ids": list(ids), "recorded_by": recorded_by}))


async def judge(session: AsyncSession, ids: Iterable[str], recorded_by: str, now: datetime) -> list[InspectionFailed]:
    """Judge these inspections anew; the events of those that now fail and did not before."""
    changed, events = [], []
    for found in await _to_judge(session, sorted(set(ids))):
        rule = rule_for(found.registry, found.inspected_at)
        verdict = failed(rule, found.score, [risk for risk in found.risks if risk])
        if (verdict, rule.edition) != (found.failed, found.edition):
            changed.append((found.id, verdict, rule.edition))
        if verdict and not found.failed and is_news(found.inspected_at, now):
            events.append(_event(found, rule.edition))
    if changed:
        columns = zip(*changed, strict=True)
        await session.execute(_JUDGE, dict(zip(("ids", "failed", "editions"), map(list, columns), strict=True)) | {"recorded_by": recorded_by})
    return events


async def _to_judge(session: AsyncSession, ids: list[str]) -> Sequence[Any]:
    risks = func.array_agg(findings.c.risk.distinct()).label("risks")
    high = func.count().filter(findings.c.risk == "high").label("high_risks")
    query = (
        select(
            *(inspections.c[name] for name in ("id", "registry", "premises", "inspected_at", "kind", "score", "failed", "edition")),
            premises.c.area,
            risks,
            high,
        )
        .join(premises, premises.c.id == inspections.c.premises)
        .outerjoin(findings, findings.c.inspection == inspections.c.id)
        .where(inspections.c.id == any_(literal(ids, ARRAY(Text))))
        .group_by(inspections.c.id, premises.c.area)
        .order_by(inspections.c.id)
    )
    return (await session.execute(query)).all()


def _event(found: Any, edition: str) -> InspectionFailed:
    return InspectionFailed(
        area=found.area,
        premises=found.premises,
        inspection=found.id,
        inspected_at=found.inspected_at,
        kind=found.kind,
        score=found.score,
        high_risks=found.high_risks,
        edition=edition,
    )
