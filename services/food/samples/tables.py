"""What the national standards allow: limits by analyte, food category and edition, each with its table.

Replaceable: only figures with `verified=True` were compared with a published copy of the standard; all others are from memory, to be verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from services.food.samples.domain import Limit, unit_of

CATEGORIES = {
    "cereal": "谷物及其制品 cereals and their products",
    "cereal.rice": "稻谷、糙米、大米 paddy, brown and polished rice",
    "cereal.maize": "玉米及其制品 maize and its products",
    "cereal.wheat": "小麦、小麦粉 wheat and flour",
    "vegetable": "新鲜蔬菜 fresh vegetables",
    "vegetable.leafy": "叶菜蔬菜 leaf vegetables",
    "vegetable.root": "根茎类蔬菜 root and stem vegetables",
    "fruit": "新鲜水果 fresh fruit",
    "fruit.apple": "苹果、山楂及其制品 apples, hawthorn and their products",
    "legume": "豆类 pulses",
    "nut.peanut": "花生及其制品 peanuts and their products",
    "oil": "油脂 fats and oils",
    "oil.peanut": "花生油、玉米油 peanut and maize oil",
    "meat": "肉及肉制品 meat and meat products",
    "meat.cooked": "熟肉制品 cooked meat products",
    "meat.offal": "畜禽内脏 offal",
    "fish": "水产动物 aquatic animals",
    "fish.predatory": "肉食性鱼类 predatory fish",
    "egg": "蛋及蛋制品 eggs and egg products",
    "dairy": "乳及乳制品 milk and dairy products",
    "dairy.raw_milk": "生乳 raw milk",
    "dairy.infant_formula": "婴儿配方食品 infant formula",
    "beverage": "饮料 beverages",
    "condiment": "调味品 condiments",
    "other": "其他 other",
}
"""Codes of food categories, after appendix A of GB 2762; a dot leads to a narrower one. Other codes may be sent; they have no limit then."""
_EDITIONS = {
    "GB 2762-2017": (date(2017, 9, 17), date(2023, 6, 30)),
    "GB 2762-2022": (date(2023, 6, 30), None),
    "GB 2761-2017": (date(2017, 9, 17), None),
    "GB 2763-2021": (date(2021, 9, 3), None),
    "GB 29921-2021": (date(2021, 11, 22), None),
    "GB 2760-2014": (date(2015, 5, 24), date(2025, 2, 8)),
    "GB 2760-2024": (date(2025, 2, 8), None),
    "卫生部公告2011年第10号": (date(2011, 4, 6), None),
}
"""From when to when each edition held. The day of GB 29921-2021 is compared with a published copy; the others are from memory, to be verified."""
_CONTENTS = """
GB 2762-2022 表1 | lead     | mg/kg | cereal 0.2, vegetable 0.1, vegetable.leafy 0.3, fruit 0.1, legume 0.2
GB 2762-2022 表1 | lead     | mg/kg | meat 0.2, meat.offal 0.5, fish 0.5, dairy.raw_milk 0.02, oil 0.08
GB 2762-2017 表1 | lead     | mg/kg | cereal 0.2, vegetable 0.1, vegetable.leafy 0.3, fruit 0.1, legume 0.2
GB 2762-2017 表1 | lead     | mg/kg | meat 0.2, meat.offal 0.5, fish 0.5, dairy.raw_milk 0.05, oil 0.1
GB 2762-2022 表2 | cadmium  | mg/kg | cereal 0.1, cereal.rice 0.2, vegetable 0.05, vegetable.leafy 0.2
GB 2762-2022 表2 | cadmium  | mg/kg | vegetable.root 0.1, fruit 0.05, legume 0.2, meat 0.1, egg 0.05
GB 2762-2017 表2 | cadmium  | mg/kg | cereal 0.1, cereal.rice 0.2, vegetable 0.05, vegetable.leafy 0.2
GB 2762-2017 表2 | cadmium  | mg/kg | vegetable.root 0.1, fruit 0.05, legume 0.2, meat 0.1, egg 0.05
GB 2762-2022 表3 | methylmercury | mg/kg | fish 0.5, fish.predatory 1.0
GB 2762-2022 表3 | mercury  | mg/kg | cereal.rice 0.02, cereal.maize 0.02, cereal.wheat 0.02, vegetable 0.01, meat 0.05, egg 0.05, dairy.raw_milk 0.01
GB 2762-2022 表4 | arsenic  | mg/kg | cereal.wheat 0.5, cereal.maize 0.5, vegetable 0.5, meat 0.5, dairy.raw_milk 0.1, oil 0.1
GB 2762-2022 表4 | inorganic_arsenic | mg/kg | cereal.rice 0.2, fish 0.5
GB 2761-2017 表1 | aflatoxin_b1 | ug/kg | cereal.maize 20, cereal.rice 10, cereal.wheat 5.0, legume 5.0
GB 2761-2017 表1 | aflatoxin_b1 | ug/kg | nut.peanut 20, oil 10, oil.peanut 20, dairy.infant_formula 0.5
GB 2761-2017 表2 | aflatoxin_m1 | ug/kg | dairy 0.5
GB 2761-2017 表3 | deoxynivalenol | ug/kg | cereal.maize 1000, cereal.wheat 1000
GB 2761-2017 表4 | patulin  | ug/kg | fruit.apple 50
GB 2761-2017 表5 | ochratoxin_a | ug/kg | cereal 5.0, legume 5.0
GB 2761-2017 表6 | zearalenone | ug/kg | cereal.wheat 60, cereal.maize 60
卫生部公告2011年第10号 | melamine | mg/kg | dairy.infant_formula 1, dairy 2.5, other 2.5
GB 2763-2021 4 | chlorpyrifos | mg/kg | vegetable.leafy 0.02, fruit.apple 1, cereal.rice 0.5
GB 2763-2021 4 | carbendazim | mg/kg | fruit.apple 5, cereal.rice 2
GB 2763-2021 4 | omethoate | mg/kg | vegetable 0.02, fruit 0.02
GB 2760-2014 表A.1 | benzoic_acid | g/kg | condiment 1.0, beverage 1.0
GB 2760-2024 表A.1 | benzoic_acid | g/kg | condiment 1.0, beverage 1.0
"""
_PLANS = """
GB 29921-2021 表1 | salmonella | /25 g | 5 0 0 0 | dairy, meat.cooked, egg
GB 29921-2021 表1 | staphylococcus_aureus | CFU/g | 5 1 100 1000 | meat.cooked
GB 29921-2021 表1 | listeria_monocytogenes | /25 g | 5 0 0 0 | meat.cooked
"""
"""Standard and table | analyte | unit | n c m M | categories; M equal to m where the plan has two classes."""
_VERIFIED = {("aflatoxin_m1", "dairy"), ("aflatoxin_b1", "nut.peanut"), ("salmonella", "dairy")}
"""Found again in published texts: 0.5 µg/kg of M1 in milk; 20 µg/kg of B1 in peanuts; Salmonella n = 5, c = 0, m = 0/25 g in modified milk."""


def _lines(table: str) -> Iterator[list[str]]:
    for line in table.strip().splitlines():
        yield [part.strip() for part in line.split("|")]


def _limits() -> Iterator[Limit]:
    for source, analyte, unit, entries in _lines(_CONTENTS):
        since, until = next(days for name, days in _EDITIONS.items() if source.startswith(name))
        for entry in entries.split(","):
            product, value = entry.split()
            yield Limit(analyte, product, Decimal(value), unit, source, since, until, verified=(analyte, product) in _VERIFIED)
    for source, analyte, unit, plan, products in _lines(_PLANS):
        since, until = next(days for name, days in _EDITIONS.items() if source.startswith(name))
        n, c, m, most = plan.split()
        for product in (each.strip() for each in products.split(",")):
            known = (analyte, product) in _VERIFIED
            yield Limit(analyte, product, Decimal(most), unit, source, since, until, int(n), int(c), Decimal(m), verified=known)


LIMITS = tuple(_limits())
DIMENSIONS: dict[str, frozenset[str]] = {
    analyte: frozenset(unit.dimension for each in LIMITS if each.analyte == analyte and (unit := unit_of(each.unit)))
    for analyte in {each.analyte for each in LIMITS}
}
"""In what dimensions the limits of an analyte are stated; a result in another cannot be held against any."""
