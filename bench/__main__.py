"""Every benchmark, one after another, each in a process of its own: `python -m bench [name …]`."""

from __future__ import annotations

import subprocess
import sys

BENCHES = ("aggregate", "load", "events", "crews", "history", "routes", "trace", "exchange", "card", "streams", "federation")


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        sys.stderr.write(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}.\n")
        return 2
    failed = False
    for name in names or BENCHES:
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        failed |= subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
