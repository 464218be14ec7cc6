"""A whole load against a small server: batches, accounts that add up, bounds, and what happens when it goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ops.load import delimited, engine, sending
from ops.load.engine import Load
from ops.load.mapping import FileMapping
from ops.load.rows import batch_of
from ops.load.sending import Sender
from ops.load.tally import Report
from tests.ops.load_mappings import STATED, mapping
from tests.ops.load_receiver import CUT, Received, Receiver, receiving, taken, written


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.01)
    with receiving() as made:
        yield made


def plain(batch: int = 3, concurrency: int = 2, **others: Any) -> FileMapping:
    target = {**STATED["target"], "batch": batch, "concurrency": concurrency}
    return mapping({"n": {"from": "n", "type": "number", "required": True}, "t": "t"}, target=target, **others)


def numbered(folder: Path, rows: int, name: str = "x.csv") -> Path:
    return written(folder / name, "n,t\n" + "".join(f"{number},text\n" for number in range(rows)))


def run(receiver: Receiver, made: FileMapping, *paths: Path, patience_s: float = 5, correct: bool = False) -> Report:
    return Load(made, Sender(receiver.city("food"), "food", patience_s=patience_s), correct).run(paths)


def test_every_row_arrives_once_in_batches_with_keys_of_their_own(receiver: Receiver, tmp_path: Path):
    report = run(receiver, plain(), numbered(tmp_path, 8))
    assert report.stopped is None
    assert sorted(row["n"] for batch in receiver.batches for row in batch.rows) == list(range(8))
    assert sorted(len(batch.rows) for batch in receiver.batches) == [2, 3, 3]
    assert len(set(receiver.keys())) == 3
    assert (report.total.lines, report.total.rows, report.total.unsent) == (8, 8, 0)


def test_a_connection_that_is_cut_in_mid_load_adds_nothing_twice(receiver: Receiver, tmp_path: Path):
    recorded: dict[str, dict[str, Any]] = {}
    effects: list[float] = []

    def behave(received: Received) -> Any:
        """A service that commits every batch once for each key, and loses every first answer."""
        if received.key in recorded:
            return recorded[received.key]
        recorded[received.key] = taken(received)
        effects.extend(row["n"] for row in received.rows)
        return CUT

    receiver.behave = behave
    report = run(receiver, plain(), numbered(tmp_path, 10))
    assert sorted(effects) == list(range(10))
    assert (report.total.counts["taken"], report.retries) == (10, 4)


def test_another_run_has_other_keys_so_that_rows_are_judged_anew(receiver: Receiver, tmp_path: Path):
    path = numbered(tmp_path, 3)
    run(receiver, plain(), path)
    run(receiver, plain(), path)
    assert len(set(receiver.keys())) == 2


def test_rejections_are_told_with_the_lines_of_the_file(receiver: Receiver, tmp_path: Path):
    def behave(received: Received) -> dict[str, Any]:
        odd = [row for row, each in enumerate(received.rows) if each["n"] % 2]
        errors = [{"row": row, "pointer": f"/{row}/n", "code": "odd", "detail": f"{received.rows[row]['n']} is odd"} for row in odd[:1]]
        answer = {**taken(received), "taken": len(received.rows) - len(odd), "rejected": len(odd), "errors": errors}
        return {**answer, "unlisted_errors": len(odd) - len(errors)}

    receiver.behave = behave
    path = written(tmp_path / "x.csv", "n,t\n0,a\nx,a\n1,a\n2\n3,a\n5,a\n")
    report = run(receiver, plain(batch=100), path)
    reasons = {(where, code): (reason.rows, [example["line"] for example in reason.examples]) for where, code, reason in report.files[0].by_rows}
    assert reasons == {
        ("service", "odd"): (1, [4]),
        ("service", "not listed"): (2, []),
        ("file", "not-a-number"): (1, [3]),
        ("file", "wrong-number-of-columns"): (1, [5]),
    }
    assert report.total.counts == {"taken": 1, "corrected": 0, "duplicates": 0, "rejected": 5}
    assert report.total.lines == report.total.rows == 6


def test_rows_of_the_mapping_come_with_the_first_batch_and_are_counted_apart(receiver: Receiver, tmp_path: Path):
    def behave(received: Received) -> dict[str, Any]:
        wrong = [{"row": row, "pointer": "", "code": "wrong", "detail": ""} for row in (0, 1) if received.number == 0]
        return {**taken(received), "taken": len(received.rows) - len(wrong), "rejected": len(wrong), "errors": wrong}

    receiver.behave = behave
    made = plain(batch=2, concurrency=1, add=[{"n": -1, "t": "own"}])
    report = run(receiver, made, numbered(tmp_path, 2), numbered(tmp_path, 1, "y.csv"))
    assert [len(batch.rows) for batch in receiver.batches] == [3, 1]
    assert receiver.batches[0].rows[0] == {"n": -1, "t": "own"}
    first, second = report.files
    assert (first.added, first.lines, first.rows, second.added) == (1, 2, 3, 0)
    assert [example["line"] for example in first.reasons["service", "wrong"].examples] == [0, 2]


def test_what_rows_refer_to_is_sent_before_them(receiver: Receiver, tmp_path: Path):
    made = plain(batch=2, declare={"path": "/kinds", "distinct": ["t"], "constants": {"of": "test"}})
    path = written(tmp_path / "x.csv", "n,t\n1,a\n2,b\n3,a\n4,c\n5,c\n")

    def behave(received: Received) -> dict[str, Any]:
        if received.path == "/things":
            return taken(received)
        declared = {row["t"] for row in received.rows}
        error = [{"row": 0, "pointer": "", "code": "unknown", "detail": "no c"}] if "c" in declared else []
        return {**taken(received), "taken": len(declared) - len(error), "rejected": len(error), "errors": error}

    receiver.behave = behave
    report = run(receiver, made, path)
    seen: set[str] = set()
    for batch in receiver.batches:
        if batch.path == "/kinds":
            assert all(row["of"] == "test" for row in batch.rows)
            seen |= {row["t"] for row in batch.rows}
        assert {row["t"] for row in batch.rows} <= seen
    assert report.declared == {"taken": 2, "corrected": 0, "duplicates": 0, "rejected": 1}
    assert report.refused_declarations == ["unknown: no c"]
    assert report.rejected == 1


@pytest.mark.parametrize("concurrency", [1, 2])
def test_no_more_batches_are_under_way_than_the_mapping_allows(receiver: Receiver, tmp_path: Path, concurrency: int):
    def behave(received: Received) -> dict[str, Any]:
        time.sleep(0.02)
        return taken(received)

    receiver.behave = behave
    run(receiver, plain(batch=1, concurrency=concurrency), numbered(tmp_path, 12))
    assert receiver.most_under_way == concurrency


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows, text = 200_000, "x" * 90
    path = written(tmp_path / "x.csv.gz", "n,t\n" + f"1,{text}\n" * rows)
    monkeypatch.setattr(delimited, "BLOCK", 64 << 10)
    held: list[int] = []

    class Slow:
        """A service that is slower than the file can be read."""

        retries = 0

        def close(self) -> None:
            """Nothing is open."""

        def send(self, request: sending.Request) -> dict[str, Any]:
            time.sleep(0.02)
            held.append(pa.total_allocated_bytes())
            found = request.body.count(b"{")
            return {"taken": found, "corrected": 0, "duplicates": 0, "rejected": 0, "errors": [], "unlisted_errors": 0}

    before = pa.total_allocated_bytes()
    report = Load(plain(batch=2000), Slow()).run([path])  # type: ignore[arg-type]
    assert report.total.counts["taken"] == rows
    assert 0 < max(held) - before < rows * len(text) / 2


def test_a_refusal_ends_the_load_and_says_what_was_not_sent(receiver: Receiver, tmp_path: Path):
    receiver.behave = lambda received: 403 if received.rows[0]["n"] == 6 else taken(received)
    report = run(receiver, plain(), numbered(tmp_path, 30))
    assert report.stopped is not None
    assert "403" in report.stopped
    total = report.total
    assert total.counts["taken"] >= 6
    assert total.unsent >= 3
    assert total.rows + total.unsent == total.lines < 30


def test_a_service_that_miscounts_is_not_believed(receiver: Receiver, tmp_path: Path):
    receiver.behave = lambda received: {**taken(received), "taken": 1}
    report = run(receiver, plain(), numbered(tmp_path, 3))
    assert report.stopped is not None
    assert "accounts for another number" in report.stopped


def test_a_file_that_breaks_off_keeps_what_was_taken_of_it(receiver: Receiver, tmp_path: Path):
    path = written(tmp_path / "x.csv", "n,t\n" + "1,a\n" * 300_000 + '2,"never closed\n' + "3,a\n" * 600_000)
    report = run(receiver, plain(batch=50_000), path)
    assert report.stopped is not None
    assert "cannot be read" in report.stopped
    assert report.total.counts["taken"] > 0
    assert report.total.counts["taken"] + report.total.unsent == report.total.lines


def test_ctrl_c_stops_the_load_at_once_and_keeps_its_account(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    receiver.behave = lambda received: 503 if received.number >= 2 else taken(received)
    mapped = batch_of
    calls = 0

    def interrupted(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return mapped(*given)

    monkeypatch.setattr(engine, "batch_of", interrupted)
    began = time.monotonic()
    report = run(receiver, plain(), numbered(tmp_path, 30), patience_s=60)
    assert time.monotonic() - began < 5
    assert report.stopped == "Interrupted."
    assert report.total.counts["taken"] == 6
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load")]


def test_corrections_go_with_every_batch(receiver: Receiver, tmp_path: Path):
    run(receiver, plain(), numbered(tmp_path, 6), correct=True)
    assert [batch.query for batch in receiver.batches] == [{"correct": ["true"]}] * 2


def test_who_watches_is_told_of_every_line(receiver: Receiver, tmp_path: Path):
    told: list[int] = []
    made = plain(batch=2)
    path = written(tmp_path / "x.csv", "n,t\nx,a\ny,a\n1,a\n\n2\n3,a\n")
    Load(made, Sender(receiver.city("food"), "food"), watch=lambda _, lines: told.append(lines)).run([path])
    assert sum(told) == 6
