"""A sector of `bench/federation`: rows without roll-ups, a series with them, and its parts of the tables that are spread and joined."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Double, Index, MetaData, Table
from sqlalchemy import Text as SqlText

from shared.database import new_metadata
from shared.datasets.declaration import Dataset
from shared.datasets.fields import field
from shared.datasets.history import history_of, history_triggers_ddl, recorded_columns
from shared.series import Observed, Property, hold_directory
from shared.series.sharing import readings_dataset
from shared.service import Service
from shared.vocabulary import Text

CATEGORIES = ("fire", "food", "flood", "gas", "traffic", "works")
SIX = tuple(f"s{number:02d}" for number in range(1, 7))
TWELVE = tuple(f"s{number:02d}" for number in range(1, 13))
SPREADS = (1, 2, 4, 8, 12)
"""Over how many sources the same rows are spread."""
OWNER = Text("基准", "Benchmark")
READINGS = Observed(feature="station", properties=(Property(code="pm25", title=Text("细颗粒物", "PM2.5"), unit="ug/m3", minimum=0, maximum=2000),))


def tables_of(name: str) -> tuple[str, ...]:
    """The tables with events of a sector: its own, those that are spread over it and others, and one side of the join."""
    spread = tuple(f"spread{many}" for many in SPREADS if name in TWELVE[:many])
    return (*(("events",) if name in SIX else ()), *spread, *({"s01": ("checks",), "s02": ("premises",)}.get(name, ())))


def service_of(name: str) -> Service:
    """The declaration of one of the sectors."""
    metadata = new_metadata()
    datasets = [_events(table, metadata) for table in tables_of(name)]
    readings = [readings_dataset("bench.readings", Text("读数", "Readings"), READINGS, OWNER, "benchmark")] if name in SIX else []
    return Service(
        name=name,
        title=OWNER,
        routers=[],
        datasets=[*datasets, *readings],
        metadata=metadata,
        series=name in SIX,
        holds=hold_directory if name in SIX else None,
    )


def ddl_of(name: str) -> list[str]:
    """What follows once the tables are made: their history."""
    return [statement for table in tables_of(name) for statement in history_triggers_ddl(table)]


def _events(name: str, metadata: MetaData) -> Dataset:
    table = Table(
        name,
        metadata,
        Column("id", BigInteger, primary_key=True),
        Column("time", DateTime(timezone=True), nullable=False),
        Column("value", Double, nullable=False),
        Column("area", SqlText(collation="C"), nullable=False),
        Column("category", SqlText(collation="C"), nullable=False),
        *recorded_columns(),
    )
    Index(f"ix_{name}_time", table.c.time)
    history_of(table)
    return Dataset(
        id=f"bench.{name}",
        title=Text("事件", "Events"),
        description=Text("一年的事件。", "The events of a year."),
        owner=OWNER,
        table=table,
        fields=(
            field("id", "编号", "Number", "integer"),
            field("time", "时间", "When", "datetime"),
            field("value", "数值", "Value", "number"),
            field("area", "区域代码", "Area code"),
            field("category", "类别", "Category", values=CATEGORIES),
        ),
        time="time",
        legal_basis="benchmark",
    )
