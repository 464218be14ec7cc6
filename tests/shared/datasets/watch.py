"""A made-up service that shares watch reports: every type of field, labels of every kind, a join, two kinds of geometry."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, DateTime, Double, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from shared.database import new_metadata
from shared.datasets.declaration import Dataset, Field, Join, Point, Shape
from shared.datasets.history import history_of, history_triggers_ddl, recorded_columns
from shared.service import Service
from shared.vocabulary import DataGrade, Personal, Sharing
from shared.vocabulary import Text as Words


class Box(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "box"


Moment = DateTime(timezone=True)
metadata = new_metadata()
posts = Table("posts", metadata, Column("code", Text, primary_key=True), Column("name", Text), Column("keeper", Text), *recorded_columns())
history_of(posts)
reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text),
    Column("level", Integer),
    Column("height", Double),
    Column("urgent", Boolean),
    Column("seen_at", Moment, nullable=False),
    Column("day", Date),
    Column("area", Text, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    Column("observer", Text),
    Column("plan", Text),
    Column("sketch", Text),
    Column("post", Text),
    *recorded_columns(),
)
history_of(reports)
outlines = Table(
    "outlines",
    metadata,
    Column("site", Uuid, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("area", Text, nullable=False),
    Column("geometry", JSONB),
    Column("extent", Box()),
    *recorded_columns(),
)
history_of(outlines)
orders = Table("orders", metadata, Column("id", Integer, primary_key=True), Column("text", Text), *recorded_columns())
history_of(orders)


def name(text: str) -> Words:
    return Words(f"{text}（中文）", text)


REPORTS = Dataset(
    id="watch.reports",
    title=name("Reports"),
    description=name("What the watch saw"),
    owner=name("Watch office"),
    table=reports,
    fields=(
        Field(name="kind", type="string", title=name("Kind"), values=("flood", "fire", "crowd")),
        Field(name="level", type="integer", title=name("Level"), unit="1", minimum=0, maximum=9),
        Field(name="height", type="number", title=name("Height of the water"), unit="m", definition="https://example.org/height"),
        Field(name="urgent", type="boolean", title=name("Urgent")),
        Field(name="seen_at", type="datetime", title=name("Seen at"), required=True),
        Field(name="day", type="date", title=name("Day")),
        Field(name="area", type="string", title=name("Area"), required=True),
        Field(name="post_name", column="posts.name", type="string", title=name("Name of the post")),
        Field(name="observer", type="string", title=name("Observer"), personal=Personal.PERSONAL),
        Field(name="keeper", column="posts.keeper", type="string", title=name("Keeper"), personal=Personal.SENSITIVE),
        Field(name="plan", type="string", title=name("Plan"), grade=DataGrade.IMPORTANT),
        Field(name="sketch", type="string", title=name("Draft"), sharing=Sharing.NONE),
    ),
    joins=(Join(name="posts", table=posts, on=("post", "code")),),
    time="seen_at",
    geometry=Point(),
)
OUTLINES = Dataset(
    id="watch.outlines",
    title=name("Outlines"),
    description=name("Outlines of sites"),
    owner=name("Watch office"),
    table=outlines,
    key=("site", "part"),
    fields=(Field(name="site", type="string", title=name("Site")), Field(name="area", type="string", title=name("Area"))),
    geometry=Shape(),
)
ORDERS = Dataset(
    id="watch.orders",
    title=name("Standing orders"),
    description=name("Orders that stay in the house"),
    owner=name("Watch office"),
    table=orders,
    fields=(Field(name="id", type="integer", title=name("Number")), Field(name="text", type="string", title=name("Text"))),
    area=None,
    sharing=Sharing.NONE,
)
SECRETS = Dataset(
    id="watch.secrets",
    title=name("Plans of sites"),
    description=name("Important data"),
    owner=name("Watch office"),
    table=orders,
    fields=(Field(name="text", type="string", title=name("Text")),),
    area=None,
    grade=DataGrade.IMPORTANT,
)
SERVICE = Service(name="watch", title=name("Watch"), routers=(), metadata=metadata, datasets=(REPORTS, OUTLINES, ORDERS, SECRETS))
DDL = (
    *(statement for table in ("posts", "reports", "outlines", "orders") for statement in history_triggers_ddl(table)),
    "CREATE INDEX ix_reports_place ON reports USING gist (point(lon, lat))",
)
