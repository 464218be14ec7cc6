"""The local runtime, really started: what it promises while it runs, when parts of it die, and when it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
import redis

from ops.services import present
from tests.ops.running_city import RunningCity, living

ENDS_WITHIN_S = 10
MEMORY_LIMIT_MIB = 1200


def within(seconds: float, reached: object) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if reached():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def config(city: RunningCity, service: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((city.var / "config" / f"{service}.json").read_text(encoding="utf-8"))
    return found


def test_the_run_file_names_every_service_and_client(running_city: RunningCity) -> None:
    found = running_city.run_file()
    assert found["city"] == "430300"
    assert set(found["services"]) == set(present())
    assert {"admin", "analyst", "duty", "auditor", *(f"{name}-system" for name in present() if name != "hub")} <= set(found["clients"])
    for service in found["services"].values():
        assert psutil.pid_exists(service["pid"])
        assert httpx.get(f"{service['url']}/readyz", trust_env=False).json()["status"] == "ready"


def test_secrets_can_be_read_by_their_owner_alone(running_city: RunningCity) -> None:
    files = [running_city.var / "run.json", *(running_city.var / "secrets").rglob("*"), *(running_city.var / "config").rglob("*")]
    assert len(files) > 5
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(running_city.var.stat().st_mode) == 0o700


def test_no_secret_stands_in_the_log_or_in_a_command_line(running_city: RunningCity) -> None:
    secrets = [client["secret"] for client in running_city.run_file()["clients"].values()]
    for name in ("postgres", "redis"):
        secrets += json.loads((running_city.var / "secrets" / f"{name}.json").read_text(encoding="utf-8")).values()
    public = (running_city.var / "log" / "liandong.log").read_text(encoding="utf-8")
    public += "".join(" ".join(process.cmdline()) for process in running_city.family())
    assert not [secret for secret in secrets if secret in public]


def test_everything_listens_on_loopback_only(running_city: RunningCity) -> None:
    pids = {process.pid for process in running_city.family()}
    listening = [found for found in psutil.net_connections("tcp") if found.pid in pids and found.status == psutil.CONN_LISTEN]
    assert len(listening) >= len(present()) + 2
    assert {found.laddr.ip for found in listening} == {"127.0.0.1"}


def test_clients_get_tokens(running_city: RunningCity) -> None:
    shown = running_city.command("token", "analyst")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(".") == 2
    refused = running_city.command("token", "nobody")
    assert refused.returncode == 1
    assert "analyst" in refused.stderr


def test_status_tells_health_and_memory_and_the_city_is_small(running_city: RunningCity) -> None:
    shown = running_city.command("status", "--json")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    report = json.loads(shown.stdout)
    assert {row["name"]: row["health"] for row in report["services"]} == dict.fromkeys(present(), "ready")
    assert 0 < report["memory_mib"] < MEMORY_LIMIT_MIB


async def test_the_reader_cannot_write_and_the_app_cannot_change_tables(running_city: RunningCity) -> None:
    told = config(running_city, "hub")
    reader = await asyncpg.connect(told["reader_url"])
    await reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute("DELETE FROM areas")
    await reader.close()
    app = await asyncpg.connect(told["database_url"])
    for forbidden in ("DROP TABLE areas", "CREATE TABLE mine (id int)", "DELETE FROM changes", "UPDATE alembic_version SET version_num = 'x'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(forbidden)
    await app.close()


@pytest.mark.skipif(len(present()) < 2, reason="needs two services")
@pytest.mark.parametrize("url", ["database_url", "reader_url"])
async def test_no_role_enters_the_database_of_another_service(running_city: RunningCity, url: str) -> None:
    mine, other = present()[0], present()[1]
    foreign = config(running_city, mine)[url].rpartition("/")[0] + f"/{other}"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(foreign)


async def test_a_password_is_needed_even_on_this_machine(running_city: RunningCity, tmp_path: Path) -> None:
    server = config(running_city, "hub")["database_url"].rpartition("@")[2]
    for credentials in ("hub_app", "hub_app:wrong", "postgres"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InterfaceError)):
            await asyncpg.connect(f"postgresql://{credentials}@{server}", passfile=str(tmp_path / "none"))


def test_a_redis_user_appends_to_its_own_stream_only(running_city: RunningCity) -> None:
    told = config(running_city, "hub")
    with redis.Redis.from_url(told["redis_publish_url"]) as publish, redis.Redis.from_url(told["redis_consume_url"]) as consume:
        for client, stream in ((publish, "events:430300/fire"), (consume, "events:430300/hub"), (consume, "events:430300/fire")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.xadd(stream, {"a": "b"})
        with pytest.raises(redis.exceptions.NoPermissionError):
            publish.execute_command("CONFIG", "GET", "*")


def test_a_killed_service_comes_back_and_the_log_says_why(running_city: RunningCity) -> None:
    old = running_city.run_file()["services"]["hub"]
    os.kill(old["pid"], signal.SIGKILL)
    assert within(30, lambda: running_city.run_file()["services"]["hub"]["pid"] != old["pid"])
    assert within(30, lambda: running_city.command("status").returncode == 0)
    assert f"hub (pid {old['pid']}) was ended by SIGKILL" in (running_city.var / "log" / "liandong.log").read_text(encoding="utf-8")


def test_a_killed_database_comes_back_and_services_recover_without_restart(running_city: RunningCity) -> None:
    before = running_city.run_file()
    os.kill(before["postgres"]["pid"], signal.SIGKILL)
    assert within(30, lambda: running_city.run_file()["postgres"]["pid"] != before["postgres"]["pid"])
    assert within(30, lambda: running_city.command("status").returncode == 0)
    assert running_city.run_file()["services"] == before["services"]


def test_a_second_city_in_the_same_folder_is_refused(running_city: RunningCity) -> None:
    refused = running_city.command("up")
    assert refused.returncode == 1
    assert "already runs" in refused.stderr
    assert str(running_city.var) in refused.stderr


def test_a_port_in_use_is_named_with_its_holder(running_city: RunningCity, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = running_city.command("up", VAR_DIR=str(tmp_path / "var"), PORT_BASE=str(port))
    assert refused.returncode == 1
    assert f"Port {port}, which hub needs, is in use by" in refused.stderr
    assert f"pid {os.getpid()}" in refused.stderr
    assert "PORT_BASE=" in refused.stderr
    assert not (tmp_path / "var" / "run.json").exists()


def test_a_killed_supervisor_leaves_nothing_running_and_the_next_start_heals_and_keeps_the_data(running_city: RunningCity) -> None:
    before = running_city.run_file()
    with redis.Redis.from_url(before["redis"]) as admin:
        admin.set("kept", "yes")
        admin.execute_command("WAITAOF", 1, 0, 3000) if admin.info()["redis_version"] >= "7.2" else time.sleep(1.2)
    family = running_city.family()
    running_city.signal(signal.SIGKILL)
    assert within(ENDS_WITHIN_S, lambda: not living(family))
    assert running_city.command("status").returncode == 4

    running_city.start()
    after = running_city.run_file()
    assert after["clients"] == before["clients"]
    assert {name: told["database"] for name, told in after["services"].items()} == {name: told["database"] for name, told in before["services"].items()}
    with redis.Redis.from_url(after["redis"]) as admin:
        assert admin.get("kept") == b"yes"
        admin.delete("kept")
    assert running_city.command("token", "admin").returncode == 0


@pytest.mark.parametrize("how", [signal.SIGTERM])
def test_a_stop_ends_everything_in_time_even_a_frozen_service(running_city: RunningCity, how: signal.Signals) -> None:
    family = running_city.family()
    os.kill(running_city.run_file()["services"]["hub"]["pid"], signal.SIGSTOP)
    began = time.monotonic()
    running_city.signal(how)
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert not living(family)
    assert not (running_city.var / "run.json").exists()
    assert running_city.supervisor is not None
    assert running_city.supervisor.returncode == 0
