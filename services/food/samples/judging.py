"""Judges tests by the limits of their day, again after a correction, and tells of samples that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, any_, literal, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.food.models import samples, tests
from services.food.samples.domain import EXCEEDS, Assessment, assess, is_news, limit_for, readings_of
from services.food.samples.tables import LIMITS
from shared.events.food import SampleFailed

JUDGED = ("verdict", "amount", "limit_value", "limit_unit", "source", "reason")
_JUDGE = text("""
    UPDATE tests SET verdict = judged.verdict, amount = judged.amount, limit_value = judged.limit_value, limit_unit = judged.limit_unit,
        source = judged.source, reason = judged.reason, recorded_by = :recorded_by
    FROM unnest(
        CAST(:ids AS text[]), CAST(:verdict AS text[]), CAST(:amount AS float8[]), CAST(:limit_value AS float8[]), CAST(:limit_unit AS text[]),
        CAST(:source AS text[]), CAST(:reason AS text[])
    ) AS judged (id, verdict, amount, limit_value, limit_unit, source, reason)
    WHERE tests.id = judged.id
""")
_SUPERSEDE = text("""
    UPDATE tests SET superseded = found.now, recorded_by = :recorded_by
    FROM (
        SELECT t.id, EXISTS (SELECT FROM tests r WHERE r.retest_of = t.id AND r.sample = t.sample AND r.analyte = t.analyte) AS now
        FROM tests t WHERE t.id = ANY(:ids)
    ) AS found
    WHERE tests.id = found.id AND tests.superseded <> found.now
    RETURNING tests.id, tests.superseded
""")


def judged(assessment: Assessment) -> dict[str, Any]:
    """An assessment as the columns of a test."""
    limit = assessment.limit
    return {
        "verdict": assessment.verdict,
        "amount": float(assessment.amount) if assessment.amount is not None else None,
        "limit_value": float(limit.value) if limit else None,
        "limit_unit": limit.unit if limit else None,
        "source": f"{limit.source}{'' if limit.verified else ' (from memory, to be verified)'}" if limit else None,
        "reason": assessment.reason,
    }


def verdict(analyte: str, result: str, unit: str, detection_limit: str | None, product: str, day: date) -> dict[str, Any]:
    """The verdict on a result that can be read, as the columns of a test."""
    readings = readings_of(result, Decimal(detection_limit) if detection_limit else None)
    return judged(assess(limit_for(LIMITS, analyte, product, day), readings, unit))


def day_of(made_on: date | None, taken_at: datetime) -> date:
    """The day whose standards are meant."""
    return made_on or taken_at.date()


async def judge_again(session: AsyncSession, test_ids: Iterable[str], sample_ids: Iterable[str], recorded_by: str, now: datetime) -> list[SampleFailed]:
    """Judge these tests and those of these samples anew; the events of those that now exceed and did not before."""
    found = await _to_judge(session, or_(_among(tests.c.id, test_ids), _among(tests.c["sample"], sample_ids)))
    changed: dict[str, dict[str, Any]] = {}
    events = []
    for row in found:
        now_judged = verdict(row.analyte, row.result, row.unit, row.detection_limit, row.product, day_of(row.made_on, row.taken_at))
        if any(now_judged[name] != getattr(row, name) for name in JUDGED):
            changed[row.id] = now_judged
        if now_judged["verdict"] == EXCEEDS and row.verdict != EXCEEDS and not row.superseded and is_news(row.taken_at, now):
            events.append(failure(row, now_judged))
    if changed:
        columns = {name: [each[name] for each in changed.values()] for name in JUDGED}
        await session.execute(_JUDGE, {"ids": list(changed), **columns, "recorded_by": recorded_by})
    return events


async def supersede(session: AsyncSession, ids: Iterable[str], recorded_by: str) -> None:
    """Mark tests that have a retest of the same sample and analyte, and unmark those that have none any more."""
    wanted = sorted(set(ids))
    if wanted:
        await session.execute(_SUPERSEDE, {"ids": wanted, "recorded_by": recorded_by})


async def failures(session: AsyncSession, ids: Iterable[str], now: datetime) -> list[SampleFailed]:
    """The events of newly recorded tests that exceed a limit and have no retest."""
    found = await _to_judge(session, _among(tests.c.id, ids) & (tests.c.verdict == EXCEEDS) & ~tests.c.superseded)
    return [failure(row, dict(row._mapping)) for row in found if is_news(row.taken_at, now)]


def failure(row: Row[Any], values: Mapping[str, Any]) -> SampleFailed:
    """The event of a test that exceeds a limit."""
    return SampleFailed(
        area=row.area,
        sample=row.sample,
        laboratory=row.laboratory,
        premises=row.premises,
        lot=row.lot,
        product=row.product,
        analyte=row.analyte,
        value=values["amount"],
        limit=values["limit_value"],
        unit=values["limit_unit"],
        source=values["source"],
        taken_at=row.taken_at,
    )


def _among(column: ColumnElement[str], ids: Iterable[str]) -> ColumnElement[bool]:
    return column == any_(literal(sorted(set(ids)), ARRAY(Text)))


async def _to_judge(session: AsyncSession, which: ColumnElement[bool]) -> list[Row[Any]]:
    stated = ("id", "sample", "laboratory", "analyte", "result", "unit", "detection_limit", "superseded", *JUDGED)
    taken = ("area", "premises", "lot", "product", "made_on", "taken_at")
    query = select(*(tests.c[name] for name in stated), *(samples.c[name] for name in taken))
    return list(await session.execute(query.join(samples, samples.c.id == tests.c["sample"]).where(which).order_by(tests.c.id)))
