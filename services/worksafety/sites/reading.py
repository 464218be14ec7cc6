"""How sites are named, and which of them exist for a caller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.models import sites
from shared.caller import Caller
from shared.places import covers


def identifier(registry: str, *numbers: str) -> str:
    """How a row is named everywhere: numbers are unique within the registry that gave them, a unit's within its site."""
    return ":".join((registry, *numbers))


async def sites_of(session: AsyncSession, ids: Iterable[str], caller: Caller) -> dict[str, Any]:
    """These sites, by id, as far as they exist for the caller."""
    wanted = sites.c.id == any_(literal(sorted(set(ids)), ARRAY(Text)))
    found = await session.execute(select(sites).where(wanted, covers(caller, sites.c.area)))
    return {site.id: site for site in found}
