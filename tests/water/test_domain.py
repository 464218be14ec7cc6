"""The rules of the water service."""

from __future__ import annotations

from datetime import UTC, datetime

from services.water.sites.domain import due_after


def test_a_public_site_is_due_after_ninety_days_and_one_never_inspected_has_no_date() -> None:
    assert due_after("public", datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 4, 1, tzinfo=UTC)
    assert due_after("public", None) is None
