"""Major hazard sources by GB 18218-2018: when a unit is one, how grave it is, and how that follows, step by step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import fsum

from shared.vocabulary import HazardGrade

EDITION = "GB 18218-2018"


@dataclass(frozen=True, slots=True)
class Stored:
    """A substance in a unit."""

    substance: str
    q_design: float
    """Design maximum in tonnes (4.2.2)."""
    critical: float
    """Q in tonnes (table 1, else table 2 by class)."""
    beta: float
    """Correction by substance (table 3, else table 4 by class)."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one substance adds."""

    substance: str
    q_design: float
    critical: float
    beta: float
    quotient: float
    """q/Q."""
    contribution: float
    """beta times q/Q."""


@dataclass(frozen=True, slots=True)
class Grading:
    """How the grade of a unit follows."""

    s: float
    """Sum of q/Q, eq. (1), dimensionless; a major hazard source from 1."""
    alpha: float
    r: float
    """alpha times the sum of beta q/Q, eq. (2), dimensionless."""
    grade: HazardGrade | None
    """None: no major hazard source."""
    steps: tuple[Step, ...]

    @property
    def identified(self) -> bool:
        return self.s >= 1


ALPHA = ((100, 2.0), (50, 1.5), (30, 1.2), (1, 1.0), (0, 0.5))
"""GB 18218-2018, table 5: permanent population exposed within 500 m of the boundary, from this number on, and alpha."""
THRESHOLDS = ((100.0, HazardGrade.I), (50.0, HazardGrade.II), (10.0, HazardGrade.III))
"""GB 18218-2018, table 6: R from this value on, and the grade."""
BETA_BY_CAS: Mapping[str, float] = {
    "630-08-0": 2,
    "7446-09-5": 2,
    "7664-41-7": 2,
    "75-21-8": 2,
    "7647-01-0": 3,
    "74-83-9": 3,
    "7782-50-5": 4,
    "7783-06-4": 5,
    "7664-39-3": 5,
    "10102-44-0": 10,
    "74-90-8": 10,
    "75-44-5": 20,
    "7803-51-2": 20,
    "624-83-9": 20,
}
"""GB 18218-2018, table 3: toxic gases."""
CLASSES: Mapping[str, tuple[float, float]] = {
    "J1": (5, 4),
    "J2": (50, 1),
    "J3": (50, 2),
    "J4": (50, 2),
    "J5": (500, 1),
    "W1.1": (1, 2),
    "W1.2": (10, 2),
    "W1.3": (50, 2),
    "W2": (10, 1.5),
    "W3": (150, 1),
    "W4": (50, 1),
    "W5.1": (10, 1.5),
    "W5.2": (50, 1),
    "W5.3": (1000, 1),
    "W5.4": (5000, 1),
    "W6.1": (10, 1.5),
    "W6.2": (50, 1),
    "W7.1": (10, 1.5),
    "W7.2": (50, 1),
    "W8": (50, 1),
    "W9.1": (50, 1),
    "W9.2": (200, 1),
    "W10": (200, 1),
    "W11": (200, 1),
}
"""Symbol of the hazard class: Q in tonnes (GB 18218-2018, table 2; from memory, to be verified), beta (table 4)."""
REGULATORS = {HazardGrade.I: "province", HazardGrade.II: "city", HazardGrade.III: "county", HazardGrade.IV: "enterprise"}
"""Who answers for a source of this grade: first grade the province, second the city, third the county, fourth the enterprise itself under the county's eye."""


def cas_holds(number: str) -> bool:
    """Whether the last digit of a CAS registry number is right: the others, counted from the right and weighted 1, 2, 3 …, modulo 10."""
    *digits, check = map(int, number.replace("-", ""))
    return sum(weight * digit for weight, digit in enumerate(reversed(digits), start=1)) % 10 == check


def exposure_factor(exposed: int | None) -> float:
    """Alpha of table 5 for the permanent population within 500 m; the greatest where it is not known."""
    if exposed is None:
        return ALPHA[0][1]
    return next(alpha for least, alpha in ALPHA if exposed >= least)


def quotient_sum(inventory: Iterable[Stored]) -> float:
    """S of eq. (1): the sum of q/Q, dimensionless."""
    return round(fsum(each.q_design / each.critical for each in inventory), 9)


def hazard_index(inventory: Iterable[Stored], exposed: int | None) -> float:
    """R of eq. (2): alpha times the sum of beta q/Q, dimensionless. Rounded at the ninth decimal, so that 3 x 0.1 reaches 0.3."""
    return round(exposure_factor(exposed) * fsum(each.beta * each.q_design / each.critical for each in inventory), 9)


def hazard_grade(index: float) -> HazardGrade:
    """Grade I from 100, II from 50, III from 10, else IV (table 6)."""
    return next((grade for least, grade in THRESHOLDS if index >= least), HazardGrade.IV)


def graded(inventory: Collection[Stored], exposed: int | None) -> Grading:
    """Whether the unit that holds this is a major hazard source, of which grade, and how that follows."""
    steps = tuple(
        Step(each.substance, each.q_design, each.critical, each.beta, each.q_design / each.critical, each.beta * each.q_design / each.critical)
        for each in inventory
    )
    s, r = quotient_sum(inventory), hazard_index(inventory, exposed)
    return Grading(s, exposure_factor(exposed), r, hazard_grade(r) if s >= 1 else None, steps)


def by_class(classes: Iterable[str]) -> tuple[float, float] | None:
    """Q and beta of a substance that table 1 does not name: the least Q and the greatest beta of its classes; None if no class is known."""
    found = [CLASSES[symbol] for symbol in classes if symbol in CLASSES]
    return (min(q for q, _ in found), max(beta for _, beta in found)) if found else None
