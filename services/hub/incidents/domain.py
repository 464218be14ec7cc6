"""Rules of incidents: how grave one is, what may become of a task, what may be closed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.vocabulary import IncidentGrade

State = Literal["open", "closed"]
TaskState = Literal["assigned", "acknowledged", "declined", "done", "waived"]
Answer = Literal["acknowledged", "declined", "done"]
Basis = Literal["provisional", "decree-493", "officer"]
"""What the grade rests on."""

DECREE_493 = (
    (IncidentGrade.I, 30, 100, 100_000_000.0),
    (IncidentGrade.II, 10, 50, 50_000_000.0),
    (IncidentGrade.III, 3, 10, 10_000_000.0),
)
"""Grade, deaths, serious injuries (acute industrial poisoning included), direct loss in yuan: at least (State Council Decree 493, article 3)."""
EVACUATED = ((IncidentGrade.I, 50_000), (IncidentGrade.II, 10_000), (IncidentGrade.III, 5_000))
"""Grade, people to be moved: at least (National Emergency Plan for Environmental Incidents, 国办函〔2014〕119号, annex 1; from memory, to be verified)."""
TOXIC_GASES = frozenset(["1005", "1016", "1017", "1040", "1050", "1051", "1052", "1053", "1062", "1067", "1076", "1079", "2199", "2480"])
"""UN numbers of the toxic gases that GB 18218-2018, table 3, gives a β of its own."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of the consequences; None: not known yet, which is not zero."""

    deaths: int | None = None
    serious_injuries: int | None = None
    loss_cny: float | None = None
    """Direct loss in yuan."""
    people_threatened: int | None = None
    """People in the endangered area, who may have to be moved."""

    @property
    def known(self) -> bool:
        """Whether Decree 493 has something to go by."""
        return (self.deaths, self.serious_injuries, self.loss_cny) != (None, None, None)


def decree_grade(figures: Figures) -> IncidentGrade:
    """Grade of an accident by Decree 493, article 3: the gravest that any figure reaches."""
    for grade, deaths, injuries, loss in DECREE_493:
        if (figures.deaths or 0) >= deaths or (figures.serious_injuries or 0) >= injuries or (figures.loss_cny or 0.0) >= loss:
            return grade
    return IncidentGrade.IV


def provisional_grade(un: str | None, people: int | None) -> IncidentGrade:
    """Grade of a release before its consequences are known: by the people to be moved.

    While nobody knows how many, a toxic gas counts as III and everything else as IV: a precaution of this system, by no standard.
    """
    if people is None:
        return IncidentGrade.III if un in TOXIC_GASES else IncidentGrade.IV
    return next((grade for grade, least in EVACUATED if people >= least), IncidentGrade.IV)


def grade_by_rule(figures: Figures, un: str | None) -> tuple[IncidentGrade, Basis]:
    """The grade that the rules give now, and which rule it was; the provisional one stands until Decree 493 has figures."""
    if figures.known:
        return decree_grade(figures), "decree-493"
    return provisional_grade(un, figures.people_threatened), "provisional"


_FOLLOWING: dict[TaskState, tuple[TaskState, ...]] = {
    "assigned": ("acknowledged", "declined", "done", "waived"),
    "acknowledged": ("declined", "done", "waived"),
    "declined": ("acknowledged", "waived"),
    "done": (),
    "waived": (),
}


def may_become(state: TaskState, following: TaskState) -> bool:
    return following in _FOLLOWING[state]


def is_overdue(state: TaskState, due_at: datetime | None, now: datetime) -> bool:
    """Whether something should have been done by now."""
    return state in ("assigned", "acknowledged", "declined") and due_at is not None and due_at < now


def unfinished(states: Iterable[TaskState]) -> int:
    """How many tasks keep an incident open: neither done nor waived."""
    return sum(state not in ("done", "waived") for state in states)
