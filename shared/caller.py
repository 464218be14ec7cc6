"""Who asks, and what they may see: the claims of a verified token as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.vocabulary import DataGrade, Personal


@dataclass(frozen=True, slots=True)
class Clearance:
    """The highest grade and the most personal data that a caller may see."""

    grade: DataGrade = DataGrade.GENERAL
    personal: Personal = Personal.NONE

    def covers(self, grade: DataGrade, personal: Personal) -> bool:
        return grade.rank <= self.grade.rank and personal.rank <= self.personal.rank


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
            actor=(claims.get("act") or {}).get("sub"),
        )
