"""What each sector is asked when an incident of a kind begins. A city puts its own plan in the place of this one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.vocabulary import Text


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task of a plan."""

    sector: str
    what: Text
    within: timedelta
    """From the opening of the incident."""


PLANS: dict[str, tuple[PlannedTask, ...]] = {
    "release": (
        PlannedTask(
            "worksafety",
            Text("切断泄漏源，核实物质、数量和现场人员", "Shut off the source; confirm substance, amount and who is on site"),
            timedelta(minutes=15),
        ),
        PlannedTask("env", Text("监测空气，随风向更新危害范围", "Monitor the air; keep the outline up with the wind"), timedelta(minutes=15)),
        PlannedTask(
            "traffic", Text("封闭危害范围内道路，保障疏散和救援通道", "Close the roads in the outline; keep ways out and in open"), timedelta(minutes=10)
        ),
        PlannedTask("fire", Text("救援，划定热区、温区、冷区", "Rescue; set up hot, warm and cold zones"), timedelta(minutes=10)),
        PlannedTask("community", Text("通知危害范围内居民就地避险或疏散", "Tell the people in the outline to shelter or to leave"), timedelta(minutes=20)),
    ),
}
