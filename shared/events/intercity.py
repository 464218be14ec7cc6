"""Events of the gateway between cities."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from shared.events.model import Event


class AgreementChanged(Event):
    """An agreement with a peer entered into force, was ended or expired."""

    type: ClassVar[str] = "intercity.agreement.changed.v1"
    subject_template: ClassVar[str] = "agreements/{agreement}"

    agreement: str
    peer: str
    state: Literal["in_force", "ended"]


class WarningReceived(Event):
    """A peer's warning arrived, its signature and issuer verified; `warninglevel` is its level."""

    type: ClassVar[str] = "intercity.warning.received.v1"
    subject_template: ClassVar[str] = "peers/{peer}"

    peer: str
    identifier: str
    sender: str
    status: Literal["Actual", "Exercise", "System", "Test"]
    kind: Literal["Alert", "Update", "Cancel"]
    headline_zh: str | None
    headline_en: str | None
    expires: AwareDatetime | None


class WarningAcknowledged(Event):
    """A peer's gateway has taken our warning in."""

    type: ClassVar[str] = "intercity.warning.acknowledged.v1"
    subject_template: ClassVar[str] = "warnings/{warning}"

    warning: str
    peer: str
    acknowledged_at: AwareDatetime


class MessageRefused(Event):
    """A message from a peer, or from somebody who claims to be one, was refused."""

    type: ClassVar[str] = "intercity.message.refused.v1"
    subject_template: ClassVar[str] = "peers/{peer}"

    peer: str
    """As the message claims; `unknown` if it names none that is known."""
    problem: str
    """Type of the problem: `/problems/message-replayed`."""
    message: str | None
