"""What the environment service shares: stations, their values, days made of them, and outlines of releases."""

from __future__ import annotations

from datetime import timedelta

from services.env.models import StationKind, outlines, stations
from services.env.observations.schemas import AIR
from shared.datasets.declaration import Dataset, Field, FieldType, Join, Point, Shape
from shared.series import HOURLY, observations, observations_daily, series
from shared.vocabulary import Sharing, Text

OWNER = Text("生态环境局", "Bureau of Ecology and Environment")
LAW = "《环境保护法》第十七条、第五十四条；《大气污染防治法》第二十三条；《政务数据共享条例》（国务院令第809号）"
"""Environmental Protection Law, articles 17 and 54 (monitoring, disclosure); Air Pollution Law, article 23; State Council Decree 809."""
PROPERTIES = tuple(AIR.by_code)
UNITS = "; ".join(f"{each.code}: {each.unit}" for each in AIR.properties)


def _field(
    name: str,
    zh: str,
    en: str,
    kind: FieldType = "string",
    *,
    column: str | None = None,
    unit: str | None = None,
    values: tuple[str, ...] = (),
    definition: str | None = None,
    required: bool = True,
) -> Field:
    return Field(name=name, type=kind, title=Text(zh, en), column=column, unit=unit, values=values, definition=definition, required=required)


def _place(prefix: str = "") -> tuple[Field, ...]:
    """Where a row is; columns of the joined series where there is a prefix."""
    return (
        _field("area", "区域代码", "Area code", column=f"{prefix}area", definition="GB/T 2260, GB/T 10114"),
        _field("lon", "经度", "Longitude, WGS 84", "number", column=f"{prefix}lon", unit="deg", required=False),
        _field("lat", "纬度", "Latitude, WGS 84", "number", column=f"{prefix}lat", unit="deg", required=False),
    )


def _measured(prefix: str = "") -> tuple[Field, ...]:
    return (
        _field("station", "测站代码", "Code of the station", column=f"{prefix}feature"),
        _field("station_name", "测站名称", "Name of the station in Chinese", column=f"{prefix}name_zh", required=False),
        _field("station_name_en", "测站英文名", "Name of the station in English", column=f"{prefix}name_en", required=False),
        _field("property", "监测项目", "What is measured", column=f"{prefix}property", values=PROPERTIES),
        _field("unit", "计量单位（UCUM）", "Unit of the values, UCUM", column=f"{prefix}unit", definition=UNITS),
    )


STATIONS = Dataset(
    id="env.stations",
    title=Text("监测站点", "Monitoring stations"),
    description=Text("大气与水环境监测站点：名称、类别、位置和区域。", "Stations that monitor air and water: name, kind, place and area."),
    owner=OWNER,
    table=stations,
    key="code",
    fields=(
        _field("code", "测站代码", "Code"),
        _field("name_zh", "中文名", "Name in Chinese", required=False),
        _field("name_en", "英文名", "Name in English", required=False),
        _field("kind", "类别", "Kind", values=tuple(StationKind)),
        _field("timezone", "时区", "IANA zone in which the station counts its days"),
        *_place(),
    ),
    geometry=Point(),
    freshness=timedelta(days=1),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

OBSERVATIONS = Dataset(
    id="env.observations",
    title=Text("监测数据", "Observations"),
    description=Text(
        "各测站各项目的监测值。时间为统计时段的起点（瞬时值则为该时刻）；质量标记按 IOC 54-3：1 好，2 未评估，3 可疑，4 差。",
        "Values measured at the stations. The time is the beginning of the interval, or the instant; quality flags follow IOC Manuals and Guides 54-3: "
        "1 good, 2 not evaluated, 3 suspect, 4 bad.",
    ),
    owner=OWNER,
    table=observations,
    key=("series", "time"),
    joins=(Join(name="series", table=series, on=("series", "id")),),
    fields=(
        *_measured("series."),
        _field("time", "时间", "Beginning of the interval, or the instant", "datetime"),
        _field("value", "数值", "Value, in the unit of the property", "number"),
        _field("quality", "质量标记", "Quality flag", "integer", definition="IOC Manuals and Guides 54, volume 3"),
        _field("interval_s", "统计时段", "Length of the interval", "integer", column="series.interval_s", unit="s", required=False),
        _field("recorded_by", "记录者", "Who recorded it"),
        *_place("series."),
    ),
    time="time",
    geometry=Point(lon="series.lon", lat="series.lat"),
    freshness=timedelta(hours=2),
    standards=("GB 3095-2012",),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
    rollup=HOURLY,
)

DAILY = Dataset(
    id="env.daily",
    title=Text("监测日值", "Daily values"),
    description=Text(
        "各测站各项目按当地自然日统计：有效小时数、有效小时均值的平均、最小值、最大值。日均值有效需至少 20 个有效小时（GB 3095-2012 表 4）："
        "用 hours >= 20 筛选。日均 PM2.5 超过 75 ug/m3 的站日：property = 'pm25' AND mean > 75。",
        "Each station and property by local day: number of valid hours, mean of the valid hourly means, minimum and maximum. A daily mean is valid from "
        "20 valid hours (GB 3095-2012, table 4): filter with hours >= 20. Station-days with PM2.5 above 75 ug/m3: property = 'pm25' AND mean > 75.",
    ),
    owner=OWNER,
    table=observations_daily,
    key=("series", "date"),
    fields=(
        *_measured(),
        _field("date", "日期", "Day in the station's zone", "date"),
        _field("time", "当日零时", "Beginning of that day", "datetime", column="day"),
        _field("hours", "有效小时数", "Valid hours", "integer", definition="GB 3095-2012, table 4: 45 minutes make an hour, 20 hours a day"),
        _field("mean", "日均值", "Mean of the valid hourly means, in the unit of the property", "number"),
        _field("min", "最小值", "Least value of the day, in the unit of the property", "number"),
        _field("max", "最大值", "Greatest value of the day, in the unit of the property", "number"),
        *_place(),
    ),
    time="time",
    geometry=Point(),
    freshness=timedelta(days=1),
    standards=("GB 3095-2012",),
    derived_from=("env.observations",),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

OUTLINES = Dataset(
    id="env.outlines",
    title=Text("泄漏影响范围", "Outlines of releases"),
    description=Text(
        "每起泄漏的最新影响范围：ERG 距离或高斯烟羽；早先修订见历史（known_at）。",
        "The newest outline of each release, by guidebook distances or Gaussian plume; earlier revisions are in the history (known_at).",
    ),
    owner=OWNER,
    table=outlines,
    key="release",
    fields=(
        _field("release", "泄漏标识", "Identifier of the release"),
        _field("revision", "修订号", "Revision", "integer"),
        _field("substance", "CAS 号", "CAS registry number", required=False),
        _field("method", "方法", "Method", values=("erg-isolation", "gaussian-plume"), required=False),
        _field("source", "出处", "Edition and table, or paper and equation", required=False),
        _field("valid", "方法是否适用", "Whether the method holds", "boolean", required=False),
        _field("isolation_m", "初始隔离距离", "Initial isolation distance", "number", unit="m", required=False),
        _field("protective_m", "防护距离", "Protective action distance downwind", "number", unit="m", required=False),
        _field("wind_from_deg", "风向", "Direction the wind comes from", "number", unit="deg", required=False),
        _field("wind_speed_m_s", "风速", "Wind speed", "number", unit="m/s", required=False),
        _field("stability", "稳定度", "Pasquill class", values=tuple("ABCDEF"), required=False),
        _field("computed_at", "计算时间", "When it was computed", "datetime", required=False),
        _field("lifted_at", "解除时间", "When it was lifted", "datetime", required=False),
        *_place(),
    ),
    time="computed_at",
    geometry=Shape(),
    freshness=timedelta(minutes=1),
    irregular=True,
    derived_from=("worksafety.releases",),
    legal_basis=LAW,
)
