"""Towns and streets of Xiangtan in Hunan: codes and names of the statistical division of 2023 (GB/T 10114), romanised by GB/T 16159."""

from __future__ import annotations

TOWNS = {
    "430302": """
        001 雨湖路街道 Yuhulu  002 城正街街道 Chengzhengjie  003 云塘街道 Yuntang  004 广场街道 Guangchang  005 窑湾街道 Yaowan
        006 昭潭街道 Zhaotan  007 万楼街道 Wanlou  008 先锋街道 Xianfeng  100 鹤岭镇 Heling  101 楠竹山镇 Nanzhushan  102 姜畲镇 Jiangshe
        202 长城乡 Changcheng
    """,
    "430304": """
        001 岳塘街道 Yuetang  002 东坪街道 Dongping  004 书院路街道 Shuyuanlu  005 下摄司街道 Xiashesi  006 建设路街道 Jianshelu
        008 五里堆街道 Wulidui  010 宝塔街道 Baota  014 霞城街道 Xiacheng  015 荷塘街道 Hetang
    """,
    "430321": """
        100 易俗河镇 Yisuhe  102 谭家山镇 Tanjiashan  103 中路铺镇 Zhonglupu  104 茶恩寺镇 Cha'ensi  105 河口镇 Hekou  106 射埠镇 Shebu
        107 花石镇 Huashi  108 青山桥镇 Qingshanqiao  109 石鼓镇 Shigu  111 云湖桥镇 Yunhuqiao  112 石潭镇 Shitan  113 杨嘉桥镇 Yangjiaqiao
        114 乌石镇 Wushi  115 白石镇 Baishi  202 分水乡 Fenshui  203 排头乡 Paitou  205 锦石乡 Jinshi
    """,
    "430371": """
        001 板塘街道 Bantang  002 双马街道 Shuangma
    """,
    "430372": """
        100 昭山镇 Zhaoshan
    """,
    "430373": """
        001 和平街道 Heping  002 九华街道 Jiuhua  200 响水乡 Xiangshui
    """,
    "430381": """
        001 望春门街道 Wangchunmen  002 新湘路街道 Xinxianglu  003 昆仑桥街道 Kunlunqiao  004 东山街道 Dongshan  100 山枣镇 Shanzao
        101 栗山镇 Lishan  102 中沙镇 Zhongsha  103 虞唐镇 Yutang  104 潭市镇 Tanshi  105 棋梓镇 Qizi  106 壶天镇 Hutian  107 翻江镇 Fanjiang
        108 金石镇 Jinshi  109 白田镇 Baitian  110 月山镇 Yueshan  111 泉塘镇 Quantang  112 梅桥镇 Meiqiao  113 毛田镇 Maotian  114 龙洞镇 Longdong
        200 东郊乡 Dongjiao  202 金薮乡 Jinsou  203 育塅乡 Yuduan
    """,
    "430382": """
        100 清溪镇 Qingxi  101 银田镇 Yintian  200 韶山乡 Shaoshan  203 杨林乡 Yanglin
    """,
}
"""By district: three digits, the name of each town or street, and its romanised name without the kind."""
