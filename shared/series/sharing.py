"""How a service with series takes readings and shares them: the route and the dataset that are the same everywhere."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import MEDIA_TYPES, LoadSlot, read_body, rows_of
from shared.database import Session
from shared.datasets.declaration import Dataset, Field, Join, Point
from shared.datasets.fields import field, place_fields
from shared.idempotency import Repeatable
from shared.runtime import Now
from shared.series.loading import Loaded, load
from shared.series.properties import Observed
from shared.series.reading import columns
from shared.series.rolled import HOURLY
from shared.series.tables import observations, series
from shared.vocabulary import Sharing, Text

After = Callable[[AsyncSession, Loaded, datetime, Caller], Awaitable[None]]
"""What follows from a load, in its transaction."""


def readings_router(observed: Observed, scope: str, example: dict[str, Any], after: After | None = None) -> APIRouter:
    """`POST /observations` of a service that holds nothing but its `SeriesDirectory` (`Service.holds=hold_directory`)."""
    router = APIRouter(tags=["observations"])

    @router.post(
        "/observations", summary="Load observations", openapi_extra=_docs(observed, example), responses={200: {"model": LoadAnswer}}, response_class=Response
    )
    async def load_readings(
        request: Request,
        session: Session,
        once: Repeatable,
        caller: Annotated[Caller, may(scope)],
        now: Now,
        slot: LoadSlot,
        correct: Annotated[bool, Query(description="Put other values in the place of recorded ones; the old ones are kept as history")] = False,
    ) -> Response:
        """Rows are independent: what is sound is taken, the rest is rejected with its row, pointer and reason.

        JSON array, NDJSON, CSV with a header, or an Arrow stream; optionally gzip. The answer comes after the commit.
        A value already recorded is a duplicate; another value under the same property and time is a `conflict` unless `correct=true`.
        """
        body = await read_body(request, MEDIA_TYPES)
        rows = rows_of(body, columns(observed))

        async def work() -> dict[str, Any]:
            loaded = await load(session, rows, observed, request.app.state.runtime.own, caller, now, correct=correct)
            if after is not None:
                await after(session, loaded, now, caller)
            return loaded.answer.as_dict()

        return await once(work, body_digest=body.digest)

    return router


def _docs(observed: Observed, example: dict[str, Any]) -> dict[str, Any]:
    row = {
        "type": "object",
        "required": [observed.feature, "property", "time", "value"],
        "additionalProperties": False,
        "properties": {
            observed.feature: {"type": "string"},
            "property": {"type": "string", "enum": sorted(observed.by_code)},
            "time": {"type": "string", "format": "date-time", "description": "With offset; instant, beginning or end of the interval, as the series says"},
            "value": {"type": "number"},
            "unit": {"type": "string", "description": "UCUM; the property's own unit if absent"},
            "quality": {
                "type": "integer",
                "minimum": 1,
                "maximum": 4,
                "description": "1 good, 2 not evaluated, 3 suspect, 4 bad (IOC Manuals and Guides 54-3)",
            },
        },
    }
    content: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES}
    return {"requestBody": {"required": True, "content": content | {"application/json": {"schema": {"type": "array", "items": row}, "example": [example]}}}}


def _fields(observed: Observed) -> tuple[Field, ...]:
    units = "; ".join(f"{each.code}: {each.unit}" for each in observed.properties)
    return (
        field(observed.feature, "测点代码", f"Code of the {observed.feature}", column="series.feature"),
        field("name_zh", "测点名称", f"Name of the {observed.feature} in Chinese", column="series.name_zh", required=False),
        field("name_en", "测点英文名", f"Name of the {observed.feature} in English", column="series.name_en", required=False),
        field("property", "监测项目", "What is measured", column="series.property", values=tuple(observed.by_code)),
        field("unit", "计量单位（UCUM）", "Unit of the value, UCUM", column="series.unit", definition=units),
        field("time", "时间", "Beginning of the interval, or the instant", "datetime"),
        field("value", "数值", "Value, in the unit of the property", "number"),
        field("quality", "质量标记", "Quality flag", "integer", definition="IOC Manuals and Guides 54, volume 3"),
        *place_fields("series."),
    )


def readings_dataset(
    dataset: str,
    title: Text,
    observed: Observed,
    owner: Text,
    legal_basis: str,
    *,
    freshness: timedelta = timedelta(hours=2),
    sharing: Sharing = Sharing.UNCONDITIONAL,
) -> Dataset:
    """The readings of a service, each with its feature, property, unit and place."""
    return Dataset(
        id=dataset,
        title=title,
        description=Text(
            f"{'、'.join(each.title.zh for each in observed.properties)}。时间为统计时段的起点（瞬时值则为该时刻）。",
            f"{', '.join(each.title.en for each in observed.properties)}. The time is the beginning of the interval, or the instant.",
        ),
        owner=owner,
        table=observations,
        key=("series", "time"),
        joins=(Join(name="series", table=series, on=("series", "id")),),
        fields=_fields(observed),
        time="time",
        geometry=Point(lon="series.lon", lat="series.lat"),
        freshness=freshness,
        sharing=sharing,
        legal_basis=legal_basis,
        rollup=HOURLY,
    )
