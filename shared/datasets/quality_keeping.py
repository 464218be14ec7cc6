"""Keeps the quality of a service's datasets: looked at again when the data have changed, never while somebody waits, but for the very first time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from shared.caller import Caller
from shared.database import reading
from shared.datasets.declaration import Dataset
from shared.datasets.history import version_of
from shared.datasets.quality import measure
from shared.datasets.quality_told import GEOMETRY, Quality, suppressed, told
from shared.datasets.view import View
from shared.errors import Forbidden, Unavailable

if TYPE_CHECKING:
    from shared.runtime import Runtime

FIRST_S = 45.0
"""A service that has just started has other things to do."""
EVERY_S = 300.0
_log = structlog.get_logger("quality")


class Qualities:
    """The quality of each dataset as it was last found."""

    def __init__(self) -> None:
        self._found: dict[str, Quality] = {}
        self._turns = asyncio.Lock()

    def known(self, dataset: Dataset) -> Quality | None:
        return self._found.get(dataset.id)

    async def get(self, runtime: Runtime, dataset: Dataset) -> Quality:
        """As it was last found; looked at now if it never was. `Unavailable` if that takes too long."""
        if (known := self.known(dataset)) is not None:
            return known
        async with self._turns:
            if (known := self.known(dataset)) is not None:
                return known
            try:
                return await self._look(runtime, dataset)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                raise Unavailable(f"The quality of {dataset.id} could not be computed just now; try again later.") from error

    async def renew(self, runtime: Runtime, dataset: Dataset) -> Quality:
        """Look at a dataset again if it has changed since; if not, what was found still holds."""
        async with self._turns:
            return await self._look(runtime, dataset)

    async def _look(self, runtime: Runtime, dataset: Dataset) -> Quality:
        now = datetime.now(UTC)
        async with reading(runtime.reader) as connection:
            await connection.execute(select(func.set_config("statement_timeout", "5000", True)))
            version = str((await connection.execute(version_of(*dataset.tables))).scalar_one())
            known = self.known(dataset)
            if known is not None and version != "0" and known.version == version:
                found = replace(known, computed_at=now)
            else:
                found = replace(await measure(connection, dataset, runtime.settings.areas, now), version=version)
        self._found[dataset.id] = found
        return found


async def keep_qualities(runtime: Runtime) -> None:
    """Look at one dataset after another, until cancelled."""
    await asyncio.sleep(FIRST_S)
    while True:
        for dataset in runtime.service.datasets:
            try:
                await runtime.qualities.renew(runtime, dataset)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("quality not computed", dataset=dataset.id, error=repr(error)[:200])
            await asyncio.sleep(1.0)
        await asyncio.sleep(EVERY_S)


def hides_rows(dataset: Dataset, caller: Caller) -> bool:
    """Whether some row might not exist for the caller, by the token alone."""
    narrow = dataset.area is not None and not caller.everywhere
    own = dataset.rights is not None and dataset.rights.rows(caller, dataset.table) is not None
    return narrow or own or not caller.areas


def only_cells(dataset: Dataset, caller: Caller) -> bool:
    """Whether the caller is told of the dataset in fixed cells alone: exact counts of all rows would undo their perturbation."""
    return dataset.cells is not None and (caller.actor is not None or not caller.has(f"{dataset.id.partition('.')[0]}:read"))


def shown_fields(seen: View) -> list[str]:
    """The fields of which a caller may be told, the geometry among them if it is visible."""
    return [*seen.fields, *([GEOMETRY] if seen.geometry is not None else [])]


async def quality_for(runtime: Runtime, seen: View, caller: Caller) -> dict[str, Any]:
    """The quality of a dataset as a caller may know it: scores rest on all rows, so they are for those from whom no row is hidden."""
    check_told(seen.dataset, caller)
    if only_cells(seen.dataset, caller):
        return suppressed(seen.dataset, datetime.now(UTC))
    return told(await runtime.qualities.get(runtime, seen.dataset), seen.dataset, shown_fields(seen))


def check_told(dataset: Dataset, caller: Caller) -> None:
    """`Forbidden` to a caller from whom rows may be hidden: scores would tell of them."""
    if hides_rows(dataset, caller):
        raise Forbidden(f"The quality of {dataset.id} is computed over all its rows; it is told to those who may see every row, and this token is narrower.")


def summary(runtime: Runtime, seen: View, caller: Caller) -> dict[str, Any] | None:
    """The scores of a dataset for its description, if they are known already and this caller may know them."""
    known = runtime.qualities.known(seen.dataset)
    if known is None or hides_rows(seen.dataset, caller) or only_cells(seen.dataset, caller):
        return None
    return summarised(told(known, seen.dataset, shown_fields(seen)))


def summarised(found: dict[str, Any]) -> dict[str, Any] | None:
    """What a catalogue says of it: the scores, when they were computed, and whether the promise is kept."""
    if "scores" not in found:
        return None
    kept = (found["timeliness"] or {}).get("kept")
    period = {"period": found["period"]} if found["period"] else {}
    return {"computed_at": found["computed_at"], **found["scores"]} | ({"freshness_kept": kept} if kept is not None else {}) | period
