"""What the work-safety service shares: enterprises, sites, units and their grades, inventories, sensors, releases, accidents."""

from __future__ import annotations

from datetime import timedelta

from services.worksafety.inventories.domain import CLASSES, EDITION
from services.worksafety.models import accidents, enterprises, grades, inventories, outlines, releases, sensors, sites, substances, units
from services.worksafety.sensors.schemas import SAFETY
from shared.datasets.declaration import Dataset, Field, FieldType, Join, Point
from shared.series import HOURLY, observations, series
from shared.vocabulary import DataGrade, Sharing, Text

OWNER = Text("应急管理局", "Bureau of Emergency Management")
LAW = "《安全生产法》第四十条；《危险化学品安全管理条例》第二十五条；《政务数据共享条例》（国务院令第809号）"
"""Work Safety Law, article 40 (major hazard sources are registered); Decree 591, article 25; State Council Decree 809."""
UNITS = "; ".join(f"{each.code}: {each.unit}" for each in SAFETY.properties)


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
    grade: DataGrade | None = None,
) -> Field:
    return Field(name=name, type=kind, title=Text(zh, en), column=column, unit=unit, values=values, definition=definition, required=required, grade=grade)


def _place(prefix: str = "", *, point: bool = True) -> tuple[Field, ...]:
    """Where a row is; columns of a joined table where there is a prefix."""
    area = _field("area", "区域代码", "Area code", column=f"{prefix}area", definition="GB/T 2260, GB/T 10114")
    if not point:
        return (area,)
    return (
        area,
        _field("lon", "经度", "Longitude, WGS 84", "number", column=f"{prefix}lon", unit="deg", required=False),
        _field("lat", "纬度", "Latitude, WGS 84", "number", column=f"{prefix}lat", unit="deg", required=False),
    )


def _registered() -> tuple[Field, ...]:
    return (
        _field("id", "标识", "Identifier: registry and number"),
        _field("registry", "登记机构", "Registry that gave the number"),
        _field("number", "编号", "Number within the registry"),
    )


AT_SITE = Join(name="site", table=sites, on=("site", "id"))
SITE_POINT = Point(lon="site.lon", lat="site.lat")

ENTERPRISES = Dataset(
    id="worksafety.enterprises",
    title=Text("生产经营单位", "Enterprises"),
    description=Text("危险化学品等生产经营单位。不含个人信息。", "Enterprises that work with dangerous goods. Nothing about persons."),
    owner=OWNER,
    table=enterprises,
    fields=(
        *_registered(),
        _field("name", "名称", "Name"),
        _field("industry", "行业代码", "Industry", required=False, definition="GB/T 4754"),
        _field("address", "地址", "Address", required=False),
        *_place(point=False),
    ),
    freshness=timedelta(days=31),
    legal_basis=LAW,
)
SITES = Dataset(
    id="worksafety.sites",
    title=Text("场所", "Sites"),
    description=Text("企业的厂区、库区，及其边界外 500 米范围内常住人口。", "Plants and depots, with the permanent population within 500 m of the boundary."),
    owner=OWNER,
    table=sites,
    fields=(
        *_registered(),
        _field("enterprise", "企业标识", "Identifier of the enterprise", required=False),
        _field("name", "名称", "Name"),
        _field("address", "地址", "Address", required=False),
        _field("exposed", "周边常住人口", "Permanent population within 500 m", "integer", required=False, definition=f"{EDITION}, table 5"),
        *_place(),
    ),
    geometry=Point(),
    freshness=timedelta(days=31),
    legal_basis=LAW,
)
UNITS_OF_SITES = Dataset(
    id="worksafety.units",
    title=Text("单元", "Units of sites"),
    description=Text("按 GB 18218-2018 单独辨识分级的生产单元和储存单元。", "Production and storage units, each graded by itself (GB 18218-2018)."),
    owner=OWNER,
    table=units,
    joins=(AT_SITE,),
    fields=(
        _field("id", "标识", "Identifier: site and number"),
        _field("site", "场所标识", "Identifier of the site"),
        _field("number", "编号", "Number within the site"),
        _field("name", "名称", "Name"),
        _field("kind", "类别", "Kind", values=("production", "storage")),
        *_place("site."),
    ),
    geometry=SITE_POINT,
    freshness=timedelta(days=31),
    legal_basis=LAW,
)
SUBSTANCES = Dataset(
    id="worksafety.substances",
    title=Text("危险化学品", "Dangerous substances"),
    description=Text(
        "辨识分级所用的临界量、校正系数及其出处；未与标准正式文本核对。",
        "Critical quantities and corrections that grading uses, with their source; not verified against the official text of the standard.",
    ),
    owner=OWNER,
    table=substances,
    key="code",
    fields=(
        _field("code", "代码", "Code"),
        _field("cas", "CAS 号", "CAS registry number", required=False),
        _field("un", "联合国编号", "UN number", required=False),
        _field("name_zh", "中文名", "Name in Chinese"),
        _field("name_en", "英文名", "Name in English", required=False),
        _field("critical_t", "临界量", "Critical quantity Q", "number", unit="t", definition=f"{EDITION}, tables 1 and 2"),
        _field("beta", "校正系数 β", "Correction beta", "number", unit="1", definition=f"{EDITION}, tables 3 and 4; classes {', '.join(CLASSES)}"),
        _field("guide", "ERG 指南号", "Guide of the Emergency Response Guidebook", required=False),
        _field("dense_gas", "重气", "Whether its cloud hugs the ground", "boolean", required=False),
        _field("edition", "标准版本", "Edition"),
        _field("source", "出处", "Source of the figures"),
    ),
    area=None,
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)
INVENTORIES = Dataset(
    id="worksafety.inventories",
    title=Text("储存量", "Inventories"),
    description=Text("各单元所存危险化学品；数量为重要数据。", "What each unit holds; quantities are important data."),
    owner=OWNER,
    table=inventories,
    joins=(AT_SITE, Join(name="substance", table=substances, on=("substance", "code"))),
    fields=(
        _field("id", "标识", "Identifier: unit and substance"),
        _field("unit", "单元标识", "Identifier of the unit"),
        _field("site", "场所标识", "Identifier of the site"),
        _field("substance", "物质代码", "Code of the substance"),
        _field("cas", "CAS 号", "CAS registry number", column="substance.cas", required=False),
        _field("name_zh", "中文名", "Name in Chinese", column="substance.name_zh"),
        _field("name_en", "英文名", "Name in English", column="substance.name_en", required=False),
        _field("q_design", "设计最大量", "Design maximum", "number", unit="t", definition=f"{EDITION}, 4.2.2", grade=DataGrade.IMPORTANT),
        _field("q_now", "现存量", "There now", "number", unit="t", required=False, grade=DataGrade.IMPORTANT),
        _field("counted_at", "盘点时间", "When it was counted", "datetime", required=False, grade=DataGrade.IMPORTANT),
        *_place("site."),
    ),
    geometry=SITE_POINT,
    freshness=timedelta(days=1),
    legal_basis=LAW,
)
GRADES = Dataset(
    id="worksafety.grades",
    title=Text("重大危险源分级", "Grades of major hazard sources"),
    description=Text("各单元的 S、α、R 与级别（一级最重）。", "S, alpha, R and grade of each unit (1 gravest)."),
    owner=OWNER,
    table=grades,
    key="unit",
    joins=(AT_SITE,),
    fields=(
        _field("unit", "单元标识", "Identifier of the unit"),
        _field("site", "场所标识", "Identifier of the site"),
        _field("identified", "是否重大危险源", "Whether it is a major hazard source", "boolean", definition=f"{EDITION}, eq. (1)"),
        _field("s", "S", "Sum of q/Q", "number", unit="1", grade=DataGrade.IMPORTANT),
        _field("alpha", "α", "Correction for the people exposed", "number", unit="1"),
        _field("r", "R", "Index of the grade", "number", unit="1", definition=f"{EDITION}, eq. (2)", grade=DataGrade.IMPORTANT),
        _field("grade", "级别", "Grade", "integer", required=False, definition=f"{EDITION}, table 6"),
        _field("edition", "标准版本", "Edition"),
        *_place("site."),
    ),
    geometry=SITE_POINT,
    freshness=timedelta(days=31),
    legal_basis=LAW,
)
SENSORS = Dataset(
    id="worksafety.sensors",
    title=Text("传感器", "Sensors"),
    description=Text("场所内的气体、压力、液位、温度传感器及其报警值。", "Sensors for gas, pressure, level and temperature at sites, with their alarms."),
    owner=OWNER,
    table=sensors,
    key="code",
    joins=(AT_SITE,),
    fields=(
        _field("code", "代码", "Code"),
        _field("site", "场所标识", "Identifier of the site"),
        _field("property", "测量项目", "What is measured", values=tuple(SAFETY.by_code), definition=UNITS),
        _field("name", "名称", "Name", required=False),
        _field("cas", "所测气体 CAS 号", "CAS number of the gas", required=False),
        _field("alarm_low", "一级报警值", "First alarm", "number", required=False, definition="GB/T 50493-2019"),
        _field("alarm_high", "二级报警值", "Second alarm", "number", required=False, definition="GB/T 50493-2019"),
        *_place("site."),
    ),
    geometry=SITE_POINT,
    freshness=timedelta(days=31),
    legal_basis=LAW,
)
OBSERVATIONS = Dataset(
    id="worksafety.observations",
    title=Text("传感器监测数据", "Sensor values"),
    description=Text("各传感器的测值；时间为该时刻。", "Values of the sensors; times are instants."),
    owner=OWNER,
    table=observations,
    key=("series", "time"),
    joins=(Join(name="series", table=series, on=("series", "id")),),
    fields=(
        _field("sensor", "传感器代码", "Code of the sensor", column="series.feature"),
        _field("property", "测量项目", "What is measured", column="series.property", values=tuple(SAFETY.by_code)),
        _field("unit", "计量单位（UCUM）", "Unit of the values, UCUM", column="series.unit", definition=UNITS),
        _field("time", "时间", "Time", "datetime"),
        _field("value", "数值", "Value, in the unit of the property", "number"),
        _field("quality", "质量标记", "Quality flag", "integer", definition="IOC Manuals and Guides 54, volume 3"),
        *_place("series."),
    ),
    time="time",
    geometry=Point(lon="series.lon", lat="series.lat"),
    freshness=timedelta(minutes=5),
    legal_basis=LAW,
    rollup=HOURLY,
)
RELEASES = Dataset(
    id="worksafety.releases",
    title=Text("泄漏", "Releases"),
    description=Text("报告的泄漏，当前修订；早先修订见历史。", "Reported releases, as they stand; earlier revisions are in the history."),
    owner=OWNER,
    table=releases,
    joins=(Join(name="outline", table=outlines, on=("id", "release")),),
    fields=(
        _field("id", "标识", "Identifier"),
        _field("revision", "修订号", "Revision", "integer"),
        _field("site", "场所标识", "Identifier of the site", required=False),
        _field("substance", "CAS 号", "CAS registry number"),
        _field("un", "联合国编号", "UN number", required=False),
        _field("name_zh", "中文名", "Name in Chinese"),
        _field("name_en", "英文名", "Name in English"),
        _field("rate_kg_s", "泄漏速率", "Mass flow", "number", unit="kg/s", required=False),
        _field("amount_kg", "可能泄漏总量", "All that may escape", "number", unit="kg", required=False),
        _field("began_at", "开始时间", "When it began", "datetime"),
        _field("ended_at", "结束时间", "When it ended", "datetime", required=False),
        _field("outline_method", "影响范围方法", "Method of the newest outline", column="outline.method", required=False),
        _field("isolation_m", "初始隔离距离", "Initial isolation distance", "number", column="outline.isolation_m", unit="m", required=False),
        _field("protective_m", "防护距离", "Protective action distance downwind", "number", column="outline.protective_m", unit="m", required=False),
        *_place(),
    ),
    time="began_at",
    geometry=Point(),
    freshness=timedelta(minutes=1),
    irregular=True,
    legal_basis=LAW,
)
ACCIDENTS = Dataset(
    id="worksafety.accidents",
    title=Text("生产安全事故", "Work accidents"),
    description=Text(
        "公开的事故记录及叙述；有伤亡或损失数字的，按国务院令第493号分级。", "Public records of accidents; graded by Decree 493 where figures are known."
    ),
    owner=OWNER,
    table=accidents,
    fields=(
        *_registered(),
        _field("title", "标题", "Title"),
        _field("narrative", "经过", "Narrative", required=False),
        _field("happened_on", "日期", "Day", "date", required=False),
        _field("industry", "行业代码", "Industry", required=False),
        _field("injury", "伤害", "Injury", required=False),
        _field("occupation", "职业", "Occupation", required=False),
        _field("cause", "原因", "Cause", required=False),
        _field("fall_m", "坠落高度", "Height of the fall", "number", unit="m", required=False),
        _field("deaths", "死亡人数", "Deaths", "integer", required=False),
        _field("serious_injuries", "重伤人数", "Serious injuries", "integer", required=False),
        _field("loss_cny", "直接经济损失（元）", "Direct loss, yuan", "number", required=False),
        _field("grade", "事故等级", "Grade", "integer", required=False, definition="State Council Decree 493, article 3"),
        *_place(),
    ),
    geometry=Point(),
    freshness=timedelta(days=31),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)
