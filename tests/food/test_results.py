"""Results of tests: read, converted exactly, held against the limits of their day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.food.samples.domain import CONFORMING, EXCEEDS, NOT_ASSESSED, assess, convert, limit_for, readings_of, unit_of
from services.food.samples.tables import LIMITS

TODAY = date(2026, 11, 22)
MASS_UNITS = ["ng/kg", "ug/kg", "mg/kg", "g/kg", "mg/100 g", "g/100 g", "%", "ug/g"]


@pytest.mark.parametrize(
    ("value", "unit", "into", "expected"),
    [
        ("0.21", "mg/kg", "ug/kg", "210"),
        ("1", "g/100 g", "mg/kg", "10000"),
        ("0.5", "%", "g/kg", "5"),
        ("50", "µg/L", "mg/L", "0.05"),
        ("23", "MPN/100 mL", "MPN/mL", "0.23"),
        ("3", "CFU/g", "CFU/100 g", "300"),
    ],
)
def test_contents_convert_exactly(value: str, unit: str, into: str, expected: str):
    assert convert(Decimal(value), unit, into) == Decimal(expected)


@given(st.decimals("0.001", "99999", places=4), st.sampled_from(MASS_UNITS), st.sampled_from(MASS_UNITS))
def test_there_and_back_is_the_same_number(value: Decimal, unit: str, into: str):
    assert convert(convert(value, unit, into), into, unit) == value


@pytest.mark.parametrize(
    ("unit", "into"), [("mg/kg", "mg/L"), ("CFU/g", "MPN/g"), ("CFU/g", "CFU/mL"), ("/25 g", "CFU/g"), ("/25 g", "/100 g"), ("kg", "mg/kg")]
)
def test_what_is_not_the_same_kind_of_content_does_not_convert(unit: str, into: str):
    with pytest.raises(ValueError, match="cannot be converted"):
        convert(Decimal(1), unit, into)


@pytest.mark.parametrize("text", ["", "mg", "mg/", "mg/0 kg", "furlong/kg", "mg/kg/d", "/g/g"])
def test_a_text_that_is_no_unit_is_none(text: str):
    assert unit_of(text) is None


def verdict(analyte: str, product: str, result: str, unit: str, day: date = TODAY, detection_limit: str | None = None) -> tuple[str, str]:
    found = assess(limit_for(LIMITS, analyte, product, day), readings_of(result, Decimal(detection_limit) if detection_limit else None), unit)
    return found.verdict, found.reason


@pytest.mark.parametrize(
    ("analyte", "product", "result", "unit", "expected"),
    [
        ("cadmium", "cereal.rice", "0.20", "mg/kg", CONFORMING),
        ("cadmium", "cereal.rice", "201", "ug/kg", EXCEEDS),
        ("cadmium", "cereal.rice.polished", "0.21", "mg/kg", EXCEEDS),
        ("cadmium", "cereal.wheat", "0.15", "mg/kg", EXCEEDS),
        ("aflatoxin_m1", "dairy.raw_milk", "0.5", "ug/kg", CONFORMING),
        ("aflatoxin_m1", "dairy.raw_milk", "0.00051", "mg/kg", EXCEEDS),
        ("melamine", "dairy.infant_formula", "1.1", "mg/kg", EXCEEDS),
        ("melamine", "dairy", "1.1", "mg/kg", CONFORMING),
        ("lead", "unheard_of", "9", "mg/kg", NOT_ASSESSED),
        ("unheard_of", "cereal.rice", "9", "mg/kg", NOT_ASSESSED),
    ],
)
def test_the_finest_category_with_a_limit_decides(analyte: str, product: str, result: str, unit: str, expected: str):
    assert verdict(analyte, product, result, unit)[0] == expected


def test_the_edition_goes_by_the_day():
    assert verdict("lead", "dairy.raw_milk", "0.03", "mg/kg", date(2023, 6, 29)) == (CONFORMING, "within-limit")
    assert verdict("lead", "dairy.raw_milk", "0.03", "mg/kg", date(2023, 6, 30)) == (EXCEEDS, "above-limit")
    assert verdict("lead", "dairy.raw_milk", "0.03", "mg/kg", date(2001, 1, 1)) == (NOT_ASSESSED, "no-limit")


def test_nothing_found_conforms_only_if_the_method_could_have_found_it():
    assert verdict("cadmium", "cereal.rice", "<0.05", "mg/kg") == (CONFORMING, "within-limit")
    assert verdict("cadmium", "cereal.rice", "<LOD", "mg/kg", detection_limit="0.3") == (NOT_ASSESSED, "detection-limit-above-limit")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("10;20;<10;99;100", (CONFORMING, "within-plan")),
        ("10;20;<10;99;1000", (CONFORMING, "within-plan")),
        ("10;20;<10;101;500", (EXCEEDS, "more-than-c-above-m")),
        ("10;20;<10;99;1001", (EXCEEDS, "above-M")),
        ("10;20;<10;99", (NOT_ASSESSED, "fewer-units-than-n")),
    ],
)
def test_a_three_class_plan_counts_units_above_m_and_forbids_any_above_the_highest(result: str, expected: tuple[str, str]):
    assert verdict("staphylococcus_aureus", "meat.cooked", result, "CFU/g") == expected


def test_a_two_class_plan_allows_no_finding():
    assert verdict("salmonella", "meat.cooked", "未检出;未检出;ND;absent;0", "/25 g") == (CONFORMING, "within-plan")
    assert verdict("salmonella", "meat.cooked", "检出", "/25 g") == (EXCEEDS, "above-M")


def test_every_limit_says_where_it_stands():
    assert all(each.source and unit_of(each.unit) and each.value >= 0 for each in LIMITS)
    keys = [(each.analyte, each.product, each.since) for each in LIMITS]
    assert len(keys) == len(set(keys))
