from __future__ import annotations

from tests.env.conftest import Env


async def test_observations_are_taken_and_rolled_up(env: Env) -> None:
    rows = [{"station": "A", "property": "pm25", "time": f"2026-11-01T{hour:02d}:00:00+08:00", "value": 10.0 + hour} for hour in range(24)]
    assert await env.load(rows) == {"taken": 24, "corrected": 0, "duplicates": 0, "rejected": 0, "errors": [], "unlisted_errors": 0}
