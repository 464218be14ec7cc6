"""Words and scales that every service must use in the same sense."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


@dataclass(frozen=True, slots=True)
class Text:
    """A text a person sees, in Chinese and in English."""

    zh: str
    en: str

    def as_dict(self) -> dict[str, str]:
        return {"zh": self.zh, "en": self.en}


class IncidentGrade(IntEnum):
    """How grave an incident is: 特别重大, 重大, 较大, 一般 (Emergency Response Law, 2024 revision)."""

    I = 1  # noqa: E741 - the standard's own name
    II = 2
    III = 3
    IV = 4


class WarningLevel(IntEnum):
    """How urgent a warning is: red, orange, yellow, blue. Not an incident's grade."""

    RED = 1
    ORANGE = 2
    YELLOW = 3
    BLUE = 4


class ResponseLevel(IntEnum):
    """How strongly an authority responds, I to IV, set by that authority."""

    I = 1  # noqa: E741 - the standard's own name
    II = 2
    III = 3
    IV = 4


class HazardGrade(IntEnum):
    """Grade of a major hazard source by GB 18218-2018: one (gravest) to four."""

    I = 1  # noqa: E741 - the standard's own name
    II = 2
    III = 3
    IV = 4


class DataGrade(StrEnum):
    """Grade of data by the Data Security Law, article 21. `core` data may not be shared at all."""

    GENERAL = "general"
    IMPORTANT = "important"
    CORE = "core"

    @property
    def rank(self) -> int:
        return ("general", "important", "core").index(self.value)


class Personal(StrEnum):
    """Whether data concern a person (Personal Information Protection Law, articles 4 and 28)."""

    NONE = "none"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"

    @property
    def rank(self) -> int:
        return ("none", "personal", "sensitive").index(self.value)


class Sharing(StrEnum):
    """How public bodies may share data (State Council Decree 809, in force 2025-08-01)."""

    UNCONDITIONAL = "unconditional"
    CONDITIONAL = "conditional"
    NONE = "none"


class AreaLevel(StrEnum):
    """Levels of an area hierarchy, coarse to fine, with the length of their GB/T 2260 and 10114 codes."""

    NATION = "nation"
    PROVINCE = "province"
    CITY = "city"
    DISTRICT = "district"
    TOWN = "town"
    COMMUNITY = "community"

    @property
    def digits(self) -> int:
        """Length of this level's code: 0, 2, 4, 6, 9, 12."""
        return (0, 2, 4, 6, 9, 12)[list(AreaLevel).index(self)]
