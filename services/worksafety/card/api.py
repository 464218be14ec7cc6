"""The on-site card: what lies around a point, for whoever drives there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.worksafety.card.domain import AID_SOURCE, bearing_deg, first_aid, missing
from services.worksafety.card.reading import MOST, near
from services.worksafety.card.schemas import Card
from services.worksafety.inventories.tables import SOURCE
from shared.auth import Caller, may
from shared.database import Reader
from shared.row_models import Latitude, Longitude
from shared.service import Now
from shared.vocabulary import DataGrade, Personal

router = APIRouter(tags=["on-site card"])
_QUANTITIES = ("q_now", "q_design", "counted_at")
_INDEX = "r"
"""Of a unit that holds one substance, R tells the quantity."""


@router.get("/on-site-card", summary="What is stored around a point", response_model=Card)
async def on_site_card(
    reader: Reader,
    caller: Annotated[Caller, may("worksafety:read", "hub:query")],
    now: Now,
    lon: Annotated[Longitude, Query()],
    lat: Annotated[Latitude, Query()],
    radius_m: Annotated[float, Query(gt=0, le=10_000, allow_inf_nan=False, description="Metres")] = 500,
) -> Any:
    """Sites within the radius with their units, grades and substances, and open releases with their newest outline; in one query.

    Rows outside the token's areas do not exist here; quantities need the clearance `important`. What is missing is said.
    """
    sites, releases = await near(reader, lon, lat, radius_m, caller)
    quantities = caller.clearance.covers(DataGrade.IMPORTANT, Personal.NONE)
    shown_sites = [_site(site, (lon, lat), quantities=quantities) for site in sites[:MOST]]
    shown_releases = [release | {"bearing_deg": _bearing((lon, lat), release)} for release in releases[:MOST]]
    truncated = len(sites) > MOST or len(releases) > MOST
    return {
        "lon": lon,
        "lat": lat,
        "radius_m": radius_m,
        "as_of": now,
        "sites": shown_sites,
        "releases": shown_releases,
        "missing": missing(shown_sites, shown_releases, quantities=quantities, truncated=truncated),
        "sources": {"grades": SOURCE, "first_aid": AID_SOURCE},
    }


def _site(site: Mapping[str, Any], point: tuple[float, float], *, quantities: bool) -> dict[str, Any]:
    hidden = () if quantities else _QUANTITIES
    held = [
        {name: value for name, value in substance.items() if name not in hidden} | {"first_aid": first_aid(substance["classes"])}
        for substance in site["substances"]
    ]
    units = site["units"] if quantities else [unit | {_INDEX: None} for unit in site["units"]]
    return {**site, "site": site["id"], "bearing_deg": _bearing(point, site), "units": units, "substances": held}


def _bearing(point: tuple[float, float], place: Mapping[str, Any]) -> float:
    return round(bearing_deg(point, (place["lon"], place["lat"])), 1)
