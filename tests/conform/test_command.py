"""`liandong conform` as a user runs it: a service of the running city by name, any server by address."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from ops.secretfiles import write_private_json
from ops.services import ROOT
from tests.city import City
from tests.conform.test_hostile_server import LIES, OK, answering, listening, whole
from tests.services import served


async def command(*arguments: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.cli", "conform", *arguments, cwd=ROOT, env={**os.environ, "COLUMNS": "200", **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, (output + errors).decode()


@pytest.mark.proof
async def test_a_service_of_the_running_city_is_found_by_name_with_all_it_needs(city: City, tmp_path: Path) -> None:
    async with served(city, tmp_path, ["hub", "food"]) as found:
        me = psutil.Process()
        run: dict[str, Any] = {"city": found.code, "pid": me.pid, "started": me.create_time(), "clients": found.accounts}
        write_private_json(tmp_path / "run.json", run | {"services": {name: {"url": found.url(name)} for name in ("hub", "food")}})
        code, output = await command("food", "--dataset", "food.premises", "--json", "--var-dir", str(tmp_path))
        report = json.loads(output)
        outcomes = {one["check"]: one["outcome"] for one in report["checks"]}
        assert (code, report["conforms"], outcomes["rights.audience"], outcomes["events.schema"]) == (0, True, "passed", "passed")
        code, output = await command(found.url("food"), "--var-dir", str(tmp_path), LC_ALL="zh_CN.UTF-8")
        assert code == 1 and "不符合" in output and "401" in output
        code, output = await command("nowhere", "--var-dir", str(tmp_path))
        assert code == 2 and "has no service 'nowhere'" in output


async def test_a_lying_server_is_told_of_and_its_words_cannot_command_the_terminal(tmp_path: Path) -> None:
    lies = LIES.replace(b'"service":"x"', b'"service":"\\u001b[31m[red]x"')
    async with listening(answering(whole(OK, lies))) as url:
        code, output = await command(url, "--timeout", "2", "--within", "20", "--all", LIANDONG_TOKEN="a.b.c")
    assert code == 1 and "[red]x" in output and "\x1b" not in output
