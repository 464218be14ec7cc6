"""The substances of GB 18218-2018, table 1, that cities store most, with what the city needs to know of each.

Facts from memory of the standard: **not verified against the official text**. The rest of the table is loaded from a file (mapping `gb18218-substances`).
All of it is replaceable: `PUT /substances?correct=true` puts other figures in the place of these, and what was graded by them is graded anew.
Classes are the symbols of table 2; UN numbers and guide numbers are those of the Emergency Response Guidebook 2020 (from memory, to be verified).
"""

from __future__ import annotations

from dataclasses import dataclass

from services.worksafety.inventories.domain import BETA_BY_CAS, EDITION, by_class

SOURCE = "GB 18218-2018 table 1 (Q) and tables 3, 4 (beta); from memory, not verified against the official text"


@dataclass(frozen=True, slots=True)
class Known:
    """A substance of table 1."""

    number: int
    """In table 1."""
    cas: str | None
    un: str | None
    name_zh: str
    name_en: str
    critical_t: float
    """Q in tonnes."""
    classes: tuple[str, ...]
    guide: str | None
    dense_gas: bool | None

    @property
    def code(self) -> str:
        return f"gb18218-{self.number}"

    @property
    def beta(self) -> float:
        """Of table 3 by name, else of table 4 by class."""
        by_symbol = by_class(self.classes)
        return BETA_BY_CAS.get(self.cas or "") or (by_symbol[1] if by_symbol else 1.0)

    def row(self) -> dict[str, object]:
        """As the table of substances keeps it."""
        stated = {name: getattr(self, name) for name in ("code", "cas", "un", "name_zh", "name_en", "critical_t", "beta", "guide", "dense_gas")}
        return stated | {"classes": list(self.classes), "edition": EDITION, "source": SOURCE}


_TABLE_1 = """
1|7664-41-7|1005|氨|Ammonia|10|J3|125|yes
4|7446-09-5|1079|二氧化硫|Sulfur dioxide|20|J3|125|yes
6|75-44-5|1076|碳酰氯(光气)|Phosgene|0.3|J1|125|yes
7|75-21-8|1040|环氧乙烷|Ethylene oxide|10|J3 W2|119P|yes
10|7783-06-4|1053|硫化氢|Hydrogen sulfide|5|J3 W2|117|yes
11|7647-01-0|1050|氯化氢(无水)|Hydrogen chloride (anhydrous)|20|J3|125|yes
12|7782-50-5|1017|氯|Chlorine|5|J3|124|yes
13|630-08-0|1016|煤气(CO,CO和H2、CH4的混合物等)|Coal gas (carbon monoxide and its mixtures with hydrogen, methane)|20|J3 W2|119|no
20|7664-39-3|1052|氟化氢|Hydrogen fluoride|1|J1|125|yes
25|74-90-8|1051|氰化氢|Hydrogen cyanide|1|J1|117|no
30|624-83-9|2480|异氰酸甲酯|Methyl isocyanate|0.75|J4|155|yes
43|6484-52-2|0222|硝酸铵(含可燃物>0.2%)|Ammonium nitrate (above 0.2 % combustible)|5|W1.1|112|
44|6484-52-2|1942|硝酸铵(含可燃物≤0.2%)|Ammonium nitrate (0.2 % combustible at most)|50|W9.2|140|
45||2067|硝酸铵肥料(含可燃物≤0.4%)|Ammonium nitrate fertiliser|200|W9.2|140|
46|7757-79-1|1486|硝酸钾|Potassium nitrate|1000|W9.2|140|
49|74-82-8|1971|甲烷,天然气|Methane, natural gas|50|W2|115|no
50|75-01-4|1086|氯乙烯|Vinyl chloride|50|W2|116P|yes
51|1333-74-0|1049|氢|Hydrogen|5|W2|115|no
52|68476-85-7|1075|液化石油气|Liquefied petroleum gas|50|W2|115|yes
54|74-86-2|1001|乙炔|Acetylene|1|W2|116|no
55|74-85-1|1962|乙烯|Ethylene|50|W2|116P|no
57|71-43-2|1114|苯|Benzene|50|W5.3|130|
59|67-64-1|1090|丙酮|Acetone|500|W5.3|127|
61|75-15-0|1131|二硫化碳|Carbon disulfide|50|W5.3|131|
64|108-88-3|1294|甲苯|Toluene|500|W5.3|130|
65|67-56-1|1230|甲醇|Methanol|500|W5.3|131|
66|86290-81-5|1203|汽油(乙醇汽油、甲醇汽油)|Petrol|200|W5.3|128|
67|64-17-5|1170|乙醇|Ethanol|500|W5.3|127|
73|12185-10-3|1381|白磷|White phosphorus|50|W8|136|
"""
"""Number in table 1, CAS, UN, names, Q in t, classes, guide, dense gas. For coal gas the CAS number is that of carbon monoxide, its poison."""


_REST = """
2|2190|J1|124|yes
3|1067|J1|124|yes
5|1045|J1|124|yes
8||J3||
9|2199|J1|119|yes
14|2188|J1|119|yes
15|2676|J1|119|yes
16|2202|J1|117|yes
17|1062|J3|123|yes
18|1541|J2|155|
19|1092|J2|131P|yes
21|2023|J5|131P|
22|2558|J5|131|
23|2078|J2|156|
24|1828|J5|137|
26|1829|J5|137|
27|2334|J2|131|yes
28|1744|J2|154|yes
29|1185|J2|131P|
31|0224|W1.1|112|
32|0129|W1.1|112|
33|0135|W1.1|112|
34|0213|W1.1|112|
35|0209|W1.1|112|
36|0143|W1.1|112|
37|0340|W1.1|112|
38|0341|W1.1|112|
39|2556|W10|113|
40|2557|W10|133|
41|2555|W10|113|
42|2059|W5.3|127|
47|1010|W2|116P|yes
48|1033|W2|115|yes
53|1061|W2|118|
56|1072|W4|122|
58|2055|W5.4|128P|
60|1093|W5.3|131P|
62|1145|W5.3|128|
63|1280|W5.1|127P|
68|1155|W5.1|127|
69|1173|W5.3|129|
70|1208|W5.3|128|
71|3105|W7.2|145|
72|3101|W7.1|146|
74|3394|W8|135|
75|1380|W8|135|
76|1491|W9.1|144|
77|1504|W9.1|144|
78|1485|W9.2|140|
79|1495|W9.2|140|
80|2032|W9.1|157|
81|2031|W9.2|157|
82|1467|W9.2|143|
83|1402|W11|138|
84|2257|W11|138|
85|1428|W11|138|
"""
"""The other numbers of table 1, whose names and Q come with a file: UN, classes, guide, dense gas. By number."""


def _read(line: str) -> Known:
    number, cas, un, zh, en, critical, classes, guide, dense = line.split("|")
    return Known(int(number), cas or None, un or None, zh, en, float(critical), tuple(classes.split()), guide or None, dense == "yes" if dense else None)


SUBSTANCES = tuple(map(_read, _TABLE_1.strip().splitlines()))
BY_CODE = {each.code: each for each in SUBSTANCES}
BY_CAS = {each.cas: each for each in reversed(SUBSTANCES) if each.cas}
"""Where several entries of table 1 share a number (nitrocellulose, ammonium nitrate), the first."""
BY_UN = {each.un: each for each in reversed(SUBSTANCES) if each.un}
SHARED_CAS = frozenset(each.cas for each in SUBSTANCES if each.cas and sum(other.cas == each.cas for other in SUBSTANCES) > 1)
"""Numbers that do not say which entry is meant."""


def _hint(line: str) -> tuple[str, dict[str, object]]:
    number, un, classes, guide, dense = line.split("|")
    figures: dict[str, object] = {"un": un or None, "classes": classes.split(), "guide": guide or None, "dense_gas": dense == "yes" if dense else None}
    return f"gb18218-{number}", figures


HINTS = dict(map(_hint, _REST.strip().splitlines()))
"""By code: what a file with names and Q alone leaves open."""
