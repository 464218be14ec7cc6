"""Which services make a city, at which ports, and how their declarations are found."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from shared.sectors import PORT_OFFSETS

if TYPE_CHECKING:
    from shared.service import Service

__all__ = ["PORT_OFFSETS", "ROOT", "declared", "present"]
ROOT = Path(__file__).resolve().parent.parent


def present() -> list[str]:
    """The services that exist in this version, the hub first."""
    return [name for name in PORT_OFFSETS if (ROOT / "services" / name / "app.py").exists()]


def declared(name: str) -> Service:
    """The declaration that `services/<name>/app.py` makes."""
    found: Service = import_module(f"services.{name}.app").service
    return found
