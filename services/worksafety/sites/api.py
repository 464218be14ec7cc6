"""Enterprises and sites: loaded from their registries, shown with their units."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import null, select

from services.worksafety.models import enterprises, grades, sites, units
from services.worksafety.sites.actions import save_enterprises, save_sites
from services.worksafety.sites.schemas import EnterpriseIn, SiteIn, SiteOut
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.errors import NotFound
from shared.places import covers
from shared.row_models import Checked, batch_docs, batch_of
from shared.vocabulary import DataGrade, Personal

router = APIRouter(tags=["sites"])
Writer = Annotated[Caller, may("worksafety:write")]
Correct = Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")]
_ENTERPRISE = {"number": "91430300000000000X", "name": "某某化工有限公司", "area": "430304"}
_SITE = {"number": "S1", "enterprise": "91430300000000000X", "name": "厂区", "exposed": 120, "lon": 112.94, "lat": 27.83, "crs": "wgs84", "within": "4303"}


@router.put("/enterprises", summary="Load enterprises", openapi_extra=batch_docs(EnterpriseIn, _ENTERPRISE))
async def load_enterprises(
    request: Request,
    session: Session,
    caller: Writer,
    slot: LoadSlot,
    batch: Annotated[Checked[EnterpriseIn], batch_of(EnterpriseIn)],
    correct: Correct = False,
) -> LoadAnswer:
    """Rows are independent. A number that is recorded with other facts is a `conflict` unless `correct=true`."""
    return await save_enterprises(session, batch, caller, request.app.state.runtime, correct=correct)


@router.put("/sites", summary="Load sites", openapi_extra=batch_docs(SiteIn, _SITE))
async def load_sites(
    request: Request,
    session: Session,
    caller: Writer,
    slot: LoadSlot,
    batch: Annotated[Checked[SiteIn], batch_of(SiteIn)],
    correct: Correct = False,
) -> LoadAnswer:
    """Rows are independent. Where the people around a recorded site are corrected, its units are graded anew in the same transaction."""
    return await save_sites(session, batch, caller, request.app.state.runtime, correct=correct)


@router.get("/sites/{site_id}", summary="A site with its units", response_model=SiteOut)
async def show_site(site_id: str, reader: Reader, caller: Annotated[Caller, may("worksafety:read", "hub:query")]) -> Any:
    """A site, whose it is, and the grade of each of its units; R needs the clearance `important`. The id is `<registry>:<number>`."""
    query = (
        select(sites, enterprises.c.name.label("enterprise_name"))
        .outerjoin(enterprises, enterprises.c.id == sites.c.enterprise)
        .where(sites.c.id == site_id.replace("\0", ""), covers(caller, sites.c.area))
    )
    site = (await reader.execute(query)).mappings().one_or_none()
    if site is None:
        raise NotFound(f"There is no site {site_id[:100]!r}.")
    important = caller.clearance.covers(DataGrade.IMPORTANT, Personal.NONE)
    index = grades.c.r if important else null().label("r")
    graded = select(units, index, grades.c.grade).outerjoin(grades, grades.c.unit == units.c.id).where(units.c.site == site["id"]).order_by(units.c.number)
    return {**site, "units": [dict(unit) for unit in (await reader.execute(graded)).mappings()]}
