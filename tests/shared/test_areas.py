"""How codes roll up: by the table, and by GB prefix where the table does not know a code."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import column, select, values
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from services.fire.app import service
from shared.areas import areas, rolled_up
from shared.service import create_app
from shared.testing import running
from shared.vocabulary import AreaLevel
from tests.city import City

TABLE = """
    INSERT INTO areas (code, level, name_zh, kind, nation, province, city, district, town, recorded_by) VALUES
    ('4303', 'city', '湘潭市', 'administrative', 'cn', '43', '4303', NULL, NULL, 'test'),
    ('430302001', 'town', '雨湖路街道', 'administrative', 'cn', '43', '4303', '430302', '430302001', 'test'),
    ('430371001', 'town', '板塘街道', 'administrative', 'cn', '43', '4303', '430304', '430371001', 'test'),
    ('us-06075-17', 'district', 'Mission', 'neighbourhood', 'us', 'us-06', 'us-06075', 'us-06075-17', NULL, 'test')
"""


@pytest.fixture(scope="module")
async def reader(city: City) -> AsyncIterator[AsyncConnection]:
    settings = city.settings("fire")
    city.sql(settings, TABLE)
    app = create_app(service, settings)
    async with running(app), app.state.runtime.reader.connect() as connection:
        yield connection


async def rolled(reader: AsyncConnection, code: str | None, level: AreaLevel) -> str | None:
    row = values(column("code", Text), name="row").data([(code,)])
    query = select(rolled_up(level, row.c.code)).select_from(row.outerjoin(areas, areas.c.code == row.c.code))
    return await reader.scalar(query)


@pytest.mark.parametrize(
    ("code", "nation", "in_city", "district", "town"),
    [
        ("430302001", "cn", "4303", "430302", "430302001"),
        ("4303", "cn", "4303", None, None),
        ("430371001", "cn", "4303", "430304", "430371001"),  # the table knows better than the prefix
        ("us-06075-17", "us", "us-06075", "us-06075-17", None),
        ("430381100", "cn", "4303", "430381", "430381100"),  # not in the table
        ("430381", "cn", "4303", "430381", None),
        ("us-99999", None, None, None, None),
        (None, None, None, None, None),
    ],
)
async def test_a_code_rolls_up_to_the_area_that_holds_it(
    reader: AsyncConnection, code: str | None, nation: str | None, in_city: str | None, district: str | None, town: str | None
):
    found = [await rolled(reader, code, level) for level in (AreaLevel.NATION, AreaLevel.CITY, AreaLevel.DISTRICT, AreaLevel.TOWN)]
    assert found == [nation, in_city, district, town]


async def test_the_app_role_may_not_rewrite_what_areas_were(reader: AsyncConnection):
    allowed = await reader.scalar(sql("SELECT has_table_privilege('fire_app', 'areas_history', 'INSERT, UPDATE, DELETE')"))
    assert allowed is False
