"""Which names a new sector may bear."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

TAKEN = frozenset(
    {"all", "catalogue", "conform", "events", "hub", "list", "model", "none", "ops", "services", "shared", "sites", "test", "tests", "bench"}
    | {"demo", "postgres", "redis", "template0", "template1", "valkey"}
)
"""Names that stand for something else somewhere: in the hub's addresses, the folders, the modules of events, the processes and databases of a city."""
FORM = re.compile(r"[a-z][a-z0-9]{1,19}")


class CannotMake(Exception):
    """Why no sector was made; nothing has been written."""


def check_name(root: Path, name: str) -> None:
    """`CannotMake` for a name that is no good, or taken."""
    if not FORM.fullmatch(name):
        raise CannotMake(
            f"{name[:60]!r} is no name for a sector: 2 to 20 small letters and digits, a letter first. It becomes a module, a database, a part of event types."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in TAKEN:
        raise CannotMake(f"{name!r} means something else already. Choose another name.")
    existing = [place for place in (f"services/{name}/app.py", f"services/{name}", f"shared/events/{name}.py", f"tests/{name}") if (root / place).exists()]
    if existing:
        raise CannotMake(f"There is {existing[0]} already.")


def check_title(title: str, option: str) -> None:
    """`CannotMake` for a title that could not stand in code."""
    if not title.strip() or len(title) > 40 or not title.isprintable() or set(title) & set('"\\{}`|<>'):
        raise CannotMake(f"{option} takes up to 40 characters without quotes, braces or backslashes.")
