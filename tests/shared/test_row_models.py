"""What text may hold that people read, and what is no number."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from services.hub.incidents.schemas import LongText
from shared.row_models import PlainText, RowModel, check_rows

BIDI = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]


@pytest.mark.parametrize("kind", [PlainText, LongText])
@pytest.mark.parametrize("control", BIDI)
def test_a_control_of_writing_direction_is_refused_by_its_number(kind: Any, control: str) -> None:
    with pytest.raises(ValidationError, match=f"U\\+{ord(control):04X}, a control of writing direction"):
        TypeAdapter(kind).validate_python(f"氯气泄漏{control}exe")


@pytest.mark.parametrize("text", ["氯气泄漏", "ئۈرۈمچى يولى", "שלום, 12", "a‍b — c", "Xiangtan · 湘潭"])
def test_every_script_is_taken_whatever_its_direction(text: str) -> None:
    assert TypeAdapter(PlainText).validate_python(text) == text


class _Thing(RowModel):
    weight: Annotated[float, Field(gt=0)]
    lanes: int | None = None
    open: bool = False


def test_true_is_no_number_and_a_number_is_no_reason_to_refuse_true_elsewhere() -> None:
    rows = [{"weight": True}, {"weight": 1, "open": True}, {"weight": "0.5", "lanes": False}, {"weight": 1, "lanes": 1}, {"weight": True, "lanes": True}]
    checked = check_rows(dict(enumerate(rows)), _Thing)
    assert sorted(checked.rows) == [1, 3] and checked.rows[1].open
    said = [(row, error.pointer, error.code, error.detail) for row, error in sorted(checked.errors.items())]
    assert said == [
        (0, "/0/weight", "not-a-number", "weight must be a number, not true."),
        (2, "/2/lanes", "not-a-number", "lanes must be a number, not false."),
        (4, "/4/weight", "not-a-number", "weight must be a number, not true."),
    ]
