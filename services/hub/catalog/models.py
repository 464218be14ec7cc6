"""Tables of the source registry: who answers for the city's data, and what each offered when it was last heard."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.hub.models import Base

Moment = DateTime(timezone=True)


class SourceRow(Base):
    """A service that this hub asks."""

    __tablename__ = "sources"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    """Its audience: `430300/fire`."""
    kind: Mapped[str] = mapped_column(Text)
    """`sector`, `hub` or `city`."""
    url: Mapped[str] = mapped_column(Text)
    key: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Public JWK that the operator pinned for it, if any."""
    version: Mapped[str | None] = mapped_column(Text)
    """Version of its software when last heard."""
    last_seen: Mapped[datetime | None] = mapped_column(Moment)
    added_at: Mapped[datetime] = mapped_column(Moment, server_default=func.clock_timestamp())
    added_by: Mapped[str] = mapped_column(Text)


class OfferRow(Base):
    """A dataset that a source offered when last heard: known without asking, so that an answer can name a source that is away."""

    __tablename__ = "source_datasets"

    source: Mapped[str] = mapped_column(ForeignKey("sources.name", ondelete="CASCADE"), primary_key=True)
    dataset: Mapped[str] = mapped_column(Text, primary_key=True, index=True)
    collection: Mapped[dict[str, Any]] = mapped_column(JSONB)
    schema: Mapped[dict[str, Any]] = mapped_column(JSONB)
    schema_digest: Mapped[str] = mapped_column(Text)
    previous_digest: Mapped[str | None] = mapped_column(Text)
    """Digest of the schema before the last change: the dataset has drifted since the hub first met it."""
    changed_at: Mapped[datetime] = mapped_column(Moment)
