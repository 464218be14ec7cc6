"""The city's area table: everybody reads it, administrators load it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy import Select, or_, select

from services.hub.areas.actions import merge_areas
from services.hub.areas.schemas import AreaIn, AreaOut, AreaPage, AreasTaken
from shared.area_codes import LEVELS
from shared.area_directory import PAGE
from shared.areas import areas, version_query
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import read_body
from shared.body.rows import ROWS
from shared.database import Reader, Session
from shared.errors import BodyTooLarge, InvalidBody, NotFound
from shared.outbox.record import when_committed
from shared.row_models import AreaCode, Checked, batch_docs, check_rows
from shared.vocabulary import AreaLevel

router = APIRouter(tags=["areas"])
_PLAIN = [areas.c[name] for name in ("code", "level", "parent", "name_zh", "name_en", "kind", "valid_from", "valid_to", *LEVELS)]
_EXAMPLE = {"code": "430212", "name_zh": "渌口区", "valid_from": "2018-10-01"}


@router.put("/areas", summary="Load areas", openapi_extra=batch_docs(AreaIn, _EXAMPLE, ("application/json",)))
async def load_areas(request: Request, session: Session, caller: Annotated[Caller, may("hub:admin")], correct: bool = False) -> AreasTaken:
    """Merge a JSON array of areas into the table. Rows are independent: what is sound is taken, the rest is rejected with reasons.

    A code that is recorded with other values is a conflict unless `correct=true`; what a row does not state stays as it is recorded, and what
    was not recorded (a polygon, a name in English) is added: such a row counts as corrected.
    Parents may come in the same batch. Polygons that cross themselves are repaired if nothing is lost by it.
    """
    batch = await _read(request)
    outcome = await merge_areas(session, batch, recorded_by=caller.subject, correct=correct)
    when_committed(session, request.app.state.runtime.areas.outdated)
    answer: LoadAnswer = batch.answer(outcome.taken, outcome.corrected, outcome.duplicates)
    return AreasTaken(**answer.as_dict(), repaired=sorted(outcome.repaired))


async def _read(request: Request) -> Checked[AreaIn]:
    """Polygons are no flat rows, so this reads the body itself."""
    body = await read_body(request, ("application/json",))
    try:
        rows = orjson.loads(body.content)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"The body is not JSON: {error}.", pointer="") from error
    if not isinstance(rows, list):
        raise InvalidBody("The body must be a JSON array of areas.", pointer="")
    if len(rows) > ROWS:
        raise BodyTooLarge(f"The body has more than {ROWS} areas; send smaller batches.")
    return check_rows(dict(enumerate(rows)), AreaIn)


@router.get("/areas", summary="The area table", response_model=AreaPage)
async def list_areas(
    reader: Reader,
    response: Response,
    after: Annotated[AreaCode | None, Query(description="The `next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 1000,
    level: AreaLevel | None = None,
    parent: AreaCode | None = None,
    at: Annotated[date | None, Query(description="Only areas whose code held on this day")] = None,
    geometry: Annotated[bool, Query(description="With polygons")] = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Any:
    """Areas by code, page by page. Public; the ETag is the version of the whole table."""
    version = str(await reader.scalar(version_query()))
    headers = {"ETag": f'"{version}"', "Cache-Control": "no-cache"}
    if if_none_match and f'"{version}"' in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    query = _areas(geometry).order_by(areas.c.code).limit(limit + 1)
    for column, wanted in ((areas.c.level, level), (areas.c.parent, parent)):
        query = query.where(column == wanted) if wanted else query
    if after:
        query = query.where(areas.c.code > after)
    if at:
        query = query.where(or_(areas.c.valid_from.is_(None), areas.c.valid_from <= at), or_(areas.c.valid_to.is_(None), areas.c.valid_to > at))
    found = [_shown(row) for row in (await reader.execute(query)).mappings()]
    return {"version": version, "areas": found[:limit], "next": found[limit - 1]["code"] if len(found) > limit else None}


@router.get("/areas/{code}", summary="One area", response_model=AreaOut)
async def get_area(code: AreaCode, reader: Reader) -> Any:
    """An area with its polygon, if it has one, and the codes of the areas that hold it."""
    found = (await reader.execute(_areas(with_geometry=True).where(areas.c.code == code))).mappings().one_or_none()
    if found is None:
        raise NotFound(f"There is no area {code!r}.")
    return _shown(found)


def _areas(with_geometry: bool) -> Select[Any]:
    return select(*_PLAIN, areas.c.extent, *([areas.c.geometry] if with_geometry else []))


def _shown(row: Any) -> dict[str, Any]:
    box = row["extent"]
    return {**row, "bbox": [box.low.x, box.low.y, box.high.x, box.high.y] if box else None}
