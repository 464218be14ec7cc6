"""The commands of docs/services/hub.md, word for word against a real hub; both languages show the same."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from services.hub.app import service
from shared.service import create_app
from shared.testing import serving
from tests.city import City
from tests.hub.desk import AREAS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "services"
SCOPES = {"duty": "hub:query hub:events hub:command", "commander": "hub:query hub:events hub:command", "fire-system": "fire:read fire:write"}


def commands(name: str) -> str:
    (found,) = re.findall(r"^```sh\n(.*?)^```$", (PAGES / name).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return str(found)


def test_both_languages_show_the_same_commands() -> None:
    assert commands("hub.md") == commands("hub.zh-CN.md")


@pytest.mark.proof
async def test_the_commands_work_one_after_another(city: City, tmp_path: Path) -> None:
    tokens = {name: city.token("hub", scope=scope, subject=f"client:{name}", areas=["*"]) for name, scope in SCOPES.items()}
    command = tmp_path / "liandong"
    command.write_text("#!/bin/sh\ncase $2 in\n" + "".join(f"{name}) echo {token};;\n" for name, token in tokens.items()) + "esac\n", encoding="utf-8")
    command.chmod(0o755)
    async with serving(create_app(service, city.settings("hub"))) as client:
        areas = [{"code": code, "name_zh": code, **({"level": "nation"} if code == "cn" else {})} for code in AREAS]
        await client.put("/areas", json=areas, headers=city.headers("hub", scope="hub:admin"))
        script = commands("hub.md").replace("http://127.0.0.1:8000", str(client.base_url).rstrip("/"))
        environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        running = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        told = (await running.communicate())[0].decode()
    assert running.returncode == 0, told[-3000:]
    assert "<cap:" not in told and "<severity>Moderate</severity>" in told and "烟气黄色预警" in told and '"state":"closed"' in told
