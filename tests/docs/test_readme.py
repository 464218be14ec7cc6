"""The commands of README and pages, run word for word on real cities; both languages say the same; every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.services import ROOT
from tests.docs.pages import ACTIVATE, commands, run
from tests.ops.running_city import RunningCity, free_port_base

PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md")), *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY"))]
ENGLISH = [page for page in PAGES if page.with_suffix("").with_suffix(".zh-CN.md").exists() and not page.name.endswith(".zh-CN.md")]
SERVICES = [page for page in ENGLISH if (page.parent.name == "services" and page.stem != "intercity") or page.stem == "governance"]
ANALYSTS = ROOT / "docs" / "analysts.md"
EXECUTE = """
import nbformat, sys
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], as_version=4), timeout=120).execute()
"""


@pytest.fixture(scope="module")
def running_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    made = RunningCity(tmp_path_factory.mktemp("readme"), free_port_base(), demo="on")
    made.start()
    yield made
    made.close()


def test_the_readme_works_one_command_after_another(running_city: RunningCity) -> None:
    script = "\n".join(commands(ROOT / "README.md"))
    assert script.count("curl ") > 10
    assert script.startswith(ACTIVATE)
    told = run(script, ROOT, running_city)
    signs = ('"taken":1', '"corrected":1', "food.inspection.failed.v1", '"complete":true', "fires.calls")
    chain = ("env.outline.computed.v1", "traffic.closure.opened.v1", "fire.crews.informed.v1", "'sector': 'traffic'")
    for sign in (*signs, *chain):
        assert sign in told, f"{sign} is missing:\n{told}"
    means = re.findall(r"yuhu-1 +│ ([0-9.]+)", told)
    assert [float(mean) for mean in means] == [80, 180], "now, and as it was known before the correction"


def test_the_notebook_runs_on_the_demo_city(running_city: RunningCity) -> None:
    command = [sys.executable, "-c", EXECUTE, str(ROOT / "docs" / "analysis.ipynb")]
    done = subprocess.run(command, env=running_city.environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", [*SERVICES, ANALYSTS], ids=lambda page: str(page.stem))
def test_a_page_works_on_the_demo_city(running_city: RunningCity, page: Path, tmp_path: Path) -> None:
    assert run("\n".join(commands(page)), tmp_path, running_city)


def test_two_cities_agree_and_ask_each_other_word_for_word(running_city: RunningCity, tmp_path: Path) -> None:
    south = RunningCity(tmp_path / "south", free_port_base())
    (tmp_path / "south").mkdir()
    try:
        south.start(CITY="430100")
        script = "\n".join(commands(ROOT / "docs" / "services" / "intercity.md")).replace("var-south", str(south.var))
        told = run(script, tmp_path, running_city, {9000: south})
    finally:
        south.close()
    assert '"origin":"430100"' in told.replace(" ", "")


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: str(page.relative_to(ROOT)))
def test_both_languages_show_the_same_commands(page: Path) -> None:
    chinese = page.with_suffix("").with_suffix(".zh-CN.md")
    if commands(chinese):
        assert commands(chinese) == commands(page)
    else:
        assert not commands(page) or f"]({page.name}" in chinese.read_text(encoding="utf-8"), "or it leads to the page that shows them"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_a_heading_find_it(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / target if target else page).read_text(encoding="utf-8")
        headings = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}
        assert anchor in headings | set(re.findall(r'<a (?:id|name)="([^"]+)"', text)), f"{target}#{anchor}"


def test_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
