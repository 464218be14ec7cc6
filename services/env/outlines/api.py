"""Outlines of releases: the newest of one, or of all that are active."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select

from services.env.models import outlines
from services.env.outlines.schemas import OutlineOut, Outlines
from shared.auth import Caller, may
from shared.database import Reader
from shared.places import covers

router = APIRouter(tags=["outlines"])
MOST = 200
_SHOWN = [outlines.c[name] for name in OutlineOut.model_fields]


@router.get("/outlines", summary="Where releases endanger people", response_model=Outlines)
async def show_outlines(
    reader: Reader,
    caller: Annotated[Caller, may("env:read", "hub:query")],
    release: Annotated[str | None, Query(max_length=100, pattern=r"^[A-Za-z0-9._~@+-]+$", description="Of this release only, lifted or not")] = None,
) -> Any:
    """The newest outline of a release, or of every active one (at most 200, newest first). Earlier revisions: `/collections/env.outlines`, `known_at`."""
    query = select(*_SHOWN).where(covers(caller, outlines.c.area)).order_by(outlines.c.computed_at.desc().nulls_last(), outlines.c.release).limit(MOST)
    wanted = outlines.c.lifted_at.is_(None) if release is None else outlines.c.release == release
    return {"outlines": [dict(row) for row in (await reader.execute(query.where(wanted))).mappings()]}
