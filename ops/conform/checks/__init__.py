"""Every check of the contract, in the order in which they are made."""

from __future__ import annotations

from ops.conform.checks import aggregates, described, history, hostile, questions, records, rights, server
from ops.conform.model import Check

CHECKS: tuple[Check, ...] = (
    *server.CHECKS,
    *rights.CHECKS,
    *described.CHECKS,
    *records.CHECKS,
    *questions.CHECKS,
    *aggregates.CHECKS,
    *history.CHECKS,
    *hostile.CHECKS,
)
