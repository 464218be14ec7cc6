"""Units of measurement as UCUM codes, and exact conversion between those of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Unit:
    """`base = value * factor + offset`, in the base unit of its kind."""

    kind: str
    factor: Fraction
    offset: Fraction = Fraction(0)


def _unit(kind: str, factor: str, offset: str = "0") -> Unit:
    return Unit(kind, Fraction(factor), Fraction(offset))


UNITS = {
    "ug/m3": _unit("mass concentration", "1"),
    "mg/m3": _unit("mass concentration", "1000"),
    "ng/m3": _unit("mass concentration", "1/1000"),
    "g/m3": _unit("mass concentration", "1000000"),
    "Cel": _unit("temperature", "1"),
    "K": _unit("temperature", "1", "-273.15"),
    "[degF]": _unit("temperature", "5/9", "-160/9"),
    "Pa": _unit("pressure", "1"),
    "hPa": _unit("pressure", "100"),
    "mbar": _unit("pressure", "100"),
    "kPa": _unit("pressure", "1000"),
    "mm": _unit("length", "1"),
    "cm": _unit("length", "10"),
    "m": _unit("length", "1000"),
    "[in_i]": _unit("length", "25.4"),
    "m/s": _unit("speed", "1"),
    "km/h": _unit("speed", "5/18"),
    "[mi_i]/h": _unit("speed", "0.44704"),
    "m3/s": _unit("flow", "1"),
    "L/s": _unit("flow", "1/1000"),
    "/h": _unit("rate", "1"),
    "/min": _unit("rate", "60"),
    "/s": _unit("rate", "3600"),
    "1": _unit("ratio", "1"),
    "%": _unit("ratio", "1/100"),
    "deg": _unit("angle", "1"),
    "[ppm]": _unit("volume fraction", "1"),
    "[ppb]": _unit("volume fraction", "1/1000"),
    "s": _unit("time", "1"),
    "min": _unit("time", "60"),
    "V": _unit("voltage", "1"),
    "mV": _unit("voltage", "1/1000"),
    "{NTU}": _unit("turbidity", "1"),
}
"""UCUM codes (case-sensitive) that loads may use. Volume fractions such as `[ppb]` are no mass concentrations: that would need temperature and pressure."""


def convert(values: NDArray[np.float64], source: str, target: str) -> NDArray[np.float64] | None:
    """Values of one unit in another, or None if the units are unknown or of different kinds. Multiplies before it divides, so that 700 ug/m3 is 0.7 mg/m3."""
    if source == target:
        return values
    have, want = UNITS.get(source), UNITS.get(target)
    if have is None or want is None or have.kind != want.kind:
        return None
    factor = have.factor / want.factor
    offset = (have.offset - want.offset) / want.factor
    scaled = values * factor.numerator / factor.denominator
    return scaled + float(offset) if offset else scaled


def alike(unit: str) -> list[str]:
    """The units that convert to this one."""
    return [code for code, each in UNITS.items() if each.kind == UNITS[unit].kind]
