"""What the stations measure: properties with units and ranges, rules between them, limits worth an event."""

from __future__ import annotations

from datetime import date

from shared.series import Limit, NeverAbove, Observed, Property
from shared.vocabulary import Text

GASES = "GB 3095-2012, table 1, class II, 1 h mean (kept by GB 3095-2026 as secondary sources have it)"
PARTICLES = "HJ 633-2026: index 100 of the real-time report, which takes the 1 h mean (as secondary sources have it)"
EDITION_2026 = date(2026, 3, 1)


def _pollutant(code: str, zh: str, en: str, maximum: float, unit: str = "ug/m3") -> Property:
    """Concentrations begin at zero; the maximum is above what reference analysers can report."""
    return Property(code=code, title=Text(zh, en), unit=unit, minimum=0, maximum=maximum, definition="GB 3095-2012, table 1")


AIR = Observed(
    feature="station",
    properties=(
        _pollutant("pm25", "细颗粒物", "PM2.5", 10_000),
        _pollutant("pm10", "可吸入颗粒物", "PM10", 20_000),
        _pollutant("so2", "二氧化硫", "Sulfur dioxide", 30_000),
        _pollutant("no2", "二氧化氮", "Nitrogen dioxide", 20_000),
        _pollutant("co", "一氧化碳", "Carbon monoxide", 1_500, "mg/m3"),
        _pollutant("o3", "臭氧", "Ozone", 5_000),
        Property(code="temperature", title=Text("气温", "Air temperature"), unit="Cel", minimum=-90, maximum=65),
        Property(code="pressure", title=Text("气压", "Air pressure at the station"), unit="hPa", minimum=300, maximum=1_100),
        Property(code="dew_point", title=Text("露点温度", "Dew point"), unit="Cel", minimum=-100, maximum=50),
        Property(code="rain", title=Text("降水量", "Precipitation of the interval"), unit="mm", minimum=0, maximum=500),
        Property(code="wind_speed", title=Text("风速", "Wind speed"), unit="m/s", minimum=0, maximum=120),
        Property(code="wind_direction", title=Text("风向", "Direction the wind comes from"), unit="deg", minimum=0, maximum=360),
        Property(code="water_temperature", title=Text("水温", "Water temperature"), unit="Cel", minimum=-5, maximum=60),
        Property(code="turbidity", title=Text("浊度", "Turbidity"), unit="{NTU}", minimum=0, maximum=10_000),
        Property(
            code="transducer_depth", title=Text("传感器深度", "Depth of the transducer; above the water at low stands"), unit="m", minimum=-10, maximum=1_000
        ),
        Property(code="wave_height", title=Text("波高", "Wave height"), unit="m", minimum=0, maximum=40),
        Property(code="wave_period", title=Text("波周期", "Wave period"), unit="s", minimum=0, maximum=100),
        Property(code="battery", title=Text("电池电压", "Voltage of the station's battery"), unit="V", minimum=0, maximum=100),
    ),
    never_above=(NeverAbove(lesser="pm25", greater="pm10"),),
    limits=(
        Limit(property="so2", value=500, source=GASES),
        Limit(property="no2", value=200, source=GASES),
        Limit(property="co", value=10, source=GASES),
        Limit(property="o3", value=200, source=GASES),
        Limit(property="pm25", value=60, source=PARTICLES, since=EDITION_2026),
        Limit(property="pm10", value=120, source=PARTICLES, since=EDITION_2026),
    ),
)
"""Ranges hold what an instrument can report, not what is likely: the odd value stays, the impossible one (-9999) goes."""
