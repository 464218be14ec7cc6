"""The city's area table: everybody reads it, administrators load it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import RowMapping, Select, exists, or_, select

from services.hub.areas.actions import merge_areas
from services.hub.areas.schemas import AreaIn, AreaOut, AreaPage, AreasTaken
from shared.area_codes import LEVELS
from shared.area_copy import PAGE
from shared.areas import areas, last_change_of, version_query
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import read_body
from shared.body.rows import ROWS
from shared.database import Reader, Session
from shared.datasets.history import changes
from shared.errors import BodyTooLarge, InvalidBody, NotFound
from shared.outbox.record import when_committed
from shared.row_models import AreaCode, Checked, batch_docs, check_rows
from shared.vocabulary import AreaLevel

router = APIRouter(tags=["areas"])
_PLAIN = ("code", "level", "parent", "name_zh", "name_en", "kind", "valid_from", "valid_to", *(level.value for level in LEVELS))


class Wanted(BaseModel):
    """Which areas are asked for."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[AreaCode | None, Field(description="The `next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=PAGE)] = 1000
    level: AreaLevel | None = None
    parent: AreaCode | None = None
    at: Annotated[date | None, Field(description="Only areas whose code held on this day")] = None
    since: Annotated[str | None, Field(max_length=40, description="Only areas that changed after this version of the table")] = None
    geometry: Annotated[bool, Field(description="With polygons")] = False


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


@router.get("/areas", summary="The area table", responses={200: {"model": AreaPage}, 304: {"description": "Still the same version"}}, response_class=Response)
async def list_areas(reader: Reader, wanted: Annotated[Wanted, Query()], if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Areas by code, page by page. Public; the ETag is the version of the whole table.

    With `since`, an earlier version, only the areas that changed after it; if it is none of this table's, all of them, and `since` is null in the answer.
    """
    version = str(await reader.scalar(version_query()))
    headers = {"ETag": f'"{version}"', "Cache-Control": "no-cache"}
    if if_none_match and f'"{version}"' in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    since = last_change_of(wanted.since) if wanted.since else None
    if since and not await reader.scalar(select(exists().where(changes.c.table_name == areas.name, changes.c.recorded_at == since))):
        since = None
    found = [_shown(row) for row in (await reader.execute(_chosen(wanted, since))).mappings()]
    page = {
        "version": version,
        "since": wanted.since if since else None,
        "areas": found[: wanted.limit],
        "next": found[wanted.limit - 1]["code"] if len(found) > wanted.limit else None,
    }
    return Response(orjson.dumps(page), headers=headers, media_type="application/json")


def _chosen(wanted: Wanted, since: datetime | None) -> Select[Any]:
    """One area more than the page has, so that the next one is known to be there."""
    query = _areas(wanted.geometry).order_by(areas.c.code).limit(wanted.limit + 1)
    for column, value in ((areas.c.level, wanted.level), (areas.c.parent, wanted.parent)):
        query = query.where(column == value) if value else query
    if wanted.after:
        query = query.where(areas.c.code > wanted.after)
    if since:
        query = query.where(areas.c.recorded_at > since)
    if wanted.at:
        held = or_(areas.c.valid_from.is_(None), areas.c.valid_from <= wanted.at), or_(areas.c.valid_to.is_(None), areas.c.valid_to > wanted.at)
        query = query.where(*held)
    return query


@router.get("/areas/{code}", summary="One area", response_model=AreaOut)
async def get_area(code: AreaCode, reader: Reader) -> Any:
    """An area with its polygon, if it has one, and the codes of the areas that hold it."""
    found = (await reader.execute(_areas(with_geometry=True).where(areas.c.code == code))).mappings().one_or_none()
    if found is None:
        raise NotFound(f"There is no area {code!r}.")
    return _shown(found)


def _areas(with_geometry: bool) -> Select[Any]:
    return select(*(areas.c[name] for name in _PLAIN), areas.c.extent, *([areas.c.geometry] if with_geometry else []))


def _shown(row: RowMapping) -> dict[str, Any]:
    box = row["extent"]
    shown = {name: row[name] for name in _PLAIN} | {"bbox": [box.low.x, box.low.y, box.high.x, box.high.y] if box else None}
    return shown | ({"geometry": row["geometry"]} if "geometry" in row else {})
