"""The document of an agreement, and what crosses HTTP about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.intercity.messages.wire import AgreementId, City, MessageId, Word, moment
from shared.datasets.aggregate.question import Moment
from shared.row_models import PlainText

DatasetId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,31}\.[a-z][a-z0-9_]{0,62}$", examples=["fire.calls"])]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", examples=["kind"])]
Operation = Literal["records", "aggregate"]
Filter = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x1f\x7f]+$", description="CQL2 text", examples=["kind = 'structure_fire'"])]


class SharedDataset(BaseModel):
    """What of a dataset is shared, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: DatasetId
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=200, description="`geometry` for where rows lie")]
    filter: Annotated[Filter | None, Field(description="Rows that are shared; all if not given")] = None
    operations: Annotated[tuple[Operation, ...], Field(min_length=1, max_length=2)]
    smallest_group: Annotated[int, Field(ge=0, le=1_000_000, description="Groups of fewer rows are left out of aggregates")] = 0


class Grant(BaseModel):
    """What one city gives the other."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    giver: Annotated[City, Field(alias="from")]
    taker: Annotated[City, Field(alias="to")]
    datasets: Annotated[tuple[SharedDataset, ...], Field(max_length=100)] = ()
    warnings: Annotated[bool, Field(description="Whether warnings are sent")] = False
    rate_per_minute: Annotated[int, Field(ge=1, le=12_000, description="Questions a minute")] = 60
    rows_per_answer: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    onward: Annotated[tuple[City, ...], Field(max_length=50, description="Cities to which the taker may pass on what it was given")] = ()

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.giver == self.taker:
            raise ValueError("a grant goes from one city to the other")
        if len({dataset.id for dataset in self.datasets}) != len(self.datasets):
            raise ValueError("a dataset is named twice in a grant")
        return self

    def dataset(self, name: str) -> SharedDataset | None:
        return next((dataset for dataset in self.datasets if dataset.id == name), None)


class Document(BaseModel):
    """An agreement, as both cities sign it. Nothing in it can be changed: a new document supersedes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal["1"] = "1"
    number: Annotated[MessageId, Field(description="So that no two documents are the same")]
    parties: Annotated[tuple[City, City], Field(description="In the order of their codes")]
    grants: Annotated[tuple[Grant, ...], Field(min_length=1, max_length=2)]
    purposes: Annotated[tuple[Word, ...], Field(min_length=1, max_length=20)]
    legal_basis: PlainText
    begins: Moment
    ends: Moment
    suite: Literal["Ed25519"] = "Ed25519"
    supersedes: AgreementId | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.parties[0] >= self.parties[1]:
            raise ValueError("parties are two different cities in the order of their codes")
        directions = [(grant.giver, grant.taker) for grant in self.grants]
        if any(set(direction) != set(self.parties) for direction in directions) or len(set(directions)) != len(directions):
            raise ValueError("there is one grant for each direction between the parties")
        if self.begins >= self.ends:
            raise ValueError("it begins before it ends")
        return self

    def grant(self, giver: str) -> Grant | None:
        """What a party gives the other."""
        return next((grant for grant in self.grants if grant.giver == giver), None)

    def plain(self) -> dict[str, Any]:
        """As JSON values; times in UTC to the millisecond."""
        return {**self.model_dump(mode="json", by_alias=True), "begins": moment(self.begins), "ends": moment(self.ends)}


class GrantIn(BaseModel):
    """A grant of a proposal: its direction is where it stands."""

    model_config = ConfigDict(extra="forbid")

    datasets: Annotated[list[SharedDataset], Field(max_length=100)] = []
    warnings: bool = False
    rate_per_minute: Annotated[int, Field(ge=1, le=12_000)] = 60
    rows_per_answer: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    onward: Annotated[list[City], Field(max_length=50)] = []


class ProposalIn(BaseModel):
    """What is proposed to a peer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "peer": "430100",
                    "give": {"datasets": [{"id": "fire.calls", "fields": ["id", "kind", "received_at", "area"], "operations": ["records", "aggregate"]}]},
                    "take": {"warnings": True},
                    "purposes": ["operations", "analysis"],
                    "legal_basis": "《政务数据共享条例》第二十条",
                    "begins": "2026-11-01T00:00:00+08:00",
                    "ends": "2027-11-01T00:00:00+08:00",
                }
            ]
        },
    )

    peer: City
    give: GrantIn | None = None
    take: GrantIn | None = None
    purposes: Annotated[list[Word], Field(min_length=1, max_length=20)]
    legal_basis: PlainText
    begins: Moment
    ends: Moment
    supersedes: AgreementId | None = None


class AgreementOut(BaseModel):
    """An agreement and how it stands."""

    id: str
    peer: str
    proposer: str
    state: str
    document: dict[str, Any]
    signatures: Annotated[dict[str, str | None], Field(description="Detached JWS over the canonical document, by city")]
    ended_at: datetime | None
    ended_by: str | None
