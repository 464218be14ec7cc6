"""The work-safety service's tables: who stores what where, how dangerous that is, what escapes, and what happened."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Date, DateTime, Double, ForeignKey, Index, Integer, SmallInteger, Table, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()
Moment = DateTime(timezone=True)
Key = Text(collation="C")

enterprises = Table(
    "enterprises",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("industry", Text),
    Column("address", Text),
    Column("area", Key, nullable=False),
    *recorded_columns(),
)
"""`id` is `<registry>:<number>`, as everywhere here: numbers are unique within the registry that gave them."""
Index("ix_enterprises_area", enterprises.c.area)

sites = Table(
    "sites",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("enterprise", Key, ForeignKey(enterprises.c.id)),
    Column("name", Text, nullable=False),
    Column("address", Text),
    Column("exposed", Integer, comment="Permanent population within 500 m of the boundary (GB 18218-2018, 4.3.2); NULL: not known"),
    Column("area", Key, nullable=False),
    Column("lon", Double, nullable=False),
    Column("lat", Double, nullable=False),
    *recorded_columns(),
    CheckConstraint("exposed >= 0", name="exposed"),
)
Index("ix_sites_area", sites.c.area)
Index("ix_sites_point", func.point(sites.c.lon, sites.c.lat), postgresql_using="gist")

units = Table(
    "units",
    metadata,
    Column("id", Key, primary_key=True),
    Column("site", Key, ForeignKey(sites.c.id), nullable=False),
    Column("number", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    *recorded_columns(),
)
"""The units that GB 18218-2018 (3.5 to 3.7) grades each by itself. `id` is `<site>:<number>`."""
Index("ix_units_site", units.c.site)

substances = Table(
    "substances",
    metadata,
    Column("code", Key, primary_key=True),
    Column("cas", Key),
    Column("un", Key),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text),
    Column("classes", ARRAY(Text), nullable=False, server_default=text("'{}'"), comment="Symbols of GB 18218-2018, table 2: J1, W2"),
    Column("critical_t", Double, nullable=False, comment="Q of GB 18218-2018, tonnes"),
    Column("beta", Double, nullable=False),
    Column("guide", Text, comment="Guide number of the Emergency Response Guidebook"),
    Column("dense_gas", Boolean, comment="Whether its cloud hugs the ground; NULL: not known"),
    Column("edition", Text, nullable=False),
    Column("source", Text, nullable=False, comment="Where Q and beta stand, and how far they are verified"),
    *recorded_columns(),
    CheckConstraint("critical_t > 0 AND beta > 0", name="figures"),
)
Index("ix_substances_cas", substances.c.cas)

inventories = Table(
    "inventories",
    metadata,
    Column("id", Key, primary_key=True),
    Column("unit", Key, ForeignKey(units.c.id), nullable=False),
    Column("site", Key, ForeignKey(sites.c.id), nullable=False),
    Column("substance", Key, ForeignKey(substances.c.code), nullable=False),
    Column("q_design", Double, nullable=False, comment="Design maximum, tonnes (GB 18218-2018, 4.2.2)"),
    Column("q_now", Double, comment="There now, tonnes; NULL: not counted"),
    Column("counted_at", Moment, comment="When q_now was counted"),
    *recorded_columns(),
    CheckConstraint("q_design >= 0 AND q_now >= 0", name="quantities"),
)
"""`id` is `<unit>:<substance>`."""
Index("ix_inventories_unit", inventories.c.unit)
Index("ix_inventories_site", inventories.c.site)
Index("ix_inventories_substance", inventories.c.substance)

grades = Table(
    "grades",
    metadata,
    Column("unit", Key, ForeignKey(units.c.id), primary_key=True),
    Column("site", Key, ForeignKey(sites.c.id), nullable=False),
    Column("identified", Boolean, nullable=False, comment="S >= 1"),
    Column("s", Double, nullable=False, comment="Sum of q/Q, GB 18218-2018, eq. (1)"),
    Column("alpha", Double, nullable=False),
    Column("exposed", Integer, comment="The population that alpha rests on; NULL: not known, the gravest assumed"),
    Column("r", Double, nullable=False, comment="GB 18218-2018, eq. (2)"),
    Column("grade", SmallInteger, comment="1 (gravest) to 4; NULL: no major hazard source"),
    Column("edition", Text, nullable=False),
    *recorded_columns(),
)
"""What follows from inventories, population and substances by `inventories/domain.py`, one row for each unit that holds any."""
Index("ix_grades_site", grades.c.site)

sensors = Table(
    "sensors",
    metadata,
    Column("code", Key, primary_key=True),
    Column("site", Key, ForeignKey(sites.c.id), nullable=False),
    Column("property", Key, nullable=False),
    Column("name", Text),
    Column("cas", Key, comment="What a gas detector detects"),
    Column("alarm_low", Double, comment="First alarm (GB/T 50493-2019), in the unit of the property"),
    Column("alarm_high", Double, comment="Second alarm"),
    *recorded_columns(),
    CheckConstraint("alarm_low <= alarm_high", name="alarms"),
)
Index("ix_sensors_site", sensors.c.site)

releases = Table(
    "releases",
    metadata,
    Column("id", Key, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("site", Key, ForeignKey(sites.c.id)),
    Column("unit", Key, ForeignKey(units.c.id)),
    Column("substance", Key, nullable=False, comment="CAS registry number"),
    Column("un", Key),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("rate_kg_s", Double),
    Column("amount_kg", Double),
    Column("began_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("note", Text),
    Column("area", Key, nullable=False),
    Column("lon", Double, nullable=False),
    Column("lat", Double, nullable=False),
    *recorded_columns(),
    CheckConstraint("rate_kg_s > 0 AND amount_kg > 0", name="figures"),
)
"""Open as long as `ended_at` is NULL. Earlier revisions stand in the history."""
Index("ix_releases_began_at", releases.c.began_at)
Index("ix_releases_open", func.point(releases.c.lon, releases.c.lat), postgresql_using="gist", postgresql_where=releases.c.ended_at.is_(None))

outlines = Table(
    "outlines",
    metadata,
    Column("release", Key, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("method", Text),
    Column("source", Text),
    Column("valid", Boolean),
    Column("isolation_m", Double),
    Column("protective_m", Double),
    Column("wind_from_deg", Double),
    Column("wind_speed_m_s", Double),
    Column("geometry", JSONB(none_as_null=True)),
    Column("computed_at", Moment),
    Column("lifted_at", Moment),
    *recorded_columns(),
)
"""The newest outline of each release, as the environment service told it; no foreign key, for an event may overtake the release's commit elsewhere."""

accidents = Table(
    "accidents",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("narrative", Text),
    Column("happened_on", Date),
    Column("industry", Text, comment="Code of the industry in the registry's own classification"),
    Column("injury", Text),
    Column("occupation", Text),
    Column("cause", Text),
    Column("fall_m", Double, comment="Height of the fall, metres"),
    Column("deaths", Integer),
    Column("serious_injuries", Integer),
    Column("loss_cny", Double, comment="Direct economic loss, yuan"),
    Column("grade", SmallInteger, comment="1 (gravest) to 4 by Decree 493; NULL where no figure is known"),
    Column("area", Key, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
    CheckConstraint("deaths >= 0 AND serious_injuries >= 0 AND loss_cny >= 0 AND fall_m >= 0", name="figures"),
)
Index("ix_accidents_happened_on", accidents.c.happened_on)
Index("ix_accidents_area", accidents.c.area)

for table in (enterprises, sites, units, substances, inventories, grades, sensors, releases, outlines, accidents):
    history_of(table)
