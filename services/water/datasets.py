"""What the water service shares: gauges with their thresholds, readings, present stages."""

from __future__ import annotations

from datetime import timedelta

from services.water.levels.domain import SOURCE
from services.water.levels.domain import STAGES as STAGE_NAMES
from services.water.levels.schemas import WATER
from services.water.models import gauges, stages
from shared.datasets.declaration import Dataset, Join, Point
from shared.datasets.fields import field, place_fields
from shared.series.sharing import readings_dataset
from shared.vocabulary import Sharing, Text

OWNER = Text("水利局", "Water Resources Bureau")
LAW = "《水文条例》（国务院令第496号）、《防洪法》（条款待核）；《政务数据共享条例》（国务院令第809号）"
"""Hydrology Regulations (State Council Decree 496), Flood Control Law (articles to be verified); State Council Decree 809."""

GAUGES = Dataset(
    id="water.gauges",
    title=Text("水文测站", "Gauges"),
    description=Text("水文测站的名称、河流、位置与四级预警水位。", "Name, river, place and the four warning thresholds of each gauge."),
    owner=OWNER,
    table=gauges,
    key="code",
    fields=(
        field("code", "测站编码", "Code"),
        field("name_zh", "中文名", "Name in Chinese", required=False),
        field("name_en", "英文名", "Name in English", required=False),
        field("river", "河流", "River", required=False),
        field("blue", "蓝色预警水位", "Threshold of the blue warning", "number", unit="m", required=False),
        field("yellow", "黄色预警水位（警戒水位）", "Threshold of the yellow warning (warning level)", "number", unit="m", required=False),
        field("orange", "橙色预警水位（保证水位）", "Threshold of the orange warning (guaranteed level)", "number", unit="m", required=False),
        field("red", "红色预警水位", "Threshold of the red warning", "number", unit="m", required=False),
        *place_fields(),
    ),
    geometry=Point(),
    freshness=timedelta(days=30),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)

LEVELS = readings_dataset("water.levels", Text("水情数据", "Readings of gauges"), WATER, OWNER, LAW)

STAGES = Dataset(
    id="water.stages",
    title=Text("当前洪水等级", "Present flood stages"),
    description=Text("各测站当前的洪水预警等级及其起始时间。", "The present warning level of each gauge, and since when."),
    owner=OWNER,
    table=stages,
    key="gauge",
    joins=(Join(name="gauge", table=gauges, on=("gauge", "code")),),
    fields=(
        field("gauge", "测站编码", "Code of the gauge"),
        field("river", "河流", "River", required=False, column="gauge.river"),
        field("stage", "等级", "Stage", values=STAGE_NAMES, definition=SOURCE),
        field("since", "起始时间", "Since when", "datetime"),
        field("water_level", "起始水位", "Water level with which it began", "number", unit="m"),
        *place_fields("gauge."),
    ),
    time="since",
    geometry=Point(lon="gauge.lon", lat="gauge.lat"),
    freshness=timedelta(hours=2),
    sharing=Sharing.UNCONDITIONAL,
    legal_basis=LAW,
)
