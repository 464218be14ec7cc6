"""The hub's own tables hang on one metadata; each concept declares its tables in its folder."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase

from shared.database import new_metadata


class Base(DeclarativeBase):
    """Mapped classes of the hub."""

    metadata = new_metadata()
