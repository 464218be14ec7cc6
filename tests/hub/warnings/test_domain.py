"""Rules of warnings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.hub.warnings.document import identifier_of
from services.hub.warnings.domain import common_area, expiry_fault, may_approve, succession_fault
from shared.cap.identifiers import read_identifier

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("codes", "area"),
    [
        (["430304003"], "430304003"),
        (["430302", "430304"], "4303"),
        (["430304003", "430304004001"], "430304"),
        (["4301", "4303"], "43"),
        (["4301", "43"], "43"),
        (["43", "11"], None),
    ],
)
def test_a_warning_lies_in_the_finest_area_that_holds_all_of_its_areas(codes: list[str], area: str | None) -> None:
    assert common_area(codes) == area


def test_nobody_approves_what_they_had_a_part_in() -> None:
    assert may_approve("person:b", ["person:a"]) and not may_approve("person:a", ["person:b", "person:a"])


def test_a_warning_ends_in_the_future_and_within_a_month() -> None:
    assert expiry_fault(NOW, NOW) and expiry_fault(NOW + timedelta(days=31), NOW) and not expiry_fault(NOW + timedelta(hours=1), NOW)


def test_messages_follow_what_is_in_force_and_of_the_same_status() -> None:
    assert succession_fault("Alert", "Actual", None) is None
    assert succession_fault("Alert", "Actual", ("issued", "Actual", "Alert", False))
    assert succession_fault("Update", "Actual", None)
    assert succession_fault("Update", "Actual", ("issued", "Actual", "Alert", False)) is None
    for previous in (
        ("draft", "Actual", "Alert", False),
        ("issued", "Actual", "Alert", True),
        ("issued", "Actual", "Cancel", False),
        ("issued", "Exercise", "Alert", False),
    ):
        assert succession_fault("Cancel", "Actual", previous)


def test_identifiers_have_the_national_form_and_differ_within_a_second() -> None:
    first, second = (identifier_of("430300", number, NOW) for number in (1, 2))
    assert first == "43030000000000_20261122160000_1" and first != second and read_identifier(second)
