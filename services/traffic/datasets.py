"""What the traffic service shares: roads, what is measured on them, what happens and what is closed."""

from __future__ import annotations

from datetime import timedelta

from services.traffic.detectors.schemas import MEASURED
from services.traffic.incidents.schemas import KINDS, SEVERITIES
from services.traffic.models import adjacency, closures, detectors, incidents, networks, roads
from shared.datasets.declaration import Dataset, Field, FieldType, Join, Point, Shape
from shared.series import HOURLY, observations, series
from shared.vocabulary import Sharing, Text

OWNER = Text("交通运输局", "Bureau of Transport")
LAW = "《道路交通安全法》第三十九条；《公路法》第三十二条；《政务数据共享条例》（国务院令第809号）"
"""Road Traffic Safety Law, article 39 (restrictions are announced); Highway Law, article 32; State Council Decree 809."""
UNITS = "; ".join(f"{each.code}: {each.unit}" for each in MEASURED.properties)
AREA = "GB/T 2260, GB/T 10114"
KERNEL = "Y. Li et al., DCRNN, ICLR 2018 (arXiv:1707.01926): exp(-d²/σ²) of the distance along the roads, left out below a threshold"


def _field(
    name: str, zh: str, en: str, kind: FieldType = "string", *, column: str | None = None, unit: str | None = None, required: bool = True, **others: object
) -> Field:
    return Field(name=name, type=kind, title=Text(zh, en), column=column, unit=unit, required=required, **others)  # type: ignore[arg-type]


def _point(prefix: str = "") -> tuple[Field, Field]:
    return (
        _field("lon", "经度", "Longitude, WGS 84", "number", column=f"{prefix}lon", unit="deg", required=False),
        _field("lat", "纬度", "Latitude, WGS 84", "number", column=f"{prefix}lat", unit="deg", required=False),
    )


NETWORKS = Dataset(
    id="traffic.networks",
    title=Text("现行路网", "The road network in force"),
    description=Text(
        "为路径计算所用的路网版本；known_at 可查某时刻所用版本。不含转向限制、路障、分时及限重限高限制、公交专用道。",
        "The network that answers for routes; known_at says which one did at a moment. Turn restrictions, barriers, restrictions by time, weight or height and "
        "bus lanes are not modelled.",
    ),
    owner=OWNER,
    table=networks,
    fields=(
        _field("version", "版本", "Version: digest of the content"),
        _field("source", "来源与许可", "Source and licence"),
        _field("form", "格式", "Form of the file"),
        _field("nodes", "节点数", "Nodes", "integer"),
        _field("arcs", "弧数", "Arcs: each direction is one", "integer"),
        _field("length_km", "总长", "Length of all arcs", "number", unit="km"),
        _field("notes", "说明", "Notes", required=False),
        _field("area", "区域代码", "Area code", definition=AREA),
    ),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

ROADS = Dataset(
    id="traffic.roads",
    title=Text("道路（现行路网的弧）", "Roads: the arcs of the network in force"),
    description=Text(
        "每个行驶方向为一条弧，约每 200 米及在路口处断开。car_s 为畅通时小汽车通行时间，siren_s 为救护车鸣笛通行时间。",
        "Each direction is an arc, cut at junctions and about every 200 m. car_s: a car on the free road; siren_s: an ambulance with siren.",
    ),
    owner=OWNER,
    table=roads,
    fields=(
        _field("id", "编号", "Id"),
        _field("from_node", "起点", "Node where it begins"),
        _field("to_node", "终点", "Node where it ends"),
        _field("way", "来源编号", "Way of the source", required=False),
        _field("name", "名称", "Name", required=False),
        _field("road_class", "等级", "Class", required=False, definition="OpenStreetMap wiki, Key:highway"),
        _field("length_m", "长度", "Length", "number", unit="m"),
        _field("car_s", "小汽车用时", "Time of a car on the free road", "number", unit="s"),
        _field("siren_s", "鸣笛用时", "Time of an ambulance with siren", "number", unit="s"),
        _field("lanes", "车道数", "Lanes of the way", "integer", required=False),
        _field("area", "区域代码", "Area code", definition=AREA),
    ),
    geometry=Shape(),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

DETECTORS = Dataset(
    id="traffic.detectors",
    title=Text("交通检测器", "Traffic detectors"),
    description=Text("检测器的名称、道路与位置。", "Detectors: name, road and place."),
    owner=OWNER,
    table=detectors,
    key="code",
    fields=(
        _field("code", "代码", "Code"),
        _field("name_zh", "中文名", "Name in Chinese", required=False),
        _field("name_en", "英文名", "Name in English", required=False),
        _field("road", "道路", "Road", required=False),
        _field("timezone", "时区", "IANA zone in which it counts its days"),
        _field("area", "区域代码", "Area code", definition=AREA),
        *_point(),
    ),
    geometry=Point(),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

ADJACENCY = Dataset(
    id="traffic.adjacency",
    title=Text("检测器邻接权重", "Adjacency of detectors"),
    description=Text(
        "检测器带权邻接矩阵的非零元素：沿道路距离越近权重越大。未列出的检测器对没有关系；往返两个方向各为一行。",
        "The cells of the weighted adjacency matrix of detectors that are not zero: the nearer along the roads, the greater. Pairs that are not listed have no "
        "relation; the way there and the way back are a row each.",
    ),
    owner=OWNER,
    table=adjacency,
    fields=(
        _field("id", "编号", "Id: both codes"),
        _field("from_detector", "起点检测器代码", "Code of the detector where it begins"),
        _field("to_detector", "终点检测器代码", "Code of the detector where it ends"),
        _field("weight", "权重", "Weight", "number", unit="1", minimum=0, maximum=1, definition=KERNEL),
        _field("area", "起点检测器的区域代码", "Area code of the detector where it begins", definition=AREA),
    ),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

OBSERVATIONS = Dataset(
    id="traffic.observations",
    title=Text("交通流数据", "What detectors measured"),
    description=Text(
        "各检测器的速度、流量与占有率。时间为统计时段起点；质量标记按 IOC 54-3：1 好，2 未评估，3 可疑，4 差。",
        "Speed, volume and occupancy at the detectors. The time is the beginning of the interval; quality flags follow IOC Manuals and Guides 54-3: 1 good, "
        "2 not evaluated, 3 suspect, 4 bad.",
    ),
    owner=OWNER,
    table=observations,
    key=("series", "time"),
    joins=(Join(name="series", table=series, on=("series", "id")),),
    fields=(
        _field("detector", "检测器代码", "Code of the detector", column="series.feature"),
        _field("property", "检测项目", "What is measured", column="series.property", values=tuple(MEASURED.by_code)),
        _field("unit", "计量单位（UCUM）", "Unit of the values, UCUM", column="series.unit", definition=UNITS),
        _field("time", "时间", "Beginning of the interval, or the instant", "datetime"),
        _field("value", "数值", "Value, in the unit of the property", "number"),
        _field("quality", "质量标记", "Quality flag", "integer", definition="IOC Manuals and Guides 54, volume 3"),
        _field("interval_s", "统计时段", "Length of the interval", "integer", column="series.interval_s", unit="s", required=False),
        _field("area", "区域代码", "Area code", column="series.area", definition=AREA),
        *_point("series."),
    ),
    time="time",
    geometry=Point(lon="series.lon", lat="series.lat"),
    freshness=timedelta(minutes=15),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
    rollup=HOURLY,
)

INCIDENTS = Dataset(
    id="traffic.incidents",
    title=Text("交通事件", "Incidents on roads"),
    description=Text(
        "交通事故与其他道路事件；严重程度按 KABCO 五级。无任何当事人信息。",
        "Crashes and other events on roads; severity on the KABCO scale. Nothing of the persons involved.",
    ),
    owner=Text("公安局交通警察支队", "Traffic Police of the Public Security Bureau"),
    table=incidents,
    fields=(
        _field("id", "编号", "Id: registry and number"),
        _field("registry", "登记机构", "Who gave the number"),
        _field("number", "登记号", "Number"),
        _field("kind", "类别", "Kind", values=KINDS),
        _field(
            "severity", "最重伤情", "Worst injury", values=SEVERITIES, definition="KABCO: K fatal, A serious, B minor, C possible, O none (ANSI D16, MMUCC)"
        ),
        _field("occurred_at", "发生时间", "When it happened", "datetime"),
        _field("cleared_at", "清除时间", "When the road was clear again", "datetime", required=False),
        _field("road_class", "道路类别", "Class of the road in the registry's code", required=False),
        _field("pedestrian", "涉及行人", "Whether somebody on foot was involved", "boolean", required=False),
        _field("cyclist", "涉及自行车", "Whether somebody on a bicycle was involved", "boolean", required=False),
        _field("area", "区域代码", "Area code", definition=AREA),
        *_point(),
    ),
    time="occurred_at",
    geometry=Point(),
    legal_basis=LAW,
)

CLOSURES = Dataset(
    id="traffic.closures",
    title=Text("道路封闭", "Closures"),
    description=Text(
        "封闭的道路或区域：人工设置，或随危险品泄漏影响范围自动设置、修订与解除。",
        "Closed roads and areas: by people, or by the outline of a release, with which they are revised and end.",
    ),
    owner=Text("公安局交通警察支队", "Traffic Police of the Public Security Bureau"),
    table=closures,
    fields=(
        _field("id", "编号", "Id"),
        _field("revision", "修订号", "Revision", "integer"),
        _field("reason", "原因", "Reason", values=("release", "incident", "works", "event", "weather", "other")),
        _field("note", "说明", "Note", required=False),
        _field("begins_at", "开始", "From", "datetime"),
        _field("ends_at", "计划结束", "Until, as planned", "datetime", required=False),
        _field("ended_at", "实际结束", "When it ended", "datetime", required=False),
        _field("regarding", "所属", "What it belongs to: releases/<id> or incidents/<id>", required=False),
        _field("arcs", "封闭弧数", "How many arcs of the network it closed", "integer"),
        _field("network", "路网版本", "Version of that network", required=False),
        _field("area", "区域代码", "Area code", definition=AREA),
    ),
    time="begins_at",
    geometry=Shape(),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)
