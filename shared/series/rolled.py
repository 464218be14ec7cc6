"""The roll-up that answers aggregates of readings: hours, of all values that are not flagged bad."""

from __future__ import annotations

from shared.datasets.declaration import RollUp
from shared.series.properties import COUNTED
from shared.series.tables import observations_hourly

HOURLY = RollUp(name="hourly", table=observations_hourly, value="value", covers=("quality", COUNTED.value))
