"""Grades units anew, in bulk, after what they hold, the people around them or the figures of substances have changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Text, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.worksafety.inventories.domain import EDITION, Grading, Stored, graded
from services.worksafety.models import grades, inventories, sites, substances, units
from shared.events.worksafety import GradeChanged
from shared.outbox.record import record_all
from shared.vocabulary import HazardGrade

_KEEP = text("""
    INSERT INTO grades (unit, site, identified, s, alpha, exposed, r, grade, edition, recorded_by)
    SELECT *, :recorded_by FROM unnest(
        CAST(:unit AS text[]), CAST(:site AS text[]), CAST(:identified AS boolean[]), CAST(:s AS double precision[]), CAST(:alpha AS double precision[]),
        CAST(:exposed AS integer[]), CAST(:r AS double precision[]), CAST(:grade AS smallint[]), CAST(:edition AS text[])
    ) AS made (unit, site, identified, s, alpha, exposed, r, grade, edition) ORDER BY unit
    ON CONFLICT (unit) DO UPDATE SET (site, identified, s, alpha, exposed, r, grade, edition, recorded_by) = ROW
        (excluded.site, excluded.identified, excluded.s, excluded.alpha, excluded.exposed, excluded.r, excluded.grade, excluded.edition, excluded.recorded_by)
    WHERE (grades.s, grades.alpha, grades.exposed, grades.r, grades.edition) IS DISTINCT FROM
        (excluded.s, excluded.alpha, excluded.exposed, excluded.r, excluded.edition)
""")


async def regrade(session: AsyncSession, wanted: Iterable[str], recorded_by: str, *, tell: bool = True) -> None:
    """Grade these units and, if `tell`, record an event for each whose grade is another than before; four statements whatever their number.

    The units stay locked until the commit: of two loads that touch one unit, the second grades what the first has committed.
    """
    ids = sorted(set(wanted))
    if not ids:
        return
    among = units.c.id == any_(literal(ids, ARRAY(Text)))
    await session.execute(select(units.c.id).where(among).order_by(units.c.id).with_for_update(key_share=True))
    made = [(unit, graded(unit["stored"], unit["exposed"])) for unit in await stored_in(session, ids)]
    if tell:
        record_all(session, [_event(unit, grading) for unit, grading in made if grading.grade != unit["before"]])
    rows = [_row(unit, grading) for unit, grading in made]
    if rows:
        await session.execute(_KEEP, {name: [row[name] for row in rows] for name in rows[0]} | {"recorded_by": recorded_by})


async def units_of_sites(session: AsyncSession, ids: Sequence[str]) -> list[str]:
    """The units of these sites."""
    return list(await session.scalars(select(units.c.id).where(units.c.site == any_(literal(list(ids), ARRAY(Text))))))


async def units_with(session: AsyncSession, codes: Sequence[str]) -> list[str]:
    """The units that hold any of these substances."""
    return list(await session.scalars(select(inventories.c.unit).where(inventories.c.substance == any_(literal(list(codes), ARRAY(Text)))).distinct()))


async def stored_in(connection: AsyncSession | AsyncConnection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """What these units hold, with the people around them and their grade so far, in one query."""
    query = (
        select(
            inventories.c.unit,
            inventories.c.site,
            sites.c.area,
            sites.c.exposed,
            grades.c.grade.label("before"),
            inventories.c.q_design,
            substances.c.code,
            substances.c.critical_t,
            substances.c.beta,
        )
        .join(sites, sites.c.id == inventories.c.site)
        .join(substances, substances.c.code == inventories.c.substance)
        .outerjoin(grades, grades.c.unit == inventories.c.unit)
        .where(inventories.c.unit == any_(literal(list(ids), ARRAY(Text))))
        .order_by(inventories.c.unit, substances.c.code)
    )
    found: dict[str, dict[str, Any]] = {}
    held: defaultdict[str, list[Stored]] = defaultdict(list)
    for row in (await connection.execute(query)).mappings():
        found.setdefault(row["unit"], {name: row[name] for name in ("unit", "site", "area", "exposed", "before")})
        held[row["unit"]].append(Stored(row["code"], row["q_design"], row["critical_t"], row["beta"]))
    return [unit | {"stored": held[key]} for key, unit in found.items()]


def _row(unit: Mapping[str, Any], grading: Grading) -> dict[str, Any]:
    return {
        "unit": unit["unit"],
        "site": unit["site"],
        "identified": grading.identified,
        "s": grading.s,
        "alpha": grading.alpha,
        "exposed": unit["exposed"],
        "r": grading.r,
        "grade": None if grading.grade is None else int(grading.grade),
        "edition": EDITION,
    }


def _event(unit: Mapping[str, Any], grading: Grading) -> GradeChanged:
    before = unit["before"]
    return GradeChanged(
        area=unit["area"],
        site=unit["site"],
        unit=unit["unit"],
        grade=grading.grade,
        before=None if before is None else HazardGrade(before),
        edition=EDITION,
    )
