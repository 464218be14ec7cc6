"""How generated bodies of the gateway's own media type are sent: as the bytes that they are."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/vnd.liandong.message")
def message(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
