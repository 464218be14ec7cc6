"""Distances of the Emergency Response Guidebook, and concentrations that harm, each with its source.

All figures are from memory of ERG 2020 (PHMSA, Transport Canada, SICT, CIQUIME; unchanged in ERG 2024 as far as is known) and **to be verified against the
printed tables**. Replace `TABLE_1` and `TABLE_3` with a verified edition and name it in `EDITION`.
"""

from __future__ import annotations

from services.env.outlines.domain import Container, Neutral, Spill

EDITION = "ERG 2020"
UNVERIFIED = "figures from memory, to be verified"
SMALL_KG = 200.0
"""Up to here a spill is small. The guidebook draws the line at 208 L: 200 kg is about that of water, and on the safe side for heavier liquids."""
GUIDE_ISOLATION_M = 100.0
"""Where no table has the substance: the isolation that most orange guides ask for at once (50 to 100 m)."""
GUIDE_PROTECTIVE_M = 800.0
"""Where no table has the substance: the evacuation of most orange guides for a tank in a fire."""


TABLE_1: dict[str, tuple[Spill, Spill | None]] = {
    "1005": (Spill(30, 0.1, 0.2), None),
    "1008": (Spill(30, 0.1, 0.7), Spill(400, 2.2, 4.8)),
    "1016": (Spill(30, 0.1, 0.2), Spill(200, 1.2, 4.4)),
    "1017": (Spill(60, 0.3, 1.1), None),
    "1040": (Spill(30, 0.1, 0.2), None),
    "1045": (Spill(30, 0.1, 0.2), Spill(100, 0.5, 2.2)),
    "1050": (Spill(30, 0.1, 0.3), None),
    "1051": (Spill(60, 0.2, 0.9), Spill(300, 1.1, 2.4)),
    "1052": (Spill(30, 0.1, 0.4), None),
    "1053": (Spill(30, 0.1, 0.4), Spill(400, 2.1, 5.4)),
    "1062": (Spill(30, 0.1, 0.1), Spill(150, 0.3, 0.7)),
    "1067": (Spill(30, 0.1, 0.4), Spill(400, 1.2, 3.0)),
    "1076": (Spill(100, 0.6, 2.5), Spill(500, 3.0, 9.0)),
    "1079": (Spill(100, 0.7, 2.2), None),
    "1092": (Spill(100, 1.3, 3.4), Spill(500, 6.1, 11.0)),
    "2186": (Spill(30, 0.1, 0.3), None),
    "2188": (Spill(150, 1.0, 3.8), Spill(1000, 5.6, 8.9)),
    "2199": (Spill(60, 0.3, 1.1), Spill(300, 1.3, 3.8)),
    "2480": (Spill(150, 1.7, 5.7), Spill(1000, 11.0, 11.0)),
}
"""UN number: small spill, large spill; no large one where table 3 has it. 11 km stands for the guidebook's "11+"."""
TABLE_3: dict[str, tuple[Container, ...]] = {
    "1005": (
        Container(30_000, "rail tank car", 300, (1.9, 1.5, 1.1), (4.5, 2.5, 1.4)),
        Container(3_000, "highway tank truck or trailer", 150, (0.9, 0.5, 0.4), (2.0, 0.8, 0.6)),
        Container(1_000, "agricultural nurse tank", 60, (0.5, 0.3, 0.3), (1.4, 0.3, 0.3)),
        Container(0, "multiple small cylinders", 30, (0.3, 0.2, 0.1), (0.7, 0.3, 0.2)),
    ),
    "1017": (
        Container(30_000, "rail tank car", 1000, (9.9, 6.4, 5.1), (11.0, 9.0, 6.7)),
        Container(3_000, "highway tank truck or trailer", 600, (5.8, 3.4, 2.9), (6.7, 5.0, 4.1)),
        Container(1_000, "multiple ton cylinders", 300, (2.1, 1.3, 1.0), (4.0, 2.4, 1.3)),
        Container(0, "multiple small cylinders or single ton cylinder", 150, (1.5, 0.8, 0.5), (2.9, 1.3, 0.6)),
    ),
    "1040": (
        Container(30_000, "rail tank car", 200, (1.6, 0.8, 0.7), (3.3, 1.4, 0.8)),
        Container(3_000, "highway tank truck or trailer", 100, (0.9, 0.5, 0.4), (2.0, 0.7, 0.4)),
        Container(0, "multiple small cylinders or single ton cylinder", 30, (0.4, 0.2, 0.1), (0.9, 0.3, 0.2)),
    ),
    "1050": (
        Container(30_000, "rail tank car", 500, (3.7, 2.0, 1.7), (9.9, 3.4, 2.3)),
        Container(3_000, "highway tank truck or trailer", 200, (1.5, 0.8, 0.6), (3.8, 1.5, 0.8)),
        Container(1_000, "multiple ton cylinders", 30, (0.4, 0.2, 0.1), (1.1, 0.3, 0.2)),
        Container(0, "multiple small cylinders or single ton cylinder", 30, (0.3, 0.2, 0.1), (0.9, 0.3, 0.2)),
    ),
    "1052": (
        Container(30_000, "rail tank car", 400, (3.1, 1.9, 1.6), (6.1, 2.9, 1.9)),
        Container(3_000, "highway tank truck or trailer", 200, (1.9, 1.0, 0.9), (3.4, 1.6, 0.9)),
        Container(0, "multiple small cylinders or single ton cylinder", 100, (0.8, 0.4, 0.3), (1.6, 0.5, 0.3)),
    ),
    "1079": (
        Container(30_000, "rail tank car", 1000, (11.0, 11.0, 7.0), (11.0, 11.0, 9.8)),
        Container(3_000, "highway tank truck or trailer", 1000, (11.0, 5.8, 5.0), (11.0, 8.0, 6.1)),
        Container(1_000, "multiple ton cylinders", 500, (5.2, 2.4, 1.8), (7.5, 4.0, 2.8)),
        Container(0, "multiple small cylinders or single ton cylinder", 200, (3.1, 1.5, 1.1), (5.6, 2.4, 1.5)),
    ),
}
TABLE_3["2186"] = TABLE_3["1050"]
UN_OF_CAS = {
    "7664-41-7": "1005",
    "7637-07-2": "1008",
    "630-08-0": "1016",
    "7782-50-5": "1017",
    "75-21-8": "1040",
    "7782-41-4": "1045",
    "7647-01-0": "1050",
    "74-90-8": "1051",
    "7664-39-3": "1052",
    "7783-06-4": "1053",
    "74-83-9": "1062",
    "10102-44-0": "1067",
    "75-44-5": "1076",
    "7446-09-5": "1079",
    "107-02-8": "1092",
    "7784-42-1": "2188",
    "7803-51-2": "2199",
    "624-83-9": "2480",
}


_AEGL = "AEGL-2, 60 min (US EPA; National Research Council, Acute Exposure Guideline Levels), from memory, to be verified"
NEUTRAL: dict[str, Neutral] = {
    "630-08-0": Neutral(28.01, 83, _AEGL),
    "74-90-8": Neutral(27.03, 7.1, _AEGL),
}
"""By CAS number. Released as a gas at the temperature of the air, these are within a tenth of its density."""
DENSE = frozenset(UN_OF_CAS) - frozenset(NEUTRAL)
"""Dense by molar mass, or as the cold aerosol of a gas liquefied under pressure (ammonia): no Gaussian plume."""
