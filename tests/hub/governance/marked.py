"""Rows in which every value is unlike any other, two sources that share them, and what exists of them for a caller, worked out by hand."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, DateTime, Double, Text
from sqlalchemy import Table as SqlTable

from shared.database import new_metadata
from shared.datasets.declaration import Dataset, Field, Point
from shared.datasets.history import history_of, recorded_columns
from shared.service import Service
from shared.vocabulary import DataGrade, Personal, Sharing
from shared.vocabulary import Text as Words
from tests.city import City
from tests.hub.federation import sectors
from tests.hub.federation.sectors import START, Federation, federation

AREAS = ("430302", "430302001", "430304", "430103", "43")
TEXTS = {
    "note": {},
    "hotline": {"personal": Personal.PERSONAL},
    "ailment": {"personal": Personal.SENSITIVE},
    "sluiceplan": {"grade": DataGrade.IMPORTANT},
    "draughtbook": {"sharing": Sharing.NONE},
}
"""Fields with a text of their own in each row, by what they are labelled."""
PLACES = ("430300/eastward", "430300/westward")


def service(name: str) -> Service:
    metadata = new_metadata()
    table = SqlTable(
        "reports",
        metadata,
        Column("id", Text, primary_key=True),
        Column("area", Text, nullable=False),
        Column("seen_at", DateTime(timezone=True), nullable=False),
        Column("amount", Double),
        *(Column(field, Text) for field in TEXTS),
        Column("lon", Double),
        Column("lat", Double),
        *recorded_columns(),
    )
    history_of(table)
    fields = (
        Field(name="id", type="string", title=Words("号", "Id"), required=True),
        Field(name="area", type="string", title=Words("区", "Area"), required=True),
        Field(name="seen_at", type="datetime", title=Words("时", "Seen"), required=True),
        Field(name="amount", type="number", title=Words("量", "Amount")),
        *(Field(name=field, type="string", title=Words("文", "Words"), **labels) for field, labels in TEXTS.items()),  # type: ignore[arg-type]  # each its own
    )
    words = Words("报告", "Reports")
    reports = Dataset(id="ward.reports", title=words, description=words, owner=words, table=table, fields=fields, time="seen_at", geometry=Point())
    return Service(name=name, title=words, routers=[], metadata=metadata, datasets=[reports])


@asynccontextmanager
async def marked_federation(city: City) -> AsyncIterator[tuple[Federation, list[dict[str, Any]]]]:
    """A hub over two sources of marked rows, and all the rows."""
    east, west = rows("e", 24), rows("w", 16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sectors.SERVICES, "eastward", service("eastward"))
        patch.setitem(sectors.SERVICES, "westward", service("westward"))
        async with federation(city, {"eastward": east, "westward": west}) as made:
            yield made, [*east, *west]


def rows(prefix: str, count: int) -> list[dict[str, Any]]:
    chance = random.Random(prefix)
    return [
        {
            "id": mark(prefix, number, "id"),
            "area": AREAS[number % len(AREAS)],
            "seen_at": START + timedelta(minutes=chance.randrange(1, 4000), microseconds=chance.randrange(1, 10**6)),
            "amount": 1000 + chance.randrange(10**6) + 0.125,
            **{field: mark(prefix, number, field) for field in TEXTS},
            "lon": 112 + chance.randrange(10**6) / 1e6,
            "lat": 27 + chance.randrange(10**6) / 1e6,
            "recorded_by": "client:test",
        }
        for number in range(count)
    ]


def mark(*parts: Any) -> str:
    return "m" + hashlib.sha256(repr(parts).encode()).hexdigest()[:14]


@dataclass(frozen=True)
class Rights:
    """What a token carries, and what therefore exists."""

    areas: tuple[str, ...]
    grade: str
    personal: str

    @property
    def claims(self) -> dict[str, Any]:
        return {"areas": list(self.areas), "clearance": {"grade": self.grade, "personal": self.personal}, "subject": f"client:{mark(self)}"}

    def sees(self, row: Mapping[str, Any]) -> bool:
        return any(area == "*" or row["area"].startswith(area) for area in self.areas)

    @property
    def hidden(self) -> set[str]:
        """Fields that do not exist through a hub for such a token, read from the law and not from the code."""
        return {
            "draughtbook",
            *({"sluiceplan"} if self.grade == "general" else set()),
            *({"hotline", "ailment"} if self.personal == "none" else {"ailment"} if self.personal == "personal" else set()),
        }


def rights(chance: random.Random) -> Rights:
    areas = chance.choice([("*",), ("4303",), ("430302",), ("430302001",), ("4301", "430304"), ("430999",), (), ("43",)])
    return Rights(areas, chance.choice(["general", "important"]), chance.choice(["none", "personal", "sensitive"]))


def secrets(held: Rights, all_rows: list[dict[str, Any]]) -> dict[bytes, str]:
    """Bytes that no answer may hold, and what they would betray."""
    found: dict[bytes, str] = {}
    for row in all_rows:
        hidden = set(row) - {"area", "recorded_by"} if not held.sees(row) else held.hidden
        for field in hidden:
            for form in forms(row[field]):
                found[form] = f"{field} of a row in {row['area']}"
    return found


def forms(value: Any) -> list[bytes]:
    """How a value may stand in an answer: as text, or in the memory of an Arrow array."""
    if isinstance(value, float):
        return [repr(value).encode(), struct.pack("<d", value)]
    if isinstance(value, str):
        return [value.encode()]
    return [value.strftime("%H:%M:%S.%f").encode(), struct.pack("<q", round(value.timestamp() * 1_000_000))]
