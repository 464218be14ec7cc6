"""What the food service shares: premises and inspections, laboratories and tests, lots and their movements, notices and recalls."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import get_args

from services.food.inspections.domain import RISKS
from services.food.inspections.schemas import InspectionKind
from services.food.laboratories.schemas import LaboratoryKind
from services.food.lots.domain import KINDS
from services.food.models import (
    findings,
    inspections,
    laboratories,
    lots,
    movements,
    notices,
    premises,
    recall_lots,
    recall_premises,
    recalls,
    samples,
    tests,
)
from services.food.premises.schemas import PremisesKind
from services.food.recalls.domain import GRADES
from services.food.samples.domain import VERDICTS
from shared.datasets.declaration import Dataset, Field, FieldType, Join, Point
from shared.vocabulary import Sharing, Text

OWNER = Text("市场监督管理局", "Administration for Market Regulation")
LAW = "《食品安全法》第一百一十三条、第一百一十八条；《政务数据共享条例》（国务院令第809号）"
"""Food Safety Law, articles 113 (credit files of producers and sellers) and 118 (unified publication); State Council Decree 809."""
TRACING_LAW = "《食品安全法》第四十二条、第五十条、第五十三条（追溯、查验记录）；《政务数据共享条例》（国务院令第809号）"
"""Food Safety Law, articles 42, 50 and 53: traceability, records of purchase and sale."""
RECALL_LAW = "《食品安全法》第六十三条；《食品召回管理办法》；《政务数据共享条例》（国务院令第809号）"
"""Food Safety Law, article 63; Measures for the Administration of Food Recall."""
_shared = partial(Dataset, owner=OWNER)
AT_PREMISES = (Join(name="premises", table=premises, on=("premises", "id")),)


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
    limits: tuple[float, float] | None = None,
    required: bool = True,
) -> Field:
    low, high = limits or (None, None)
    return Field(
        name=name,
        type=kind,
        title=Text(zh, en),
        column=column,
        unit=unit,
        values=values,
        definition=definition,
        minimum=low,
        maximum=high,
        required=required,
    )


def _place(prefix: str = "") -> tuple[Field, ...]:
    """Where the premises are; columns of the joined premises where there is a prefix."""
    return (
        _field("area", "区域代码", "Area code", column=f"{prefix}area", definition="GB/T 2260, GB/T 10114"),
        _field("lon", "经度", "Longitude, WGS 84", "number", column=f"{prefix}lon", unit="deg", limits=(-180, 180), required=False),
        _field("lat", "纬度", "Latitude, WGS 84", "number", column=f"{prefix}lat", unit="deg", limits=(-90, 90), required=False),
    )


def _product() -> Field:
    return _field("product", "食品类别", "Food category", definition="services/food/samples/tables.py, CATEGORIES")


def _numbered(what_zh: str, what_en: str) -> tuple[Field, ...]:
    return (
        _field("id", f"{what_zh}标识", f"Identifier of the {what_en}: registry and number"),
        _field("registry", "登记机构", "Registry that gave the numbers"),
        _field("number", f"{what_zh}编号", f"Number of the {what_en} within the registry"),
    )


PREMISES = _shared(
    id="food.premises",
    title=Text("食品生产经营场所", "Food premises"),
    description=Text(
        "生产、贮存、供应或销售食品的场所。坐标缺失时，区域为已知的最粗一级。不含经营者个人信息。",
        "Places where food is made, stored, served or sold. Without coordinates the area is the finest that is known. Nothing about persons.",
    ),
    table=premises,
    fields=(
        *_numbered("场所", "premises"),
        _field("name", "名称", "Name"),
        _field("kind", "类别", "Kind", values=get_args(PremisesKind), required=False),
        _field("address", "地址", "Address", required=False),
        _field("postal_code", "邮政编码", "Postal code as the registry has it", required=False),
        *_place(),
    ),
    geometry=Point(),
    freshness=timedelta(days=31),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

INSPECTIONS = _shared(
    id="food.inspections",
    title=Text("食品安全监督检查", "Food safety inspections"),
    description=Text(
        "每行一次检查。来源只有日期时，时间为当地该日零时。只有部分检查评分。是否不合格按 edition 所列规则判定。",
        "One row for each inspection. Where the source gives only the day, the time is its local beginning. Only some kinds of inspection give a score. "
        "`failed` follows from the score and the findings by the rule that `edition` names.",
    ),
    table=inspections,
    joins=AT_PREMISES,
    fields=(
        *_numbered("检查", "inspection"),
        _field("premises", "场所标识", "Identifier of the premises"),
        _field("premises_name", "场所名称", "Name of the premises", column="premises.name"),
        _field("inspected_at", "检查时间", "When it took place", "datetime"),
        _field("kind", "检查类型", "Kind", values=get_args(InspectionKind)),
        _field("score", "评分", "Score, of 100", "number", unit="1", limits=(0, 100), required=False),
        _field("failed", "是否不合格", "Whether it failed", "boolean"),
        _field("edition", "判定规则", "Rule that judged it", required=False, definition="services/food/inspections/domain.py, RULES"),
        *_place("premises."),
    ),
    time="inspected_at",
    geometry=Point(lon="premises.lon", lat="premises.lat"),
    freshness=timedelta(days=31),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

FINDINGS = _shared(
    id="food.findings",
    title=Text("检查发现问题", "Findings of inspections"),
    description=Text(
        "每行一项违规。来源未指明检查时，归于同一场所同一时间的检查；没有这样的检查则 inspection 为空。",
        "One row for each violation. Where the source names no inspection, it belongs to the one of the same premises and time; "
        "if there is none, `inspection` is null.",
    ),
    table=findings,
    joins=AT_PREMISES,
    fields=(
        *_numbered("问题", "finding"),
        _field("premises", "场所标识", "Identifier of the premises"),
        _field("inspection", "检查标识", "Identifier of the inspection", required=False),
        _field("found_at", "发现时间", "When it was found", "datetime"),
        _field("code", "违规代码", "What was violated, in the registry's own code"),
        _field("risk", "风险", "Risk", values=RISKS),
        _field("description", "描述", "Description", required=False),
        *_place("premises."),
    ),
    time="found_at",
    geometry=Point(lon="premises.lon", lat="premises.lat"),
    freshness=timedelta(days=31),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

LABORATORIES = _shared(
    id="food.laboratories",
    title=Text("食品检验机构", "Food laboratories"),
    description=Text("检验食品的机构及其资质认定、认可的编号和有效期。", "Who tests food, with number and last day of its CMA and CNAS accreditations."),
    table=laboratories,
    fields=(
        *_numbered("机构", "laboratory"),
        _field("name", "名称", "Name"),
        _field("kind", "类别", "Kind: agency, university, enterprise, third party", values=get_args(LaboratoryKind)),
        _field("cma", "资质认定证书编号", "Number of its CMA certificate", required=False),
        _field("cma_until", "资质认定有效期至", "Last day of the CMA certificate", "date", required=False),
        _field("cnas", "认可编号", "Number of its CNAS accreditation", required=False, definition="CNAS-CL01 (ISO/IEC 17025)"),
        _field("cnas_until", "认可有效期至", "Last day of the CNAS accreditation", "date", required=False),
        *_place(),
    ),
    geometry=Point(),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

SAMPLES = _shared(
    id="food.samples",
    title=Text("食品抽样", "Food samples"),
    description=Text("每行一份样品：何时、何地、何种食品、依何计划抽取。", "One row for each sample: what was taken, when, where and by which programme."),
    table=samples,
    fields=(
        *_numbered("样品", "sample"),
        _product(),
        _field("name", "名称", "Name", required=False),
        _field("premises", "场所标识", "Premises where it was taken", required=False),
        _field("lot", "批次标识", "Lot it was taken from", required=False),
        _field("programme", "抽检计划", "Programme by which it was taken", required=False),
        _field("taken_at", "抽样时间", "When it was taken", "datetime"),
        _field("made_on", "生产日期", "Day on which the food was made", "date", required=False),
        *_place(),
    ),
    time="taken_at",
    geometry=Point(),
    freshness=timedelta(days=31),
    legal_basis=LAW,
)

TESTS = _shared(
    id="food.tests",
    title=Text("食品检验结果", "Tests of food samples"),
    description=Text(
        "每行为一份样品中一项分析物的检验。result 为原报告值；amount 与 limit_value 以 limit_unit 计。"
        "source 为判定所依标准及表，注明是否已核对。superseded 表示已由复检取代。",
        "One row for each analyte of a sample. `result` is as reported; `amount` and `limit_value` are in `limit_unit`. `source` is the standard "
        "and table of the limit and says whether the figure is verified. `superseded`: a retest took its place.",
    ),
    table=tests,
    joins=(Join(name="taken", table=samples, on=("sample", "id")),),
    fields=(
        *_numbered("检验", "test"),
        _field("sample", "样品标识", "Sample"),
        _field("laboratory", "机构标识", "Laboratory"),
        _field("product", "食品类别", "Food category", column="taken.product", definition="services/food/samples/tables.py, CATEGORIES"),
        _field("premises", "场所标识", "Premises where the sample was taken", column="taken.premises", required=False),
        _field("lot", "批次标识", "Lot of the sample", column="taken.lot", required=False),
        _field("taken_at", "抽样时间", "When the sample was taken", "datetime", column="taken.taken_at"),
        _field("analyte", "分析物", "Analyte"),
        _field("method", "方法", "Method", required=False),
        _field("result", "报告结果", "Result as reported; sample units with ; between"),
        _field("unit", "报告单位", "Unit as reported"),
        _field("detection_limit", "检出限", "Detection limit, in that unit", required=False),
        _field("uncertainty", "扩展不确定度", "Expanded uncertainty (k = 2), in that unit", required=False),
        _field("tested_at", "检验时间", "When it was tested", "datetime"),
        _field("retest_of", "所复检的检验", "Test that it takes the place of", required=False),
        _field("superseded", "已被复检取代", "Whether a retest took its place", "boolean"),
        _field("verdict", "判定", "Verdict", values=VERDICTS),
        _field("reason", "判定理由", "What the verdict follows from", required=False),
        _field("amount", "换算值", "Highest reading in the limit's unit", "number", required=False),
        _field("limit_value", "限量", "Limit", "number", required=False),
        _field("limit_unit", "限量单位", "Unit of the limit", required=False),
        _field("source", "限量来源", "Standard and table that set the limit", required=False),
        *_place("taken."),
    ),
    time="tested_at",
    geometry=Point(lon="taken.lon", lat="taken.lat"),
    freshness=timedelta(days=31),
    legal_basis=LAW,
)

LOTS = _shared(
    id="food.lots",
    title=Text("食品批次", "Lots of food"),
    description=Text("每行一批；位置为生产场所。数量以千克、升或件计。", "One row for each lot, at the premises that made it; quantities in kg, L or pieces."),
    table=lots,
    joins=AT_PREMISES,
    fields=(
        *_numbered("批次", "lot"),
        _product(),
        _field("name", "名称", "Name", required=False),
        _field("premises", "生产场所", "Premises that made it"),
        _field("made_on", "生产日期", "Made on", "date", required=False),
        _field("expires_on", "保质期至", "Expires on", "date", required=False),
        _field("quantity", "数量", "Quantity made, in `unit`", "number"),
        _field("unit", "单位", "Unit", values=("kg", "L", "piece")),
        *_place("premises."),
    ),
    geometry=Point(lon="premises.lon", lat="premises.lat"),
    freshness=timedelta(days=7),
    legal_basis=TRACING_LAW,
)

MOVEMENTS = _shared(
    id="food.movements",
    title=Text("批次流向", "Movements of lots"),
    description=Text(
        "批次的发货、收货、投入、产出、销售和处置，可与 GS1 EPCIS 2.0 事件对应。",
        "Lots shipped, received, put in, brought out, sold, disposed of, after the events of GS1 EPCIS 2.0.",
    ),
    table=movements,
    joins=(*AT_PREMISES, Join(name="moved", table=lots, on=("lot", "id"))),
    fields=(
        *_numbered("流向", "movement"),
        _field("kind", "类型", "Kind", values=KINDS),
        _field("event", "加工事件", "Transformation, which its inputs and outputs share; else the row itself"),
        _field("at", "时间", "When it happened", "datetime"),
        _field("lot", "批次标识", "Lot"),
        _field("premises", "场所标识", "Premises where it happened"),
        _field("partner", "对方场所", "Where it was shipped to or received from", required=False),
        _field("quantity", "数量", "Quantity, in `unit`", "number"),
        _field("unit", "单位", "Unit of the lot", column="moved.unit"),
        *_place("premises."),
    ),
    time="at",
    geometry=Point(lon="premises.lon", lat="premises.lat"),
    freshness=timedelta(days=7),
    legal_basis=TRACING_LAW,
)

NOTICES = _shared(
    id="food.notices",
    title=Text("已公布的召回与警示", "Published recalls and alerts"),
    description=Text(
        "每行一项公告，译本和更新合为一行。公开信息，不限区域。", "One row for each notice, its translations and updates included. Public, of no area."
    ),
    table=notices,
    fields=(
        *_numbered("公告", "notice"),
        _field("kind", "类型", "Kind", values=("recall", "alert", "outbreak")),
        _field("grade", "级别", "Class as published: I, II, III", values=GRADES, required=False),
        _field("status", "状态", "Whether it is open or closed", values=("open", "closed"), required=False),
        _field("published_at", "公布时间", "When it was published", "datetime"),
        _field("title", "标题", "Title"),
        _field("reason", "原因", "Reason", required=False),
        _field("company", "企业", "Company", required=False),
        _field("products", "产品", "Products", required=False),
        _field("regions", "涉及地区", "Regions, as published", required=False),
        _field("url", "地址", "Address", required=False),
        _field("documents", "文本数", "How many documents tell of it", "integer"),
    ),
    time="published_at",
    area=None,
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=RECALL_LAW,
)

_OF_RECALL = Join(name="of", table=recalls, on=("recall", "id"))
RECALLS = _shared(
    id="food.recalls",
    title=Text("食品召回", "Recalls of food"),
    description=Text(
        "本市启动的召回；一、二、三级分别须在 24、48、72 小时内启动。", "Recalls of this city; grade I, II and III must start within 24, 48 and 72 h."
    ),
    table=recalls,
    fields=(
        *_numbered("召回", "recall"),
        _field("grade", "级别", "Grade", values=GRADES),
        _field("reason", "原因", "Reason"),
        _field("notice", "所依公告", "Published notice that it follows", required=False),
        _field("known_since", "知悉时间", "When the hazard became known", "datetime"),
        _field("start_by", "最迟启动时间", "By when it must have started", "datetime"),
        _field("opened_at", "启动时间", "When it was opened", "datetime"),
        _field("closed_at", "完成时间", "When it was closed", "datetime", required=False),
        _field("truncated", "追溯未尽", "Whether the trace met its bound", "boolean"),
        _field("area", "区域代码", "Area of the authority", definition="GB/T 2260, GB/T 10114"),
    ),
    time="opened_at",
    legal_basis=RECALL_LAW,
)

RECALL_LOTS = _shared(
    id="food.recall_lots",
    title=Text("召回批次", "Lots that are called back"),
    description=Text("召回所指批次及以其为原料的批次。", "The lots named in a recall and those made from them."),
    table=recall_lots,
    key=("recall", "lot"),
    joins=(_OF_RECALL,),
    fields=(
        _field("recall", "召回标识", "Recall"),
        _field("lot", "批次标识", "Lot"),
        _field("asked", "是否指明", "Whether it was named, or found", "boolean"),
        _field("amount", "含量", "How much of the named lots is in it, in their unit", "number", required=False),
        _field("area", "区域代码", "Area of the authority", column="of.area"),
    ),
    legal_basis=RECALL_LAW,
)

RECALL_PREMISES = _shared(
    id="food.recall_premises",
    title=Text("召回进展", "Progress of recalls"),
    description=Text("每行为一次召回在一处场所的进展。", "One row for each of the premises that a recall concerns."),
    table=recall_premises,
    joins=(*AT_PREMISES, _OF_RECALL),
    fields=(
        _field("id", "标识", "Identifier: recall and premises"),
        _field("recall", "召回标识", "Recall"),
        _field("grade", "级别", "Grade", column="of.grade", values=GRADES),
        _field("opened_at", "启动时间", "When the recall was opened", "datetime", column="of.opened_at"),
        _field("premises", "场所标识", "Premises"),
        _field("lots", "批次数", "Lots called back that they made, held or sold", "integer"),
        _field("informed_at", "通知时间", "When they were informed", "datetime", required=False),
        _field("removed_at", "下架时间", "When the food was taken from sale", "datetime", required=False),
        _field("returned", "召回数量", "What came back or was destroyed, in `unit`", "number", required=False),
        _field("unit", "单位", "Unit", values=("kg", "L", "piece"), required=False),
        _field("finished_at", "完成时间", "When they were finished", "datetime", required=False),
        *_place("premises."),
    ),
    time="opened_at",
    geometry=Point(lon="premises.lon", lat="premises.lat"),
    legal_basis=RECALL_LAW,
)

DATASETS = (PREMISES, INSPECTIONS, FINDINGS, LABORATORIES, SAMPLES, TESTS, LOTS, MOVEMENTS, NOTICES, RECALLS, RECALL_LOTS, RECALL_PREMISES)
