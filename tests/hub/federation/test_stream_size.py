"""Millions of rows leave the hub in bounded memory, as they come and in order; the hub is a process of its own, so that it alone is measured."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from shared.datasets.bulk_forms import END_MARK
from tests.city import City
from tests.hub.federation.process import in_its_own_process
from tests.hub.federation.sectors import settings_of

MIB = 1024 * 1024
ALLOWED = 300 * MIB
"""Above what the idle hub takes."""
ROWS = """
INSERT INTO calls (id, area, received_at, kind, response_s, units, phone, lon, lat, recorded_by)
SELECT $1::text || n, '430302' || lpad((n % 60)::text, 3, '0'), '2026-01-01Z'::timestamptz + n * interval '3 s', 'kind ' || n % 20 || repeat('x', $3::int),
 n % 4000 / 7.0, n % 9, '1' || n, 112.9 + n % 100 / 1000.0, 27.8, 'client:test' FROM generate_series(1, $2::int) n
"""


class Peak:
    """The most memory (PSS) a process takes while this is entered."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self.idle = self.bytes = int(self.process.memory_full_info().pss)

    @contextmanager
    def watched(self) -> Iterator[None]:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                self.bytes = max(self.bytes, int(self.process.memory_full_info().pss))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@pytest.mark.proof
def test_five_million_rows_leave_the_hub_in_bounded_memory(city: City, tmp_path: Path) -> None:
    rows = 5_000_000
    with ExitStack() as stack:
        sources = {}
        for name in ("brigade", "harbour"):
            settings = settings_of(city, name)
            for start in range(0, rows // 2, 500_000):
                city.sql(settings, ROWS, f"{name[0]}{start}-", min(500_000, rows // 2 - start), 0, role="app")
            sources[f"430300/{name}"] = stack.enter_context(in_its_own_process(settings, tmp_path))[1]
        process, url = stack.enter_context(in_its_own_process(city.settings("hub", sources=sources), tmp_path, "services.hub.app:app"))
        client = stack.enter_context(httpx.Client(base_url=url, headers=city.headers("hub", scope="hub:query"), timeout=60, trust_env=False))
        end = time.monotonic() + 30
        while client.get("/collections/fire.calls").status_code != 200 and time.monotonic() < end:
            time.sleep(0.1)
        peak = Peak(process.pid)
        for query in ("f=arrow", "f=arrow&sortby=-units,received_at", "f=geojson"):
            started = time.monotonic()
            with peak.watched(), client.stream("GET", f"/collections/fire.calls/items?stream=true&{query}") as answer:
                size, tail = 0, b""
                for piece in answer.iter_raw():
                    size, tail = size + len(piece), (tail + piece)[-8192:]
            took = time.monotonic() - started
            sys.stdout.write(
                f"{rows} rows, {query}: {took:.1f} s, {rows / took:.0f} rows/s, {size / MIB:.0f} MiB; {(peak.bytes - peak.idle) / MIB:.0f} MiB above idle\n"
            )
            assert f'"numberReturned":{rows},'.encode() in tail
            assert b'"complete":true' in tail
            assert "arrow" not in query or tail.endswith(END_MARK)
            assert peak.bytes - peak.idle <= ALLOWED
