"""What crosses HTTP about access: tokens, clients, people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from services.hub.access.domain import CLIENT_ID, LONGEST_PASSWORD, SCOPE
from shared.vocabulary import DataGrade, Personal

Scope = Annotated[str, Field(pattern=rf"^{SCOPE.pattern}$", max_length=64, examples=["env:write"])]
AreaPrefix = Annotated[str, Field(pattern=r"^(\*|[a-z0-9][a-z0-9-]{0,31})$", examples=["4303"])]
Purpose = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", examples=["operations"])]
Audience = Annotated[str, Field(pattern=r"^(\*|[a-z0-9]{1,32}/[a-z][a-z0-9]{0,31})$", examples=["430300/env"])]
ClientId = Annotated[str, Field(pattern=rf"^{CLIENT_ID.pattern}$", examples=["env-system"])]
UserName = Annotated[str, Field(pattern=rf"^{CLIENT_ID.pattern}$", examples=["zhang.wei"])]


def _encodable(password: SecretStr) -> SecretStr:
    try:
        password.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character (a lone surrogate)") from None
    return password


Password = Annotated[SecretStr, Field(max_length=LONGEST_PASSWORD), AfterValidator(_encodable)]


class ClearanceOut(BaseModel):
    """The highest grade and the most personal data that may be seen."""

    model_config = ConfigDict(extra="forbid")

    grade: Literal[DataGrade.GENERAL, DataGrade.IMPORTANT] = DataGrade.GENERAL
    personal: Personal = Personal.NONE


class RightsIn(BaseModel):
    """What a subject may ask for at most."""

    model_config = ConfigDict(extra="forbid")

    scopes: Annotated[list[Scope], Field(max_length=64)]
    areas: Annotated[list[AreaPrefix], Field(max_length=256, description="Area code prefixes; `*` is everywhere, an empty list nowhere")]
    clearance: ClearanceOut = ClearanceOut()
    purposes: Annotated[list[Purpose], Field(min_length=1, max_length=16, description="The first is used unless a token request names another")]
    audiences: Annotated[list[Audience], Field(min_length=1, max_length=64, description="Services it may have tokens for; `*` is every one")] = ["*"]

    def columns(self) -> dict[str, Any]:
        """As values of the table's columns."""
        plain = self.model_dump(mode="json", include={"scopes", "areas", "purposes", "audiences"})
        return {**plain, "grade": self.clearance.grade.value, "personal": self.clearance.personal.value}


class ClientIn(RightsIn):
    id: ClientId


class UserIn(RightsIn):
    name: UserName
    password: Password


class Change(BaseModel, json_schema_extra={"example": {"disabled": True}}):
    """What changes about a client or a person; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    disabled: bool | None = None
    rights: RightsIn | None = None


class UserChange(Change, json_schema_extra={"example": {"disabled": True}}):
    password: Password | None = None


class PasswordChange(BaseModel, json_schema_extra={"example": {"old": "correct horse battery staple", "new": "another long sentence"}}):
    model_config = ConfigDict(extra="forbid")

    old: Password
    new: Password


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    password: Password
    resource: Annotated[str | None, Field(max_length=64, description="The service the token is for; the hub if absent", examples=["430300/hub"])] = None
    scope: Annotated[str | None, Field(max_length=2048)] = None
    purpose: Annotated[str | None, Field(max_length=32)] = None


class Account(BaseModel):
    """A client or a person as an administrator sees it; never a secret."""

    subject: str
    scopes: list[str]
    areas: list[str]
    clearance: ClearanceOut
    purposes: list[str]
    audiences: list[str]
    disabled: bool
    created_at: datetime
    created_by: str


class NewSecret(BaseModel):
    """A client's secret: shown once, kept only as a hash."""

    client_id: str
    client_secret: str


class TokenOut(BaseModel):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    scope: str


class Me(BaseModel):
    """What the token says about its bearer."""

    subject: str
    audience: str
    scopes: list[str]
    areas: list[str]
    clearance: ClearanceOut
    purpose: str
    expires: datetime


class Revocations(BaseModel):
    """What services refuse before its time."""

    tokens: Annotated[list[str], Field(description="SHA-256 (hex) of the `jti` of revoked tokens")]
    subjects: Annotated[dict[str, float], Field(description="Subjects whose tokens issued up to this moment (epoch seconds) are refused")]
