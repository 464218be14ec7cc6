"""What a new sector is made of: files from the templates, and lines in the places where services are listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ops.newsector.names import CannotMake, check_name, check_title
from shared.sectors import PORT_OFFSETS

TEMPLATE = Path(__file__).resolve().parent / "template"
Changes = dict[Path, str]
"""Path to the whole new content."""


def plan(root: Path, name: str, zh: str, en: str) -> Changes:
    """All files of a new sector and all lists that name it, or `CannotMake`; nothing is written."""
    check_name(root, name)
    check_title(zh, "--zh")
    check_title(en, "--en")
    offset = PORT_OFFSETS.get(name, max(PORT_OFFSETS.values()) + 1)
    words = {"sector_name": name, "SECTOR_ZH": zh, "SECTOR_EN": en, "SECTOR_PORT": str(8000 + offset), "SECTOR_OFFSET": str(offset)}
    return _files(root, words) | _lists(root, name, offset)


def _files(root: Path, words: dict[str, str]) -> Changes:
    found: Changes = {}
    for template in sorted(TEMPLATE.rglob("*.txt")):
        place = root / _filled(str(template.relative_to(TEMPLATE)).removesuffix(".txt"), words)
        if place.exists():
            raise CannotMake(f"There is {place.relative_to(root)} already.")
        found[place] = _filled(template.read_text(encoding="utf-8"), words)
    if not found:
        raise CannotMake("The templates are not installed; run the command in a checkout.")
    return found


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub("|".join(words), lambda match: words[match[0]], text)


def _lists(root: Path, name: str, offset: int) -> Changes:
    edits: dict[str, Callable[[str], str]] = {
        "shared/events/catalogue.py": lambda text: _in_catalogue(text, name),
        "alembic.ini": lambda text: f"{text.rstrip()}\n\n[{name}]\nversion_locations =\n    %(core)s\n    %(here)s/services/{name}/migrations\n",
        "pyproject.toml": lambda text: _in_containers(text, name),
    }
    if name not in PORT_OFFSETS:
        edits["shared/sectors.py"] = lambda text: _once(text, r"(?m)^\}$", f'    "{name}": {offset},\n}}', "the dictionary PORT_OFFSETS")
    changed: Changes = {}
    for file, edit in edits.items():
        path = root / file
        if not path.exists():
            raise CannotMake(f"There is no {file} in {root}; run the command in a checkout.")
        try:
            changed[path] = edit(path.read_text(encoding="utf-8"))
        except LookupError as error:
            raise CannotMake(f"{file} does not look as it did: {error}. Nothing was written.") from error
    return changed


def _in_catalogue(text: str, name: str) -> str:
    """The events module, imported and listed in alphabetical order."""
    listed = re.search(r"for module in \(([a-z0-9, ]+)\)", text)
    if listed is None or f"from shared.events import {listed[1]}\n" not in text:
        raise LookupError("the list of modules is not found")
    names = ", ".join(sorted({*listed[1].split(", "), name}))
    text = text.replace(f"from shared.events import {listed[1]}\n", f"from shared.events import {names}\n")
    return text.replace(f"for module in ({listed[1]})", f"for module in ({names})")


def _in_containers(text: str, name: str) -> str:
    """The service and its concepts, under the import contracts of the others."""
    text = _once(text, r'(containers = \["services\.env",[^\]]*)\]', rf'\1, "services.{name}"]', "the services with concepts")
    return _once(text, r'(containers = \["services\.env\.\*",[^\]]*)\]', rf'\1, "services.{name}.*"]', "the concepts of services")


def _once(text: str, pattern: str, replacement: str, what: str) -> str:
    if len(re.findall(pattern, text)) != 1:
        raise LookupError(f"{what} is not found")
    return re.sub(pattern, replacement, text)
