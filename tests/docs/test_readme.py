"""The README's commands, run word for word on a real city; both languages say the same; every link leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.services import ROOT
from tests.ops.running_city import RunningCity, free_port_base

PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md")), *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY"))]


def commands(page: Path) -> list[str]:
    """The blocks that are marked as shell; blocks marked as text are shown, not run."""
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def running_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    made = RunningCity(tmp_path_factory.mktemp("readme"), free_port_base())
    made.start()
    yield made
    made.close()


def test_the_commands_work_one_after_another(running_city: RunningCity) -> None:
    activate = ". .venv/bin/activate"
    script = "\n".join(commands(ROOT / "README.md"))
    assert script.count("curl ") > 10
    assert script.startswith(activate)
    for offset in range(8):
        script = script.replace(f"127.0.0.1:{8000 + offset}", f"127.0.0.1:{running_city.port_base + offset}")
    environment = running_city.environment(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.removeprefix(activate)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for sign in ('"taken":1', '"corrected":1', "food.inspection.failed.v1", '"complete":true', "fires.calls"):
        assert sign in done.stdout, f"{sign} is missing:\n{done.stdout}"
    means = re.findall(r"yuhu-1 +│ ([0-9.]+)", done.stdout)
    assert [float(mean) for mean in means] == [80, 180], "now, and as it was known before the correction"


def test_both_languages_show_the_same_commands() -> None:
    assert commands(ROOT / "README.md") == commands(ROOT / "README.zh-CN.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
