"""Tables of who may ask: machine clients, people, revoked tokens and subjects."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.hub.access.domain import Grant
from services.hub.models import Base
from shared.caller import Clearance
from shared.vocabulary import DataGrade, Personal

_NOTHING = text("'{}'")
Moment = DateTime(timezone=True)


class Rights:
    """Columns that say what a subject may."""

    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=_NOTHING)
    areas: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=_NOTHING)
    grade: Mapped[str] = mapped_column(Text, server_default=DataGrade.GENERAL)
    personal: Mapped[str] = mapped_column(Text, server_default=Personal.NONE)
    purposes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=_NOTHING)
    audiences: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{*}'"))
    disabled: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.clock_timestamp())
    created_by: Mapped[str] = mapped_column(Text)

    @property
    def grant(self) -> Grant:
        return Grant(
            scopes=frozenset(self.scopes),
            areas=tuple(self.areas),
            clearance=Clearance(DataGrade(self.grade), Personal(self.personal)),
            purposes=tuple(self.purposes),
            audiences=tuple(self.audiences),
        )


class Client(Rights, Base):
    """A machine that asks for tokens; of its 256-bit secret only the SHA-256 is kept."""

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    secret_set_by: Mapped[str] = mapped_column(Text)
    """The clients file, or the subject who changed the secret since: the file does not undo that."""

    @property
    def subject(self) -> str:
        return f"client:{self.id}"


class User(Rights, Base):
    """A person who signs in; the password is kept as an Argon2id hash."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def subject(self) -> str:
        return f"user:{self.name}"


class RevokedToken(Base):
    """A token refused before its time, by the hash of its id; forgotten once it would have expired."""

    __tablename__ = "revoked_tokens"

    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    revoked_by: Mapped[str] = mapped_column(Text)


class RevokedSubject(Base):
    """A subject whose tokens issued up to a moment are refused; forgotten once all of them have expired."""

    __tablename__ = "revoked_subjects"

    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    not_before: Mapped[datetime] = mapped_column(Moment)
    revoked_by: Mapped[str] = mapped_column(Text)
