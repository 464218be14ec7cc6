"""What the hub shares of incidents: the incidents, and the tasks given to sectors."""

from __future__ import annotations

from typing import get_args

from services.hub.incidents.domain import Basis, State, TaskState
from services.hub.incidents.models import incidents, tasks
from services.hub.incidents.schemas import Kind
from shared.datasets.declaration import Dataset, Field, FieldType, Point
from shared.vocabulary import Sharing, Text

OWNER = Text("应急管理局", "Emergency management bureau")
LAW = "《突发事件应对法》（2024年修订）；《生产安全事故报告和调查处理条例》（国务院令第493号）"


def field(
    name: str,
    zh: str,
    en: str,
    kind: FieldType = "string",
    *,
    values: tuple[str, ...] = (),
    unit: str | None = None,
    definition: str | None = None,
    required: bool = True,
) -> Field:
    """A field whose name is its column's."""
    scale = (1, 4) if name in ("grade", "response_level", "level") else (None, None)
    return Field(
        name=name, type=kind, title=Text(zh, en), values=values, unit=unit, definition=definition, required=required, minimum=scale[0], maximum=scale[1]
    )


AREA = field("area", "区域代码", "Area code", definition="GB/T 2260, GB/T 10114")

INCIDENTS = Dataset(
    id="hub.incidents",
    title=Text("突发事件", "Incidents"),
    description=Text(
        "全市作为一件事处置的突发事件。grade 为事件等级，1 特别重大至 4 一般；response_level 为主管机关确定的响应级别，二者互不推导。",
        "What the city deals with as one. `grade` is the incident's, 1 (gravest) to 4; `response_level` is what an authority set: neither implies the other.",
    ),
    owner=OWNER,
    table=incidents,
    fields=(
        field("id", "事件标识", "Identifier"),
        field("kind", "类别", "Kind", values=get_args(Kind)),
        field("title_zh", "中文标题", "Title in Chinese"),
        field("title_en", "英文标题", "Title in English"),
        AREA,
        field("place", "地点", "Place", required=False),
        field("lon", "经度", "Longitude, WGS 84", "number", unit="deg", required=False),
        field("lat", "纬度", "Latitude, WGS 84", "number", unit="deg", required=False),
        field("exercise", "是否演练", "Whether it is an exercise", "boolean"),
        field("grade", "事件等级", "Grade, 1 to 4", "integer", definition="《突发事件应对法》"),
        field("grade_basis", "定级依据", "What the grade rests on", values=get_args(Basis)),
        field("deaths", "死亡人数", "Deaths", "integer", required=False),
        field("serious_injuries", "重伤人数", "Serious injuries", "integer", required=False),
        field("loss_cny", "直接经济损失（元）", "Direct loss, yuan", "number", required=False),
        field("people_threatened", "受威胁人数", "People threatened", "integer", required=False),
        field("response_level", "响应级别", "Response level, 1 to 4", "integer", required=False),
        field("response_authority", "确定响应级别的机关", "Authority that set the response level", required=False),
        field("state", "状态", "State", values=get_args(State)),
        field("opened_at", "开始时间", "Opened", "datetime"),
        field("closed_at", "结束时间", "Closed", "datetime", required=False),
        field("revision", "版本", "Revision", "integer"),
    ),
    time="opened_at",
    geometry=Point(),
    sharing=Sharing.CONDITIONAL,
    legal_basis=LAW,
)

TASKS = Dataset(
    id="hub.tasks",
    title=Text("处置任务", "Tasks of incidents"),
    description=Text("指挥员向各部门下达的任务及其反馈。", "What sectors were asked to do about incidents, and what they answered."),
    owner=OWNER,
    table=tasks,
    fields=(
        field("id", "任务标识", "Identifier"),
        field("incident", "事件标识", "Identifier of the incident"),
        AREA,
        field("sector", "承办部门", "Sector"),
        field("what_zh", "任务（中文）", "What, in Chinese"),
        field("what_en", "任务（英文）", "What, in English"),
        field("state", "状态", "State", values=get_args(TaskState)),
        field("assigned_at", "下达时间", "Assigned", "datetime"),
        field("due_at", "时限", "Due", "datetime", required=False),
        field("answered_at", "反馈时间", "Last answered", "datetime", required=False),
    ),
    time="assigned_at",
    sharing=Sharing.CONDITIONAL,
    legal_basis=LAW,
)
