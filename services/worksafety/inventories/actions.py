"""Merges units, substances and inventories; the units they touch are graded anew in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Text, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.inventories.domain import BETA_BY_CAS, EDITION, by_class
from services.worksafety.inventories.judging import regrade, units_with
from services.worksafety.inventories.schemas import InventoryIn, SubstanceIn, UnitIn
from services.worksafety.inventories.tables import BY_CAS, BY_CODE, HINTS, SHARED_CAS
from services.worksafety.models import inventories, sites, substances, units
from services.worksafety.sites.reading import identifier, sites_of
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers
from shared.row_models import Checked, misdated

_BY_CLASS = "GB 18218-2018 table 2 (Q) and table 4 (beta) by class; from memory, not verified against the official text"
_STATED = "as stated by the sender"
_FIGURES = ("cas", "un", "name_zh", "name_en", "critical_t", "beta", "guide", "dense_gas")


async def save_units(session: AsyncSession, batch: Checked[UnitIn], caller: Caller, city: str, *, correct: bool) -> LoadAnswer:
    """Take new units of known sites and, if `correct`, new facts about known ones."""
    owners = {number: identifier(row.registry or city, row.site) for number, row in batch.rows.items()}
    known = await sites_of(session, owners.values(), caller)
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        site = owners[number]
        if site not in known:
            batch.reject(number, "site", "unknown-site", f"No site {row.site!r} is recorded. Load sites before units.")
            continue
        rows[number] = {"id": f"{site}:{row.number}", "site": site, **row.model_dump(include={"number", "name", "kind"})}
    merged = await merge(session, units, rows, key=("id",), recorded_by=caller.subject, correct=correct)
    merged.explain(batch, "number")
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def save_substances(session: AsyncSession, batch: Checked[SubstanceIn], caller: Caller, *, correct: bool, tell: bool) -> LoadAnswer:
    """Take substances and, if `correct`, other figures for known ones, by which all units that hold them are graded anew."""
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        completed = _completed(row)
        if completed["name_zh"] is None:
            batch.reject(number, "name_zh", "missing", "Table 1 does not name this substance: give its name.")
        elif completed["critical_t"] is None or completed["beta"] is None:
            batch.reject(number, "classes", "no-figures", "Give critical_t and beta, or the classes from which they follow (GB 18218-2018, tables 2 and 4).")
        else:
            rows[number] = completed
    merged = await merge(session, substances, rows, key=("code",), recorded_by=caller.subject, correct=correct)
    merged.explain(batch, "substance")
    if merged.corrected:
        await regrade(session, await units_with(session, [rows[number]["code"] for number in merged.corrected]), caller.subject, tell=tell)
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


def _completed(row: SubstanceIn) -> dict[str, Any]:
    """A substance with what table 1 or its classes say where the sender is silent."""
    known = BY_CODE.get(row.code) or (BY_CAS.get(row.cas) if row.cas and row.cas not in SHARED_CAS else None)
    made: dict[str, Any] = known.row() if known else dict.fromkeys(_FIGURES) | {"classes": [], "edition": EDITION, "source": None}
    stated: dict[str, Any] = HINTS.get(row.code, {}) | row.model_dump(exclude_none=True)
    by_symbol = by_class(stated.get("classes", made["classes"]))
    if not known and by_symbol:
        made |= {"critical_t": by_symbol[0], "beta": BETA_BY_CAS.get(row.cas or "", by_symbol[1]), "source": _BY_CLASS}
    columns = ("code", *_FIGURES, "classes", "edition", "source")
    completed = made | stated
    others = any(name in stated and stated[name] != made[name] for name in ("critical_t", "beta"))
    source = stated.get("source") or (None if others else made["source"]) or _STATED
    return {name: completed[name] for name in columns} | {"source": source}


async def save_inventories(
    session: AsyncSession, batch: Checked[InventoryIn], caller: Caller, city: str, now: datetime, *, correct: bool, tell: bool
) -> LoadAnswer:
    """Take what units hold and, if `correct`, other quantities; the units are graded anew."""
    keys = {number: identifier(row.registry or city, row.site, row.unit) for number, row in batch.rows.items()}
    owners = await _units(session, keys.values(), caller)
    codes = await _codes(session, {row.substance for row in batch.rows.values()})
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        unit, code = keys[number], codes.get(row.substance)
        if unit not in owners:
            batch.reject(number, "unit", "unknown-unit", f"Site {row.site!r} has no unit {row.unit!r}. Load units before inventories.")
        elif code is None:
            what = (
                "stands for several substances; give the code of one" if row.substance in SHARED_CAS else "is no known substance; load it with PUT /substances"
            )
            batch.reject(number, "substance", "unknown-substance", f"{row.substance!r} {what}.")
        elif row.counted_at and (fault := misdated(row.counted_at, now)):
            batch.reject(number, "counted_at", "misdated", fault)
        else:
            stated = row.model_dump(include={"q_design", "q_now", "counted_at"})
            rows[number] = {"id": f"{unit}:{code}", "unit": unit, "site": owners[unit], "substance": code, **stated}
    merged = await merge(session, inventories, rows, key=("id",), recorded_by=caller.subject, correct=correct)
    merged.explain(batch, "substance of the unit")
    await regrade(session, {rows[number]["unit"] for number in (*merged.taken, *merged.corrected)}, caller.subject, tell=tell)
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def _units(session: AsyncSession, ids: Iterable[str], caller: Caller) -> dict[str, str]:
    """The site of each of these units that exists for the caller."""
    wanted = units.c.id == any_(literal(sorted(set(ids)), ARRAY(Text)))
    query = select(units.c.id, units.c.site).join(sites, sites.c.id == units.c.site).where(wanted, covers(caller, sites.c.area))
    return dict(map(tuple, await session.execute(query)))


async def _codes(session: AsyncSession, stated: set[str]) -> dict[str, str]:
    """The code of each substance that is known by its code or by a CAS number that means it alone; those of the built-in table are recorded on first use."""
    codes = await _recorded(session, stated)
    built_in = {name: known for name in stated - set(codes) if (known := BY_CODE.get(name) or (None if name in SHARED_CAS else BY_CAS.get(name)))}
    if built_in:
        rows = {place: known.row() for place, known in enumerate({known.code: known for known in built_in.values()}.values())}
        await merge(session, substances, rows, key=("code",), recorded_by=EDITION)
        codes |= {name: known.code for name, known in built_in.items()}
    return codes


async def _recorded(session: AsyncSession, stated: set[str]) -> dict[str, str]:
    wanted = any_(literal(sorted(stated), ARRAY(Text)))
    query = select(substances.c.code, substances.c.cas).where(or_(substances.c.code == wanted, substances.c.cas == wanted))
    found = [(str(code), cas) for code, cas in await session.execute(query)]
    by_cas: dict[str, list[str]] = {}
    for code, cas in found:
        by_cas.setdefault(cas, []).append(code)
    alone = {cas: codes[0] for cas, codes in by_cas.items() if cas and len(codes) == 1 and cas not in SHARED_CAS}
    return {name: name if name in {code for code, _ in found} else alone[name] for name in stated if name in alone or name in {code for code, _ in found}}
