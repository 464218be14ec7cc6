"""The demo city's areas: Xiangtan in Hunan, its districts and functional zones, its towns and streets.

Codes and names are those of the statistical division of 2023 (GB/T 2260 and GB/T 10114 codes at their own length).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CITY = "430300"
AREAS = (
    ("cn", "nation", None, "中国", "China"),
    ("43", "province", "cn", "湖南省", "Hunan"),
    ("4301", "city", "43", "长沙市", "Changsha"),
    ("4302", "city", "43", "株洲市", "Zhuzhou"),
    ("4303", "city", "43", "湘潭市", "Xiangtan"),
    ("430302", "district", "4303", "雨湖区", "Yuhu District"),
    ("430304", "district", "4303", "岳塘区", "Yuetang District"),
    ("430321", "district", "4303", "湘潭县", "Xiangtan County"),
    ("430371", "district", "4303", "湖南湘潭高新技术产业园区", "Xiangtan High-tech Zone"),
    ("430372", "district", "4303", "湘潭昭山示范区", "Zhaoshan Demonstration Zone"),
    ("430373", "district", "4303", "湘潭九华示范区", "Jiuhua Demonstration Zone"),
    ("430381", "district", "4303", "湘乡市", "Xiangxiang"),
    ("430382", "district", "4303", "韶山市", "Shaoshan"),
)
FUNCTIONAL = frozenset(("430371", "430372", "430373"))
"""Zones that have a code but no territory of their own."""
TOWNS = {
    "430302": """
        001 雨湖路街道  002 城正街街道  003 云塘街道  004 广场街道  005 窑湾街道  006 昭潭街道  007 万楼街道
        008 先锋街道  100 鹤岭镇  101 楠竹山镇  102 姜畲镇  202 长城乡
    """,
    "430304": """
        001 岳塘街道  002 东坪街道  004 书院路街道  005 下摄司街道  006 建设路街道  008 五里堆街道  010 宝塔街道
        014 霞城街道  015 荷塘街道
    """,
    "430321": """
        100 易俗河镇  102 谭家山镇  103 中路铺镇  104 茶恩寺镇  105 河口镇  106 射埠镇  107 花石镇  108 青山桥镇
        109 石鼓镇  111 云湖桥镇  112 石潭镇  113 杨嘉桥镇  114 乌石镇  115 白石镇  202 分水乡  203 排头乡  205 锦石乡
    """,
    "430371": """
        001 板塘街道  002 双马街道
    """,
    "430372": """
        100 昭山镇
    """,
    "430373": """
        001 和平街道  002 九华街道  200 响水乡
    """,
    "430381": """
        001 望春门街道  002 新湘路街道  003 昆仑桥街道  004 东山街道  100 山枣镇  101 栗山镇  102 中沙镇  103 虞唐镇
        104 潭市镇  105 棋梓镇  106 壶天镇  107 翻江镇  108 金石镇  109 白田镇  110 月山镇  111 泉塘镇  112 梅桥镇
        113 毛田镇  114 龙洞镇  200 东郊乡  202 金薮乡  203 育塅乡
    """,
    "430382": """
        100 清溪镇  101 银田镇  200 韶山乡  203 杨林乡
    """,
}
"""By district: three digits and the name of each town or street."""


def demo_areas() -> Iterator[dict[str, Any]]:
    """Rows for the hub's `PUT /areas`, parents first."""
    for code, level, parent, zh, en in AREAS:
        kind = "functional" if code in FUNCTIONAL else "administrative"
        yield {"code": code, "level": level, "parent": parent, "name_zh": zh, "name_en": en, "kind": kind}
    for district, towns in TOWNS.items():
        words = towns.split()
        for digits, zh in zip(words[::2], words[1::2], strict=True):
            yield {"code": district + digits, "level": "town", "parent": district, "name_zh": zh, "kind": "administrative"}
