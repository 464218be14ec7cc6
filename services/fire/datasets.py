"""What the fire service shares: calls for service, and the responses of units."""

from __future__ import annotations

from datetime import timedelta

from services.fire.calls.domain import GOOD, KINDS, PRIORITIES, SUSPECT, UNIT_KINDS
from services.fire.incidents.domain import STATES as INCIDENT_STATES
from services.fire.models import calls, hydrants, incidents, responses, stations, unit_positions, unit_status, units
from services.fire.stations.domain import HYDRANT_KINDS, STATES, STATION_KINDS, STATION_STATES
from shared.datasets.declaration import Dataset, Field, FieldType, Join, Point
from shared.vocabulary import Text

OWNER = Text("消防救援支队", "Fire and rescue brigade")
LAW = "《消防法》第四十四条（报警与接警出动）；《政务数据共享条例》（国务院令第809号）"
"""Fire Protection Law, article 44 (calls and turnout); State Council Decree 809."""
QUALITY = f"{GOOD} good; {SUSPECT} suspect, times out of order (IOC Manuals and Guides 54, volume 3)"


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
    minimum: float | None = None,
    required: bool = False,
) -> Field:
    return Field(name=name, type=kind, title=Text(zh, en), column=column, unit=unit, values=values, definition=definition, minimum=minimum, required=required)


def _call(prefix: str = "") -> tuple[Field, ...]:
    """What a call is and where; columns of the joined call where there is a prefix."""
    return (
        _field("kind", "警情类型", "Kind of call", column=f"{prefix}kind", values=KINDS, required=True),
        _field("priority", "优先级", "Priority", column=f"{prefix}priority", values=PRIORITIES, required=True),
        _field("received_at", "接警时间", "When the call came in", "datetime", column=f"{prefix}received_at", required=True),
        _field("area", "区域代码", "Area code", column=f"{prefix}area", definition="GB/T 2260, GB/T 10114", required=True),
        _field("lon", "经度", "Longitude, WGS 84", "number", column=f"{prefix}lon", unit="deg"),
        _field("lat", "纬度", "Latitude, WGS 84", "number", column=f"{prefix}lat", unit="deg"),
    )


def _quality() -> Field:
    return Field(name="quality", type="integer", title=Text("质量标记", "Quality flag"), definition=QUALITY, minimum=GOOD, maximum=SUSPECT, required=True)


CALLS = Dataset(
    id="fire.calls",
    title=Text("接警记录", "Calls for service"),
    description=Text(
        "每行一次接警。响应时间自接警至首个力量到场。位置精确到街区；不含报警人信息。",
        "One row for each call. The response time runs from the receipt of the call to the first unit on scene. "
        "The place is that of the block or street; nothing about the caller.",
    ),
    owner=OWNER,
    table=calls,
    fields=(
        _field("id", "警情标识", "Identifier: registry and number", required=True),
        _field("registry", "登记机构", "Registry that gave the number", required=True),
        _field("number", "警情编号", "Number of the call within the registry", required=True),
        _field("incident", "事件编号", "Number of the incident"),
        *_call(),
        _field("alarms", "报警级数", "Number of alarms", "integer", unit="1", minimum=1),
        _field("entered_at", "录入时间", "When it was entered for dispatch", "datetime"),
        _field("dispatched_at", "首次派出时间", "When the first unit was dispatched", "datetime"),
        _field("on_scene_at", "首个力量到场时间", "When the first unit was on scene", "datetime"),
        _field("closed_at", "全部力量归队时间", "When the last unit was available again", "datetime"),
        _field("units", "出动力量数", "Number of units that responded", "integer", unit="1", minimum=0, required=True),
        _field("handling_s", "处警用时", "From receipt to the first dispatch", "number", unit="s", minimum=0, definition="NFPA 1225 (2022), call processing"),
        _field("response_s", "响应时间", "From receipt to the first unit on scene", "number", unit="s", minimum=0),
        _quality(),
    ),
    time="received_at",
    geometry=Point(),
    freshness=timedelta(hours=1),
    legal_basis=LAW,
)

RESPONSES = Dataset(
    id="fire.responses",
    title=Text("出动记录", "Responses of units"),
    description=Text(
        "每行一个力量对一次警情的出动：各时刻及用时。时刻先后颠倒的，质量标记为 3，其间用时为空。",
        "One row for each unit's response to a call: its moments and how long it took. Moments out of order are flagged 3, "
        "and the duration between them is null.",
    ),
    owner=OWNER,
    table=responses,
    joins=(Join(name="calls", table=calls, on=("call", "id")),),
    fields=(
        _field("id", "出动标识", "Identifier: call and unit", required=True),
        _field("call", "警情标识", "Identifier of the call", required=True),
        _field("unit", "力量编号", "Unit", required=True),
        _field("unit_kind", "力量类型", "Kind of unit", values=UNIT_KINDS, required=True),
        *_call("calls."),
        _field("dispatched_at", "派出时间", "Dispatched", "datetime", required=True),
        _field("en_route_at", "出动时间", "En route", "datetime"),
        _field("on_scene_at", "到场时间", "On scene", "datetime"),
        _field("transport_at", "转运时间", "Leaving for a hospital", "datetime"),
        _field("hospital_at", "到院时间", "At the hospital", "datetime"),
        _field("available_at", "归队时间", "Available again", "datetime"),
        _field("turnout_s", "出动准备用时", "Dispatched to en route", "number", unit="s", minimum=0, definition="NFPA 1710 (2020), turnout time"),
        _field("travel_s", "行驶用时", "En route to on scene", "number", unit="s", minimum=0, definition="NFPA 1710 (2020), travel time"),
        _field("response_s", "响应时间", "Receipt of the call to this unit on scene", "number", unit="s", minimum=0),
        _quality(),
    ),
    time="dispatched_at",
    geometry=Point(lon="calls.lon", lat="calls.lat"),
    freshness=timedelta(hours=1),
    legal_basis=LAW,
)


def _place() -> tuple[Field, ...]:
    return (
        _field("area", "区域代码", "Area code", definition="GB/T 2260, GB/T 10114", required=True),
        _field("lon", "经度", "Longitude, WGS 84", "number", unit="deg"),
        _field("lat", "纬度", "Latitude, WGS 84", "number", unit="deg"),
    )


INCIDENTS = Dataset(
    id="fire.incidents",
    title=Text("警情事件", "Incidents"),
    description=Text(
        "每行一个事件：同类、同地、同时的多次接警合为一个；各时刻由出动力量的状态得出。",
        "One row for each incident: calls alike in kind, time and place are one. Its moments follow from the states of the units that were sent.",
    ),
    owner=OWNER,
    table=incidents,
    fields=(
        _field("id", "事件标识", "Identifier (ULID)", required=True),
        _field("kind", "警情类型", "Kind", values=KINDS, required=True),
        _field("priority", "优先级", "Priority", values=PRIORITIES, required=True),
        _field("state", "状态", "State", values=INCIDENT_STATES, required=True),
        _field("opened_at", "开始时间", "When the first call or report came in", "datetime", required=True),
        _field("closed_at", "结束时间", "When all units were free again", "datetime"),
        *_place(),
        _field("release", "泄漏标识", "The release that it is about"),
        _field("calls", "接警数", "Number of calls", "integer", unit="1", minimum=0, required=True),
        _field("units", "出动力量数", "Number of units that were sent", "integer", unit="1", minimum=0, required=True),
        _field("dispatched_at", "首次派出时间", "When the first unit was dispatched", "datetime"),
        _field("on_scene_at", "首个力量到场时间", "When the first unit was on scene", "datetime"),
        _field("assembled_at", "首批力量全部到场时间", "When the whole first assignment was on scene", "datetime"),
        _field("response_s", "响应时间", "Opened to the first unit on scene", "number", unit="s", minimum=0),
        _field("assembly_s", "首批集结用时", "First dispatch to the whole first assignment on scene", "number", unit="s", minimum=0),
    ),
    time="opened_at",
    geometry=Point(),
    freshness=timedelta(hours=1),
    legal_basis=LAW,
)

STATIONS = Dataset(
    id="fire.stations",
    title=Text("消防站与医疗点", "Stations and facilities"),
    description=Text(
        "消防站、急救站、医院。发布者为模型而虚设的站注明 artificial，已停用的注明 closed。",
        "Fire stations, ambulance stations, hospitals. Stations that a publisher made up for a model are `artificial`, those no longer used `closed`.",
    ),
    owner=OWNER,
    table=stations,
    key="code",
    fields=(
        _field("code", "代码", "Code", required=True),
        _field("kind", "类型", "Kind", values=STATION_KINDS, required=True),
        _field("status", "状况", "Status", values=STATION_STATES, required=True),
        _field("name_zh", "中文名称", "Name in Chinese"),
        _field("name_en", "外文名称", "Name in another language"),
        _field("address", "地址", "Address"),
        _field("vehicles", "车位数", "Vehicles that it has room for", "integer", unit="1", minimum=0),
        _field("note", "备注", "The publisher's note"),
        *_place(),
    ),
    geometry=Point(),
    legal_basis=LAW,
)

UNITS = Dataset(
    id="fire.units",
    title=Text("出动力量", "Units"),
    description=Text(
        "车辆及其车组，不含个人：状态、所属站、最近位置。过去的位置不保存，回溯查询时位置为空。",
        "Vehicles with their crews, no persons: state, home station, newest position. Past positions are not kept: as of a past moment they are null.",
    ),
    owner=OWNER,
    table=units,
    key="code",
    joins=(Join(name="status", table=unit_status, on=("code", "unit")), Join(name="position", table=unit_positions, on=("code", "unit"))),
    fields=(
        _field("code", "代码", "Code", required=True),
        _field("kind", "类型", "Kind", values=UNIT_KINDS, required=True),
        _field("station", "所属站", "Home station"),
        _field("name_zh", "中文名称", "Name in Chinese"),
        _field("name_en", "外文名称", "Name in another language"),
        _field("capabilities", "能力", "Capabilities, words separated by commas", required=True),
        _field("area", "区域代码", "Area code of its home", definition="GB/T 2260, GB/T 10114", required=True),
        _field("state", "状态", "State", column="status.state", values=STATES),
        _field("state_at", "状态起始时间", "Since when", "datetime", column="status.state_at"),
        _field("incident", "所在事件", "Incident that it is assigned to", column="status.incident"),
        _field("lon", "经度", "Longitude of the newest position, WGS 84", "number", column="position.lon", unit="deg"),
        _field("lat", "纬度", "Latitude of the newest position, WGS 84", "number", column="position.lat", unit="deg"),
        _field("position_at", "定位时间", "When it was there", "datetime", column="position.at"),
    ),
    geometry=Point(lon="position.lon", lat="position.lat"),
    freshness=timedelta(minutes=10),
    legal_basis=LAW,
)

HYDRANTS = Dataset(
    id="fire.hydrants",
    title=Text("消防水源", "Hydrants"),
    description=Text("消火栓及其他取水点。流量未知的为空。", "Hydrants and other places to take water from. The flow is null where it is unknown."),
    owner=OWNER,
    table=hydrants,
    key="code",
    fields=(
        _field("code", "代码", "Code", required=True),
        _field("kind", "类型", "Kind", values=HYDRANT_KINDS, required=True),
        _field("flow_l_s", "流量", "Flow", "number", unit="L/s", minimum=0),
        _field("in_service", "可用", "Whether it can be used", "boolean", required=True),
        _field("note", "备注", "The publisher's note"),
        *_place(),
    ),
    geometry=Point(),
    legal_basis="《消防法》第二十八条、第二十九条（消火栓与公共消防设施）；《政务数据共享条例》（国务院令第809号）",
)
