"""The on-site card around an incident, asked of the work-safety service through the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from shared.runtime import Runtime
from shared.source_failures import SourceFailure

CARD = "worksafety.on-site-card"
DEADLINE_S = 0.4
PATIENT_S = 3.0
"""When the message has gone out and the card is asked for again."""
RADIUS_M = 500
CARD_BYTES = 256 * 1024
"""A message is for a terminal in a cabin: a larger card is left out and can be asked for."""


@dataclass(frozen=True, slots=True)
class Card:
    """The card, or why there is none."""

    content: dict[str, Any] | None
    reason: str | None = None


async def ask_card(runtime: Runtime, lon: float, lat: float, *, patient: bool) -> Card:
    """What is stored around a point; never fails."""
    params = [("lon", repr(lon)), ("lat", repr(lat)), ("radius_m", str(RADIUS_M))]
    try:
        answer = await runtime.calls.ask("hub", f"/lookups/{CARD}", within=PATIENT_S if patient else DEADLINE_S, params=params, limit_bytes=CARD_BYTES)
        content = orjson.loads(answer.content)["answer"]
    except SourceFailure as failure:
        return Card(None, failure.detail)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        return Card(None, f"The hub's answer is not of the agreed form: {error!r}.")
    return Card(content) if isinstance(content, dict) else Card(None, "The card is not of the agreed form.")
