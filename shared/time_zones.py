"""Time zones by their names in the IANA database."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


@cache
def known_zones() -> frozenset[str]:
    """The zones that may be named. Read once: it walks the whole database, which for each row of a batch would hold the process for minutes."""
    return frozenset(name for name in zoneinfo.available_timezones() if name not in ("Factory", "localtime"))


def _known(name: str) -> str:
    if name not in known_zones():
        raise PydanticCustomError("unknown-zone", "{zone} is not an IANA time zone such as Asia/Shanghai", {"zone": repr(name[:60])})
    return name


ZoneName = Annotated[str, AfterValidator(_known)]
"""A zone such as `Asia/Shanghai`."""
