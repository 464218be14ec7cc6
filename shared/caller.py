"""Who asks, and what they may see: the claims of a verified token as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.vocabulary import DataGrade, Personal

MOST_ACTORS = 8
"""Six levels of administration and one to spare each way."""


@dataclass(frozen=True, slots=True)
class Clearance:
    """The highest grade and the most personal data that a caller may see."""

    grade: DataGrade = DataGrade.GENERAL
    personal: Personal = Personal.NONE

    def covers(self, grade: DataGrade, personal: Personal) -> bool:
        return grade.rank <= self.grade.rank and personal.rank <= self.personal.rank

    def within(self, other: Clearance) -> Clearance:
        """The lower of both, each by itself."""
        grade = min(self.grade, other.grade, key=lambda grade: grade.rank)
        return Clearance(grade, min(self.personal, other.personal, key=lambda personal: personal.rank))


@dataclass(frozen=True, slots=True)
class Caller:
    """The claims of a verified token."""

    subject: str
    audience: str
    scopes: frozenset[str]
    areas: tuple[str, ...] = ()
    clearance: Clearance = field(default_factory=Clearance)
    purpose: str = "operations"
    token_id: str = ""
    issued: float = 0
    expires: int = 0
    actor: str | None = None
    """Who acts on the subject's behalf (RFC 8693 `act`): `430300/hub` on a hop made by the hub."""
    earlier: tuple[str, ...] = ()
    """Who acted before that, the latest first: the hubs that a question has passed."""
    superior: str | None = None
    """The hub of a higher level whose token this is, if it is trusted here: it is answered with what only hubs are told."""

    @property
    def everywhere(self) -> bool:
        return "*" in self.areas

    def sees_area(self, code: str | None) -> bool:
        """Whether a row in this area exists for the caller: prefixes cover what lies below them."""
        return self.everywhere or (code is not None and any(code.startswith(prefix) for prefix in self.areas))

    def has(self, *scopes: str) -> bool:
        """Whether the token carries one of these scopes."""
        return not self.scopes.isdisjoint(scopes)

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Caller:
        """The caller of verified claims; `ValueError`, `TypeError` or `KeyError` if they are not of the contract's form."""
        clearance = claims.get("clearance") or {}
        actors = _actors(claims.get("act"))
        if not (isinstance(claims["sub"], str) and isinstance(claims.get("areas", []), list) and isinstance(claims.get("jti", ""), str)):
            raise TypeError("sub and jti are texts, areas is a list")
        return cls(
            subject=claims["sub"],
            audience=claims["aud"],
            scopes=frozenset(claims.get("scope", "").split()),
            areas=tuple(sorted(str(area) for area in claims.get("areas", ()))),
            clearance=Clearance(DataGrade(clearance.get("grade", "general")), Personal(clearance.get("personal", "none"))),
            purpose=claims.get("purpose", "operations"),
            token_id=claims.get("jti", ""),
            issued=float(claims["iat"]),
            expires=int(claims["exp"]),
            actor=actors[0] if actors else None,
            earlier=actors[1:],
        )


def _actors(act: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The chain of actors, the current one first (RFC 8693, section 4.1)."""
    found: list[str] = []
    while act:
        if len(found) == MOST_ACTORS or not isinstance(act["sub"], str):
            raise ValueError(f"act is a chain of at most {MOST_ACTORS} names")
        found.append(act["sub"])
        act = act.get("act")
    return tuple(found)


def narrowed(caller: Caller, *, areas: Iterable[str], scopes: Iterable[str], clearance: Clearance) -> Caller:
    """The caller with no more than these rights, and of the scopes only those that read (`hub:query` stands for every one of them)."""
    mine, bound = set(caller.scopes), set(scopes)
    kept = {scope for scope in mine & bound if _reads(scope)}
    kept |= {scope for scope in mine if "hub:query" in bound and _reads(scope)}
    kept |= {scope for scope in bound if "hub:query" in mine and _reads(scope)}
    return replace(caller, scopes=frozenset(kept), areas=common_areas(caller.areas, tuple(areas)), clearance=caller.clearance.within(clearance))


def _reads(scope: str) -> bool:
    return scope == "hub:query" or scope.endswith(":read")


def common_areas(mine: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """The areas that lie in both sets of code prefixes, `*` being everywhere."""
    theirs = tuple(others)
    found = {common for area in mine for other in theirs if (common := _common(area, other)) is not None}
    if "*" in found:
        return ("*",)
    return tuple(sorted(area for area in found if not any(area != wider and area.startswith(wider) for wider in found)))


def _common(area: str, other: str) -> str | None:
    if area == "*" or (other != "*" and other.startswith(area)):
        return other
    return area if other == "*" or area.startswith(other) else None
