"""The containers of `compose.yaml`: there is no engine here to run them, so the file is held to its schema, its rules and the code it starts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.deploying.prepare import prepare
from ops.deploying.secretfiles import write_environment, write_secrets
from ops.provision import connection, role_url
from ops.secretfiles import write_private_json
from ops.services import ROOT, present
from shared.config import Settings
from tests.city import City

FILE = ROOT / "compose.yaml"
OURS = {name for service in present() for name in (service, f"prepare-{service}")}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    write_secrets(folder, "430300")
    return folder


def test_it_keeps_the_schema_of_the_compose_specification() -> None:
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_has_a_database_of_its_own_that_nobody_else_reaches(compose: dict[str, Any]) -> None:
    for name in present():
        network = f"{name}-database"
        members = {other for other, described in compose["services"].items() if network in described["networks"]}
        assert members == {name, f"prepare-{name}", f"postgres-{name}"}
        assert compose["networks"][network] == {"internal": True}


def test_containers_may_do_no_more_than_they_must(compose: dict[str, Any]) -> None:
    for name, described in compose["services"].items():
        assert described["read_only"] is True, name
        assert described["cap_drop"] == ["ALL"], name
        assert described["security_opt"] == ["no-new-privileges:true"], name
        assert not re.match(r"0|root", str(described["user"])), name
        assert described["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, name
        assert described.keys().isdisjoint({"privileged", "devices", "network_mode", "pid", "ipc", "cap_add"}), name
        assert "healthcheck" in described or name.startswith("prepare-"), name
        assert described["restart"] == ("on-failure:5" if name.startswith("prepare-") else "unless-stopped"), name
        assert all(port.startswith("127.0.0.1:") for port in described.get("ports", ())), name
        assert not re.search(r"latest$", described["image"]), name


def test_no_secret_stands_in_the_file_or_in_an_environment(compose: dict[str, Any]) -> None:
    for name, described in compose["services"].items():
        for key, value in described.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|TOKEN|URL", key) or str(value).startswith("/run/secrets/"), f"{name}: {key}"


def test_every_secret_that_it_mounts_is_made_and_private(compose: dict[str, Any], secrets: Path) -> None:
    mounted = {secret for described in compose["services"].values() for secret in described.get("secrets", ())}
    assert mounted == compose["secrets"].keys()
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir() if path.is_file()}
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} == made.keys()
    assert {name: mode for name, mode in made.items() if mode != 0o600} == {"valkey-users.acl": 0o640}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    users = (secrets / "valkey-users.acl").read_text(encoding="utf-8")
    assert not [password for password in json.loads((secrets / "kept" / "redis.json").read_text(encoding="utf-8")).values() if password in users]


def test_made_again_the_secrets_stay_what_they_are(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir() if path.is_file()}
    write_secrets(secrets, "430300")
    assert {path.name: path.read_bytes() for path in secrets.iterdir() if path.is_file()} == before
    environment = secrets.parent / ".env"
    for _ in range(2):
        write_environment(environment)
    assert sorted(line.split("=")[0] for line in environment.read_text(encoding="utf-8").splitlines()) == ["LIANDONG_GID", "LIANDONG_UID"]


def test_made_by_root_the_containers_run_as_somebody_else_who_may_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.update({Path(path).name: (user, group)}))
    written = write_secrets(tmp_path / "secrets", "430300")
    write_environment(tmp_path / ".env")
    lines = dict(line.split("=") for line in (tmp_path / ".env").read_text(encoding="utf-8").splitlines())
    assert lines == {"LIANDONG_UID": "10001", "LIANDONG_GID": "10001"}
    assert given == {path.name: (10001, 10001) for path in written}
    assert "USER 10001:10001" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", present())
def test_the_settings_of_a_service_name_containers_that_there_are(compose: dict[str, Any], secrets: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIANDONG_CONFIG", str(secrets / f"{name}.json"))
    settings = Settings()
    hosts = [
        re.sub(r"^\w+://(.*@)?|[:/].*$", "", re.sub(r"^(\w+)://(.*@)?", "", url))
        for url in (settings.hub_url, *settings.addresses.values(), *settings.sources.values())
    ]
    assert set(hosts) <= compose["services"].keys()
    for url in (settings.database_url, settings.reader_url):
        assert f"@postgres-{name}:5432/{name}" in url.get_secret_value()
    assert settings.redis_publish_url is not None
    assert "@valkey:6379/" in settings.redis_publish_url.get_secret_value()
    assert settings.owner_url is None, "only the container that prepares holds the owner's password"


def test_a_database_is_prepared_by_its_secret(city: City, tmp_path: Path) -> None:
    secret = tmp_path / "prepare-food"
    write_private_json(secret, {"admin_url": city.postgres_url, "passwords": {kind: f"compose-{kind}" for kind in ("owner", "app", "reader")}})

    async def twice() -> int:
        for _ in range(2):
            await prepare("food", secret)
        async with connection(role_url(city.postgres_url, "food", "reader", "compose-reader")) as reader:
            return int(await reader.fetchval("SELECT count(*) FROM inspections"))

    try:
        assert asyncio.run(twice()) == 0
    finally:
        asyncio.run(_restore(city))


async def _restore(city: City) -> None:
    async with connection(city.postgres_url) as admin:
        await admin.execute('DROP DATABASE IF EXISTS "food" WITH (FORCE)')
        await admin.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")  # preparing closes it to all but administrators; other tests need it
        for kind in ("owner", "app", "reader"):
            await admin.execute(f"ALTER ROLE food_{kind} PASSWORD 'food_{kind}'")


def test_the_image_starts_as_nobody_special_and_holds_what_the_commands_need(compose: dict[str, Any]) -> None:
    lines = [line for line in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert not [line for line in lines if line.startswith("ADD") or "curl" in line or "apt-get" in line]
    assert all(":" in line for line in lines if line.startswith("FROM"))
    copied = {shlex.split(line)[1] for line in lines if line.startswith("COPY") and "--from" not in line}
    assert copied == {"requirements.lock", "alembic.ini", "liandong", "shared", "services", "ops"}
    for name in OURS:
        command = compose["services"][name]["command"]
        module = command[1].partition(":")[0] if command[0] == "uvicorn" else command[2]
        assert (ROOT / Path(*module.split("."))).with_suffix(".py").exists(), command
