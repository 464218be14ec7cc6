"""What crosses HTTP about warnings of peers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.intercity.messages.wire import City
from shared.row_models import PlainText

Prefix = Annotated[str, Field(pattern=r"^(\*|[0-9]{2,12})$", description="Area code prefix, `*` for all")]


class IssuerIn(BaseModel):
    """An issuer that is trusted from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"peer": "430100", "sender": "430100/hub", "events": ["*"], "areas": ["4301"]}]})

    peer: City
    sender: PlainText
    events: Annotated[list[PlainText], Field(min_length=1, max_length=200)]
    areas: Annotated[list[Prefix], Field(min_length=1, max_length=200)]


class IssuerOut(IssuerIn):
    """An issuer and who trusts it."""

    recorded_by: str
    recorded_at: datetime


class ReceivedOut(BaseModel):
    """A warning of a peer."""

    id: str
    origin: str
    identifier: str
    sender: str
    sent_at: datetime
    status: str
    kind: str
    event: str | None
    level: int | None
    headline_zh: str | None
    headline_en: str | None
    area: str | None
    expires_at: datetime | None
    agreement: str
    received_at: datetime
