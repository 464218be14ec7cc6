"""What text may hold that people read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from services.hub.incidents.schemas import LongText
from shared.row_models import PlainText

BIDI = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]


@pytest.mark.parametrize("kind", [PlainText, LongText])
@pytest.mark.parametrize("control", BIDI)
def test_a_control_of_writing_direction_is_refused_by_its_number(kind: Any, control: str) -> None:
    with pytest.raises(ValidationError, match=f"U\\+{ord(control):04X}, a control of writing direction"):
        TypeAdapter(kind).validate_python(f"氯气泄漏{control}exe")


@pytest.mark.parametrize("text", ["氯气泄漏", "ئۈرۈمچى يولى", "שלום, 12", "a‍b — c", "Xiangtan · 湘潭"])
def test_every_script_is_taken_whatever_its_direction(text: str) -> None:
    assert TypeAdapter(PlainText).validate_python(text) == text
