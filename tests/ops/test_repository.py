"""What every file of the repository must keep to."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from ops.services import ROOT

LONGEST_FILE, LONGEST_FUNCTION = 400, 40
VAGUE = {"utils", "util", "manager", "helper", "helpers", "base", "common", "misc"}
REGISTRIES = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|npmjs\.com|proxy\.golang\.org|crates\.io/api")


def committed() -> list[Path]:
    """Files that git tracks and that exist now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[Path]:
    return [path for path in committed() if path.suffix == ".py"]


def long_functions(path: Path) -> list[str]:
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = [node for node in found if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [f"{path.relative_to(ROOT)}: {node.name}" for node in functions if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION]


def test_files_stay_short() -> None:
    assert not [str(path.relative_to(ROOT)) for path in modules() if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE]


def test_functions_stay_short() -> None:
    assert not [found for path in modules() if "migrations" not in path.parts for found in long_functions(path)]


def test_every_module_starts_with_a_sentence() -> None:
    silent = [str(path.relative_to(ROOT)) for path in modules() if (tree := ast.parse(path.read_text(encoding="utf-8"))).body and not ast.get_docstring(tree)]
    assert not silent


def test_names_say_what_a_thing_is() -> None:
    assert not [str(path.relative_to(ROOT)) for path in modules() if VAGUE & set(path.stem.split("_"))]


def test_no_committed_file_names_a_registry() -> None:
    texts = [path for path in committed() if path != Path(__file__) and path.suffix not in {".png", ".gz", ".woff2"}]
    assert not [str(path.relative_to(ROOT)) for path in texts if REGISTRIES.search(path.read_text(encoding="utf-8", errors="replace"))]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_dependency_is_pinned_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = {found[1].lower().replace("_", "-") for found in re.finditer(r"^([\w.-]+)==\S+", text, re.MULTILINE)}
    assert text.count("--hash=sha256:") >= len(pinned) > 20
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + (project["optional-dependencies"]["dev"] if "dev" in lock else [])
    names = {re.split(r"[\[<>=;~ ]", requirement)[0].lower() for requirement in wanted}
    assert names <= pinned
