"""Sensors at sites: what they measure, and the alarms of GB/T 50493-2019."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.worksafety.inventories.schemas import Cas
from shared.row_models import PlainText, Reference, RowModel
from shared.series import Observed, Property
from shared.vocabulary import Text

GB50493 = "GB/T 50493-2019: toxic gas first alarm at the occupational limit, second at twice it; combustible gas 25 % and 50 % LEL"
"""From memory, to be verified; the thresholds themselves are those of each sensor."""
SAFETY = Observed(
    feature="sensor",
    properties=(
        Property(code="gas_ppm", title=Text("有毒气体浓度", "Concentration of toxic gas"), unit="[ppm]", minimum=0, maximum=1_000_000, definition=GB50493),
        Property(code="gas_lel", title=Text("可燃气体浓度（爆炸下限）", "Combustible gas, of the LEL"), unit="%", minimum=0, maximum=100, definition=GB50493),
        Property(code="oxygen", title=Text("氧气体积分数", "Oxygen by volume"), unit="%", minimum=0, maximum=100),
        Property(code="pressure", title=Text("压力（表压）", "Gauge pressure"), unit="kPa", minimum=-101.325, maximum=1_000_000),
        Property(code="level", title=Text("液位", "Level, of the height"), unit="%", minimum=0, maximum=100),
        Property(code="temperature", title=Text("温度", "Temperature"), unit="Cel", minimum=-273.15, maximum=3_000),
    ),
)
SensorProperty = Literal["gas_ppm", "gas_lel", "oxygen", "pressure", "level", "temperature"]
Threshold = Annotated[float, Field(ge=-1e9, le=1e9, description="In the unit of the property")]


class SensorIn(RowModel):
    """A sensor at a site. It measures one thing; times of its values are instants."""

    code: Annotated[Reference, Field(description="Unique in the city")]
    registry: Annotated[Reference | None, Field(description="Who gave the site's number; the city itself if not given")] = None
    site: Annotated[Reference, Field(description="Number of the site within the registry")]
    property: SensorProperty
    name: PlainText | None = None
    cas: Annotated[Cas | None, Field(description="What a gas detector detects")] = None
    alarm_low: Annotated[Threshold | None, Field(description="First alarm: told when a value rises above it")] = None
    alarm_high: Annotated[Threshold | None, Field(description="Second alarm")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.alarm_low is not None and self.alarm_high is not None and self.alarm_low > self.alarm_high:
            raise ValueError("the second alarm lies above the first")
        return self
