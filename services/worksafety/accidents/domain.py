"""How grave an accident is: State Council Decree 493 (2007), article 3."""

from __future__ import annotations

from shared.vocabulary import IncidentGrade

DECREE = "生产安全事故报告和调查处理条例（国务院令第493号）第三条"
LIMITS = (
    (IncidentGrade.I, 30, 100, 100_000_000),
    (IncidentGrade.II, 10, 50, 50_000_000),
    (IncidentGrade.III, 3, 10, 10_000_000),
)
"""Grade, and the deaths, serious injuries and direct losses in yuan from which it applies, each by itself; below all of them grade IV."""


def accident_grade(deaths: int | None, serious_injuries: int | None, loss_cny: float | None) -> IncidentGrade | None:
    """The grade by the gravest of the known figures; None where none is known. `loss_cny` is the direct economic loss in yuan."""
    if deaths is None and serious_injuries is None and loss_cny is None:
        return None
    for grade, dead, injured, lost in LIMITS:
        if (deaths or 0) >= dead or (serious_injuries or 0) >= injured or (loss_cny or 0) >= lost:
            return grade
    return IncidentGrade.IV
