"""Zones are known without walking the database again for every row."""

from __future__ import annotations

import zoneinfo

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.time_zones import ZoneName, known_zones

ZONE = TypeAdapter(ZoneName)


def test_a_zone_of_the_database_is_taken_and_others_are_not():
    assert ZONE.validate_python("Asia/Shanghai") == "Asia/Shanghai"
    for wrong in ("Beijing", "Factory", "localtime", "../etc/passwd", ""):
        with pytest.raises(ValidationError, match="IANA"):
            ZONE.validate_python(wrong)


def test_the_database_is_read_once_for_all_rows(monkeypatch: pytest.MonkeyPatch):
    known_zones()
    monkeypatch.setattr(zoneinfo, "available_timezones", lambda: pytest.fail("it was read again"))
    assert [ZONE.validate_python("America/Chicago") for _ in range(3)] == ["America/Chicago"] * 3
