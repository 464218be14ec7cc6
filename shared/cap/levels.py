"""Warning levels in CAP: red, orange, yellow and blue as severity, and as a parameter of their own (GB/T 35965.1-2018, GB/T 47321-2026)."""

from __future__ import annotations

from typing import Literal

from shared.cap.document import Alert, Parameter, Severity
from shared.vocabulary import Text, WarningLevel

SEVERITIES: dict[WarningLevel, Severity] = {
    WarningLevel.RED: "Extreme",
    WarningLevel.ORANGE: "Severe",
    WarningLevel.YELLOW: "Moderate",
    WarningLevel.BLUE: "Minor",
}
Colour = Literal["red", "orange", "yellow", "blue"]
COLOURS: dict[str, WarningLevel] = {level.name.lower(): level for level in WarningLevel}
NAMES = {
    WarningLevel.RED: Text("红色", "Red"),
    WarningLevel.ORANGE: Text("橙色", "Orange"),
    WarningLevel.YELLOW: Text("黄色", "Yellow"),
    WarningLevel.BLUE: Text("蓝色", "Blue"),
}
PARAMETER = "warninglevel"
"""Name of the parameter that says the level, as the CloudEvents attribute is named."""


def level_parameter(level: WarningLevel) -> Parameter:
    return Parameter(PARAMETER, level.name.lower())


def level_of(alert: Alert) -> WarningLevel | None:
    """The gravest level that the alert names: by its parameter, else by its severity; none if the severity is unknown."""
    of_severity = {severity: level for level, severity in SEVERITIES.items()}
    found: list[WarningLevel] = []
    for info in alert.infos:
        named = [COLOURS.get(pair.value.strip().lower()) for pair in info.parameters if pair.name == PARAMETER]
        found += filter(None, named if any(named) else [of_severity.get(info.severity)])
    return min(found, default=None)
