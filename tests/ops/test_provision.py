"""Roles and databases are made by any administrator who may, and mended when they are not in order."""

from __future__ import annotations

import asyncpg
import pytest

from ops.provision import connection, provision, role, role_names, role_url
from tests.city import City

SERVICES = ["alpha", "beta"]
PASSWORDS = {name: f"secret-of-{name}" for name in role_names(SERVICES)}


@pytest.fixture
async def administrator(city: City) -> str:
    """One who may make roles and databases, but is no superuser: what a hosted PostgreSQL gives."""
    async with connection(city.postgres_url) as admin:
        if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = 'hosted'"):
            await admin.execute("CREATE ROLE hosted LOGIN CREATEDB CREATEROLE PASSWORD 'hosted'")
    return city.postgres_url.replace("postgres:superuser-of-tests", "hosted:hosted")


async def test_an_administrator_without_superuser_rights_is_enough_and_may_repeat_it(administrator: str) -> None:
    for _ in range(2):
        await provision(administrator, SERVICES, PASSWORDS)
    for service in SERVICES:
        for kind in ("owner", "app", "reader"):
            async with connection(role_url(administrator, service, kind, PASSWORDS[role(service, kind)])) as own:
                assert await own.fetchval("SELECT current_user") == role(service, kind)


async def test_a_changed_password_is_mended_by_the_next_start(administrator: str) -> None:
    await provision(administrator, SERVICES, PASSWORDS)
    changed = PASSWORDS | {"alpha_app": "another"}
    await provision(administrator, SERVICES, changed)
    async with connection(role_url(administrator, "alpha", "app", "another")):
        pass
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(role_url(administrator, "alpha", "app", PASSWORDS["alpha_app"]))


async def test_the_reader_reads_in_generous_memory_and_writes_nothing(administrator: str) -> None:
    await provision(administrator, SERVICES, PASSWORDS)
    async with connection(role_url(administrator, "alpha", "reader", PASSWORDS["alpha_reader"])) as reader:
        shown = await reader.fetchrow("SELECT current_setting('work_mem'), current_setting('jit'), current_setting('default_transaction_read_only')")
        assert tuple(shown) == ("64MB", "off", "on")
        await reader.execute("SET default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute("CREATE TABLE mine (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(role_url(administrator, "alpha", "reader", PASSWORDS["alpha_reader"], "beta"))
