"""By what answers change: a version for all that a dataset's answers are made of, and tags of single questions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import array, asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.areas import areas
from shared.config import Settings
from shared.database import at_once, reading
from shared.datasets.declaration import Dataset
from shared.datasets.history import changes, keeps_history, noted_names, versions_by_table

VERSION_HEADER = "Liandong-Version"
"""The version of the dataset from which an answer to a hub was made."""
AS_OF_HEADER = "Liandong-As-Of"
"""The moment whose data an unchanged answer shows: it was made sure of then."""


async def answer_versions(
    connection: AsyncConnection, datasets: Sequence[Dataset], settings: Settings, *, made: Mapping[str, str] | None = None
) -> dict[str, str]:
    """For each dataset a text that changes with every committed change of its tables, of the area table, or of its declaration.

    Datasets with a table that keeps no history have none. How often the tables changed and when last: a database that was put back
    to an earlier state never comes to the same text again with other rows. One statement, however many datasets; it also makes these settings of
    PostgreSQL (`made`) for the rest of the transaction.
    """
    made_of = _made_of(datasets)
    stamps = await _stamps(connection, _all(made_of), made or {}) if made_of or made else {}
    return _texts(datasets, made_of, stamps, settings)


async def versions_now(engine: AsyncEngine, datasets: Sequence[Dataset], settings: Settings) -> dict[str, str]:
    """The same as of the last commit, for who reads nothing else: one statement, no transaction."""
    made_of = _made_of(datasets)
    names = _all(made_of)
    if not names:
        return {}
    statement, places = _written(len(names))
    given = {f"name_{place}": name for place, name in enumerate(names)}
    found = await at_once(engine, statement, *(given.get(name, value) for name, value in places))
    if found is None:
        async with reading(engine) as connection:
            return await answer_versions(connection, datasets, settings)
    return _texts(datasets, made_of, _stamped_at(found), settings)


def tag_of(version: str, *asked: object) -> str:
    """A weak entity tag (RFC 9110, 8.8.3) of the answer to a question within somebody's rights."""
    return f'W/"{hashlib.sha256(repr((version, *asked)).encode()).hexdigest()[:32]}"'


def as_of_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _made_of(datasets: Sequence[Dataset]) -> dict[str, set[str]]:
    """The noted tables of each dataset all of whose tables keep their history."""
    return {dataset.id: noted_names(*dataset.tables, areas) for dataset in datasets if all(map(keeps_history, dataset.tables))}


def _all(made_of: Mapping[str, set[str]]) -> list[str]:
    return sorted(set().union(*made_of.values()))


def _texts(datasets: Sequence[Dataset], made_of: Mapping[str, set[str]], stamps: Mapping[str, tuple[int, int]], settings: Settings) -> dict[str, str]:
    declared = {dataset.id: dataset for dataset in datasets if dataset.id in made_of}
    return {name: _text([stamps[table] for table in tables], _meaning(declared[name], settings)) for name, tables in made_of.items()}


@lru_cache(maxsize=64)
def _stamped(count: int, made: tuple[str, ...]) -> Select[Any]:
    """Put together once for each number of names and choice of settings: that took longer than running it.

    Names are parameters of their own: of an array the planner does not know how long it is, and plans the statement anew each time.
    """
    name = func.unnest(array([bindparam(f"name_{place}", type_=Text) for place in range(count)])).column_valued("name")
    counted = versions_by_table().subquery("counted")
    last = select(func.max(changes.c.recorded_at)).where(changes.c.table_name == name).scalar_subquery()
    version = select(counted.c.version).where(counted.c.table_name == name).scalar_subquery()
    return select(name, func.coalesce(version, 0), last, *(func.set_config(setting, bindparam(setting), True) for setting in made))


async def _stamps(connection: AsyncConnection, names: Sequence[str], made: Mapping[str, str]) -> Mapping[str, tuple[int, int]]:
    """How many transactions have changed each table, and when the last of them began, in microseconds. The settings are made even without a name."""
    given = names or [""]
    found = await connection.execute(_stamped(len(given), tuple(sorted(made))), {**{f"name_{place}": name for place, name in enumerate(given)}, **made})
    return _stamped_at(found)


@lru_cache(maxsize=64)
def _written(count: int) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """The statement as the driver takes it, and its parameters in their order with their values, None for those of the names."""
    compiled = _stamped(count, ()).compile(dialect=asyncpg.dialect())  # type: ignore[no-untyped-call]
    return str(compiled), tuple((name, compiled.params[name]) for name in compiled.positiontup or ())


def _stamped_at(found: Iterable[Any]) -> Mapping[str, tuple[int, int]]:
    return {row[0]: (int(row[1]), round(row[2].timestamp() * 1_000_000) if row[2] else 0) for row in found}


def _text(stamps: Sequence[tuple[int, int]], meaning: str) -> str:
    return f"{sum(count for count, _ in stamps)}-{max(last for _, last in stamps):x}-{meaning}"


@lru_cache(maxsize=256)
def _meaning_of(described: str) -> str:
    return hashlib.sha256(described.encode()).hexdigest()[:12]


def _meaning(dataset: Dataset, settings: Settings) -> str:
    """What else an answer depends on: the declaration, and the settings that cut it."""
    parts: tuple[Any, ...] = (dataset.id, dataset.fields, dataset.time, dataset.area, dataset.geometry, dataset.grade, dataset.personal, dataset.sharing)
    return _meaning_of(repr((*parts, dataset.smallest_group, settings.areas, settings.timezone)))
