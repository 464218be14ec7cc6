"""Units, substances and inventories: loaded in bulk; the grades that follow, step by step."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.worksafety.inventories.actions import save_inventories, save_substances, save_units
from services.worksafety.inventories.domain import EDITION, REGULATORS, graded
from services.worksafety.inventories.judging import stored_in
from services.worksafety.inventories.schemas import GradeOut, InventoryIn, StepOut, SubstanceIn, UnitIn
from services.worksafety.models import grades, sites, substances, units
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.errors import Forbidden, NotFound
from shared.places import covers
from shared.row_models import Checked, batch_docs, batch_of
from shared.service import Now
from shared.vocabulary import DataGrade, Personal

router = APIRouter(tags=["inventories"])
Writer = Annotated[Caller, may("worksafety:write")]
Correct = Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")]
Historic = Annotated[bool, Query(description="Tell nobody of the grades that follow: for the first load of what has long been known")]
CLAUSES = {
    "s": "GB 18218-2018, 4.2.1, eq. (1)",
    "q_design": "GB 18218-2018, 4.2.2",
    "r": "GB 18218-2018, 4.3.2, eq. (2)",
    "beta": "GB 18218-2018, tables 3 and 4",
    "alpha": "GB 18218-2018, table 5",
    "grade": "GB 18218-2018, table 6",
}
"""Where each figure stands; numbers of clauses from memory, to be verified."""


@router.put("/units", summary="Load units of sites", openapi_extra=batch_docs(UnitIn, {"site": "S1", "number": "U1", "name": "液氯储罐区", "kind": "storage"}))
async def load_units(
    request: Request, session: Session, caller: Writer, slot: LoadSlot, batch: Annotated[Checked[UnitIn], batch_of(UnitIn)], correct: Correct = False
) -> LoadAnswer:
    """Rows are independent. A unit is what is graded by itself."""
    return await save_units(session, batch, caller, request.app.state.runtime.settings.city, correct=correct)


@router.put("/substances", summary="Load substances", openapi_extra=batch_docs(SubstanceIn, {"code": "gb18218-12", "critical_t": 5}))
async def load_substances(
    session: Session,
    caller: Writer,
    slot: LoadSlot,
    batch: Annotated[Checked[SubstanceIn], batch_of(SubstanceIn)],
    correct: Correct = False,
    historic: Historic = False,
) -> LoadAnswer:
    """Rows are independent. Other figures for a recorded substance (`correct=true`) grade all units that hold it anew."""
    if not caller.everywhere:
        raise Forbidden("The table of substances holds for the whole city: this needs a token for all areas (`*`).")
    return await save_substances(session, batch, caller, correct=correct, tell=not historic)


@router.put(
    "/inventories",
    summary="Load what units hold",
    openapi_extra=batch_docs(InventoryIn, {"site": "S1", "unit": "U1", "substance": "7782-50-5", "q_design": 50, "q_now": 31.5}),
)
async def load_inventories(
    request: Request,
    session: Session,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[InventoryIn], batch_of(InventoryIn)],
    correct: Correct = False,
    historic: Historic = False,
) -> LoadAnswer:
    """Rows are independent. The units are graded in the same transaction; a grade that changes is an event unless `historic=true`."""
    return await save_inventories(session, batch, caller, request.app.state.runtime.settings.city, now, correct=correct, tell=not historic)


@router.get("/sites/{site_id}/grade", summary="The grades of a site's units, step by step")
async def show_grade(site_id: str, reader: Reader, caller: Annotated[Caller, may("worksafety:read", "hub:query")]) -> list[GradeOut]:
    """Each unit of the site that holds anything, with S, alpha, R and what each substance adds. Quantities need the clearance `important`."""
    if not caller.clearance.covers(DataGrade.IMPORTANT, Personal.NONE):
        raise Forbidden("Quantities of dangerous substances are important data: this needs a token with the clearance `important`.")
    site = await reader.scalar(select(sites.c.id).where(sites.c.id == site_id.replace("\0", ""), covers(caller, sites.c.area)))
    if site is None:
        raise NotFound(f"There is no site {site_id[:100]!r}.")
    query = select(units.c.id, units.c.name, grades.c.recorded_at).outerjoin(grades, grades.c.unit == units.c.id).where(units.c.site == site)
    named = {unit.id: unit for unit in await reader.execute(query)}
    stored = await stored_in(reader, sorted(named))
    codes = sorted({each.substance for unit in stored for each in unit["stored"]})
    wanted = select(substances).where(substances.c.code == any_(literal(codes, ARRAY(Text))))
    known = {row["code"]: row for row in (await reader.execute(wanted)).mappings()}
    return [_shown(unit, named[unit["unit"]], known) for unit in stored]


def _shown(unit: dict[str, Any], named: Any, known: dict[str, Any]) -> GradeOut:
    grading = graded(unit["stored"], unit["exposed"])
    steps = [
        StepOut(
            substance=step.substance,
            **{name: known[step.substance][name] for name in ("cas", "name_zh", "name_en", "edition", "source")},
            q_design=step.q_design,
            critical=step.critical,
            beta=step.beta,
            quotient=step.quotient,
            contribution=step.contribution,
        )
        for step in grading.steps
    ]
    return GradeOut(
        unit=unit["unit"],
        name=named.name,
        identified=grading.identified,
        s=grading.s,
        exposed=unit["exposed"],
        alpha=grading.alpha,
        r=grading.r,
        grade=grading.grade,
        regulator=REGULATORS[grading.grade] if grading.grade else None,
        edition=EDITION,
        clauses=CLAUSES,
        recorded_at=named.recorded_at,
        steps=steps,
    )
