"""The substances of GB 18218-2018, table 1, with what the city needs to know of each.

Facts from memory of the standard and of a public copy with known damage: **not verified against the official text**. The table is replaceable:
`PUT /substances?correct=true` puts other figures in the place of these, and what was graded by them is graded anew.
Classes are the symbols of table 2; UN numbers and guide numbers are those of the Emergency Response Guidebook 2020 (from memory, to be verified).
"""

from __future__ import annotations

from dataclasses import dataclass

from services.worksafety.inventories.domain import BETA_BY_CAS, EDITION, by_class

SOURCE = "GB 18218-2018 table 1 (Q) and tables 3, 4 (beta); from memory and a public copy, not verified against the official text"


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
2|7783-41-7|2190|二氟化氧|Oxygen difluoride|1|J1|124|yes
3|10102-44-0|1067|二氧化氮|Nitrogen dioxide|1|J1|124|yes
4|7446-09-5|1079|二氧化硫|Sulfur dioxide|20|J3|125|yes
5|7782-41-4|1045|氟|Fluorine|1|J1|124|yes
6|75-44-5|1076|碳酰氯(光气)|Phosgene|0.3|J1|125|yes
7|75-21-8|1040|环氧乙烷|Ethylene oxide|10|J3 W2|119P|yes
8|50-00-0||甲醛(含量>90%)|Formaldehyde (above 90 %)|5|J3||
9|7803-51-2|2199|磷化氢|Phosphine|1|J1|119|yes
10|7783-06-4|1053|硫化氢|Hydrogen sulfide|5|J3 W2|117|yes
11|7647-01-0|1050|氯化氢(无水)|Hydrogen chloride (anhydrous)|20|J3|125|yes
12|7782-50-5|1017|氯|Chlorine|5|J3|124|yes
13|630-08-0|1016|煤气(CO,CO和H2、CH4的混合物等)|Coal gas (carbon monoxide and its mixtures with hydrogen, methane)|20|J3 W2|119|no
14|7784-42-1|2188|砷化氢|Arsine|1|J1|119|yes
15|7803-52-3|2676|锑化氢|Stibine|1|J1|119|yes
16|7783-07-5|2202|硒化氢|Hydrogen selenide|1|J1|117|yes
17|74-83-9|1062|溴甲烷|Methyl bromide|10|J3|123|yes
18|75-86-5|1541|丙酮氰醇|Acetone cyanohydrin|20|J2|155|
19|107-02-8|1092|丙烯醛|Acrolein|20|J2|131P|yes
20|7664-39-3|1052|氟化氢|Hydrogen fluoride|1|J1|125|yes
21|106-89-8|2023|1-氯-2,3-环氧丙烷|Epichlorohydrin|20|J5|131P|
22|3132-64-7|2558|3-溴-1,2-环氧丙烷|Epibromohydrin|20|J5|131|
23|26471-62-5|2078|甲苯二异氰酸酯|Toluene diisocyanate|100|J2|156|
24|10025-67-9|1828|一氯化硫|Sulfur monochloride|1|J5|137|
25|74-90-8|1051|氰化氢|Hydrogen cyanide|1|J1|117|no
26|7446-11-9|1829|三氧化硫|Sulfur trioxide|75|J5|137|
27|107-11-9|2334|3-氨基丙烯|Allylamine|20|J2|131|yes
28|7726-95-6|1744|溴|Bromine|20|J2|154|yes
29|151-56-4|1185|乙撑亚胺|Ethyleneimine|20|J2|131P|
30|624-83-9|2480|异氰酸甲酯|Methyl isocyanate|0.75|J4|155|yes
31|18810-58-7|0224|叠氮化钡|Barium azide|0.5|W1.1|112|
32|13424-46-9|0129|叠氮化铅|Lead azide|0.5|W1.1|112|
33|628-86-4|0135|雷汞|Mercury fulminate|0.5|W1.1|112|
34|28653-16-9|0213|三硝基苯甲醚|Trinitroanisole|5|W1.1|112|
35|118-96-7|0209|2,4,6-三硝基甲苯|2,4,6-Trinitrotoluene|5|W1.1|112|
36|55-63-0|0143|硝化甘油|Nitroglycerin|1|W1.1|112|
37|9004-70-0|0340|硝化纤维素[干的或含水(或乙醇)<25%]|Nitrocellulose (dry, or below 25 % water or ethanol)|1|W1.1|112|
38|9004-70-0|0341|硝化纤维素(未改型的,或增塑的,含增塑剂<18%)|Nitrocellulose (unmodified, or below 18 % plasticiser)|1|W1.1|112|
39|9004-70-0|2556|硝化纤维素(含乙醇≥25%)|Nitrocellulose (25 % ethanol and more)|10|W10|113|
40|9004-70-0|2557|硝化纤维素(含氮≤12.6%)|Nitrocellulose (12.6 % nitrogen at most)|50|W10|133|
41|9004-70-0|2555|硝化纤维素(含水≥25%)|Nitrocellulose (25 % water and more)|50|W10|113|
42|9004-70-0|2059|硝化纤维素溶液(含氮量≤12.6%,含硝化纤维素≤55%)|Nitrocellulose solution (55 % at most)|50|W5.3|127|
43|6484-52-2|0222|硝酸铵(含可燃物>0.2%)|Ammonium nitrate (above 0.2 % combustible)|5|W1.1|112|
44|6484-52-2|1942|硝酸铵(含可燃物≤0.2%)|Ammonium nitrate (0.2 % combustible at most)|50|W9.2|140|
45||2067|硝酸铵肥料(含可燃物≤0.4%)|Ammonium nitrate fertiliser|200|W9.2|140|
46|7757-79-1|1486|硝酸钾|Potassium nitrate|1000|W9.2|140|
47|106-99-0|1010|1,3-丁二烯|1,3-Butadiene|5|W2|116P|yes
48|115-10-6|1033|二甲醚|Dimethyl ether|50|W2|115|yes
49|74-82-8|1971|甲烷,天然气|Methane, natural gas|50|W2|115|no
50|75-01-4|1086|氯乙烯|Vinyl chloride|50|W2|116P|yes
51|1333-74-0|1049|氢|Hydrogen|5|W2|115|no
52|68476-85-7|1075|液化石油气|Liquefied petroleum gas|50|W2|115|yes
53|74-89-5|1061|一甲胺|Methylamine|5|W2|118|
54|74-86-2|1001|乙炔|Acetylene|1|W2|116|no
55|74-85-1|1962|乙烯|Ethylene|50|W2|116P|no
56|7782-44-7|1072|氧(压缩的或液化的)|Oxygen (compressed or liquefied)|200|W4|122|
57|71-43-2|1114|苯|Benzene|50|W5.3|130|
58|100-42-5|2055|苯乙烯|Styrene|500|W5.4|128P|
59|67-64-1|1090|丙酮|Acetone|500|W5.3|127|
60|107-13-1|1093|2-丙烯腈|Acrylonitrile|50|W5.3|131P|
61|75-15-0|1131|二硫化碳|Carbon disulfide|50|W5.3|131|
62|110-82-7|1145|环己烷|Cyclohexane|500|W5.3|128|
63|75-56-9|1280|1,2-环氧丙烷|Propylene oxide|10|W5.1|127P|
64|108-88-3|1294|甲苯|Toluene|500|W5.3|130|
65|67-56-1|1230|甲醇|Methanol|500|W5.3|131|
66|86290-81-5|1203|汽油(乙醇汽油、甲醇汽油)|Petrol|200|W5.3|128|
67|64-17-5|1170|乙醇|Ethanol|500|W5.3|127|
68|60-29-7|1155|乙醚|Diethyl ether|10|W5.1|127|
69|141-78-6|1173|乙酸乙酯|Ethyl acetate|500|W5.3|129|
70|110-54-3|1208|正己烷|n-Hexane|500|W5.3|128|
71|79-21-0|3105|过乙酸|Peracetic acid|10|W7.2|145|
72|1338-23-4|3101|过氧化甲基乙基酮|Methyl ethyl ketone peroxide|10|W7.1|146|
73|12185-10-3|1381|白磷|White phosphorus|50|W8|136|
74||3394|烷基铝|Aluminium alkyls|1|W8|135|
75|19624-22-7|1380|戊硼烷|Pentaborane|1|W8|135|
76|17014-71-0|1491|过氧化钾|Potassium peroxide|20|W9.1|144|
77|1313-60-6|1504|过氧化钠|Sodium peroxide|20|W9.1|144|
78|3811-04-9|1485|氯酸钾|Potassium chlorate|100|W9.2|140|
79|7775-09-9|1495|氯酸钠|Sodium chlorate|100|W9.2|140|
80|52583-42-3|2032|发烟硝酸|Fuming nitric acid|20|W9.1|157|
81|7697-37-2|2031|硝酸(发红烟的除外,含硝酸>70%)|Nitric acid (above 70 %, not red fuming)|100|W9.2|157|
82|506-93-4|1467|硝酸胍|Guanidine nitrate|50|W9.2|143|
83|75-20-7|1402|碳化钙|Calcium carbide|100|W11|138|
84|7440-09-7|2257|钾|Potassium|1|W11|138|
85|7440-23-5|1428|钠|Sodium|10|W11|138|
"""
"""Number in table 1, CAS, UN, names, Q in t, classes, guide, dense gas. For coal gas the CAS number is that of carbon monoxide, its poison."""


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
