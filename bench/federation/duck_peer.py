"""DuckDB with its postgres scanner, run by the interpreter of an environment of its own: a statement a line in, time and rows out.

Imports nothing of this project. Argument: JSON with the extension's file and the databases to attach.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import duckdb


def plain(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else float(value) if value.__class__.__name__ == "Decimal" else value


def main() -> None:
    given = json.loads(sys.argv[1])
    connection = duckdb.connect(config={"threads": given["threads"]})
    connection.execute(f"LOAD '{given['extension']}'")
    connection.execute("SET TimeZone = 'UTC'")
    for setting in given["settings"]:
        connection.execute(setting)
    for name, url in given["databases"].items():
        connection.execute(f"ATTACH '{url}' AS {name} (TYPE postgres, READ_ONLY)")
    print(json.dumps({"version": duckdb.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        rows = connection.execute(asked["sql"]).fetchall()
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "rows": [[plain(value) for value in row] for row in rows] if asked["rows"] else len(rows)}), flush=True)


if __name__ == "__main__":
    main()
