"""Events of the hub: incidents and warnings."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from shared.events.model import Event

Status = Literal["Actual", "Exercise", "System", "Test"]


class IncidentOpened(Event):
    """The city deals with something as one. `regarding` is `incidents/<incident>`, `incidentgrade` its grade."""

    type: ClassVar[str] = "hub.incident.opened.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    kind: str
    exercise: bool
    about: str | None
    """What it was opened for: `releases/…`."""
    lon: float | None
    lat: float | None
    opened_at: AwareDatetime


class IncidentGraded(Event):
    """The grade of an incident was set or changed; `incidentgrade` is the new one."""

    type: ClassVar[str] = "hub.incident.graded.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    reason: str


class TaskAssigned(Event):
    """A sector is asked to do something about an incident."""

    type: ClassVar[str] = "hub.task.assigned.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    task: str
    sector: str
    what: str
    """In Chinese and in English, ` / ` between them."""
    due_at: AwareDatetime | None


class TaskAnswered(Event):
    """The sector acknowledged, declined or finished its task."""

    type: ClassVar[str] = "hub.task.answered.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    task: str
    sector: str
    state: Literal["acknowledged", "declined", "done"]


class ResponseSet(Event):
    """An authority set the level of its response, `responselevel`, or ended it: then the event names none."""

    type: ClassVar[str] = "hub.response.set.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    authority: str
    reason: str


class IncidentReopened(Event):
    """An incident that was over is not."""

    type: ClassVar[str] = "hub.incident.reopened.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    reason: str


class IncidentClosed(Event):
    """The incident is over."""

    type: ClassVar[str] = "hub.incident.closed.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    closed_at: AwareDatetime


class WarningIssued(Event):
    """A warning was issued, updated or cancelled (CAP 1.2); `warninglevel` is its level. The CAP document is at the hub's `/warnings/<warning>.xml`."""

    type: ClassVar[str] = "hub.warning.issued.v1"
    subject_template: ClassVar[str] = "warnings/{warning}"

    warning: str
    identifier: str
    """CAP identifier."""
    sender: str
    sent: AwareDatetime
    status: Status
    kind: Literal["Alert", "Update", "Cancel"]
    headline_zh: str
    headline_en: str
    expires: AwareDatetime | None
    recipients: list[str]
    """Cities it is meant for beside this one: `430200`."""
