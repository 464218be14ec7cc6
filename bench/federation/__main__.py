"""The federation beside its peers, on the same six databases: `python -m bench.federation`.

One PostgreSQL holds the databases of the sectors; every sector and the hub is a process of its own; the peers ask the same databases as the same
role: DuckDB's ATTACH in an environment of its own, and postgres_fdw from a seventh database. The hub's answers are compared with theirs, then all
are timed in turn, each round with another question, so that no answer is kept from one round for the next. The hub answers over HTTP with rights,
coverage and a finished table in the client's hands. `--keep FOLDER` keeps databases and DuckDB there for the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from bench.federation import parts
from bench.federation.data import spread_rows
from bench.federation.duck import duckdb
from bench.federation.fdw import foreign
from bench.federation.measure import Table
from bench.federation.stand import stand

PARTS = ("groups", "rollups", "small", "spread", "join")


async def run(folder: Path, rows: int, chosen: frozenset[str], rounds: int, profile: Path | None, *, with_fdw: bool) -> bool:
    """Print the table; whether every limit was kept."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # the server runs as another user
    table = Table()
    under = ["-m", "bench.sampler", str(profile)] if profile else []
    async with stand(folder, rows, chosen, under) as made, foreign(made.admin_url, made.reader_urls) if with_fdw else nullcontext() as fdw:
        with duckdb(folder, made.reader_urls) as duck:
            for part in (part for part in PARTS if part in chosen):
                match part:
                    case "small":
                        await parts.small(made, table, rounds)
                    case "spread":
                        await parts.spread(made, table, rounds, spread_rows(rows))
                    case "join":
                        await parts.join(made, duck, table, rounds)
                    case _:
                        await parts.groups(made, duck, fdw, table, rounds, part)
    print(f"\n{rows:,} rows in each of six databases, medians of {rounds} rounds\n{table}")
    return table.reached


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.federation", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=500_000, help="rows of each database: 500000 or 5000000")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, by comma: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a folder that keeps the databases for the next run")
    parser.add_argument("--profile", type=Path, help="where bench.sampler writes where the hub's processor time went")
    parser.add_argument("--no-fdw", action="store_true", help="leave postgres_fdw out: with 5,000,000 rows it takes minutes")
    arguments = parser.parse_args()
    chosen = frozenset(arguments.only.split(","))
    if unknown := chosen - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") if not arguments.keep else nullcontext(arguments.keep) as place:
        if not asyncio.run(run(Path(place), arguments.rows, chosen, arguments.rounds, arguments.profile, with_fdw=not arguments.no_fdw)):
            sys.exit("A limit was not kept.")


if __name__ == "__main__":
    main()
