"""Where a city runs: its folder, its ports, and whose database and broker it uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ops.services import PORT_OFFSETS

HOST = "127.0.0.1"
VARIABLES = {
    "var": "VAR_DIR",
    "port_base": "PORT_BASE",
    "city": "CITY",
    "postgres_url": "LIANDONG_POSTGRES_URL",
    "redis_url": "LIANDONG_REDIS_URL",
    "demo": "DEMO",
    "demo_speed": "DEMO_SPEED",
    "demo_seed": "DEMO_SEED",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Everything that makes one city on a machine different from another."""

    var: Path
    port_base: int = 8000
    city: str = "430300"
    postgres_url: str | None = None
    """An administrator's address of a PostgreSQL of the user's own; a local one is started if not given."""
    redis_url: str | None = None
    """An administrator's address of a Redis or Valkey of the user's own; a local one is started if not given."""
    demo: str = "on"
    """Whether a new city is furnished with facts that are made up, and lives: `on`, or `off` for areas alone."""
    demo_speed: float = 1.0
    """How many times as much happens in the demo as would really."""
    demo_seed: str = "1"
    """What the demo's chance begins with: the same seed, the same weather."""

    @property
    def run_file(self) -> Path:
        return self.var / "run.json"

    @property
    def log_file(self) -> Path:
        return self.var / "log" / "liandong.log"

    @property
    def demo_file(self) -> Path:
        """What the demo has sent so far."""
        return self.var / "demo.json"

    @property
    def secrets(self) -> Path:
        return self.var / "secrets"

    @property
    def clients_file(self) -> Path:
        return self.secrets / "clients.json"

    @property
    def signing_keys(self) -> Path:
        return self.secrets / "signing-keys"

    def config_file(self, service: str) -> Path:
        return self.var / "config" / f"{service}.json"

    def cache(self, service: str) -> Path:
        return self.var / "cache" / service

    def port(self, service: str) -> int:
        return self.port_base + PORT_OFFSETS[service]

    def url(self, service: str) -> str:
        return f"http://{HOST}:{self.port(service)}"

    def environment(self) -> dict[str, str]:
        """The variables from which `from_environment` makes the same place in a child process."""
        values = {field: getattr(self, field) for field in VARIABLES}
        return {VARIABLES[field]: str(value) for field, value in values.items() if value is not None}

    @classmethod
    def from_environment(cls) -> Place:
        found = {field: os.environ[name] for field, name in VARIABLES.items() if os.environ.get(name)}
        return cls(
            var=Path(found.get("var", "var")).resolve(),
            port_base=int(found.get("port_base", "8000")),
            city=found.get("city", "430300"),
            postgres_url=found.get("postgres_url"),
            redis_url=found.get("redis_url"),
            demo=found.get("demo", "on"),
            demo_speed=float(found.get("demo_speed", "1")),
            demo_seed=found.get("demo_seed", "1"),
        )
