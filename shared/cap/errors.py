"""What is wrong with a CAP document."""

from __future__ import annotations


class BadCap(ValueError):
    """A document that is no CAP alert, or an alert that breaks a rule; the message says where and what."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(f"{where} {what}"[:1000])
        self.where = where
