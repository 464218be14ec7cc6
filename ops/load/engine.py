"""Loads files: reads, maps and sends them batch by batch, a few at once, and keeps account of every row."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ops.load.files import chunks_of, fitted, unit_of
from ops.load.mapping import CannotMap, FileMapping
from ops.load.opening import Survey, survey
from ops.load.rows import MEDIA_TYPES, Batch, batch_of, body_of, declarations
from ops.load.sending import CannotLoad, Request, Sender
from ops.load.tally import OUTCOMES, Report, Tally

Watch = Callable[[Tally, int], None]
"""Told after every batch: its file's account, and how many lines of the file are done with."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch under way."""

    tally: Tally
    batch: Batch
    added: int


@dataclass(slots=True)
class Load:
    """One run of `liandong load`. It closes its sender.

    At most `concurrency` batches are under way and one waits, so memory does not grow with the file. The key of a batch names the file, the
    mapping, this run and the batch: sent again in this run it takes effect once; in another run the rows are judged anew,
    so that what is recorded counts as duplicates and what has been mended since is taken.
    """

    mapping: FileMapping
    sender: Sender
    correct: bool = False
    watch: Watch = field(default=lambda _tally, _lines: None)
    report: Report = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _run: str = field(init=False)
    _pending: dict[Future[dict[str, Any]], _Sent] = field(default_factory=dict)
    _declared: set[tuple[Any, ...]] = field(default_factory=set)
    _to_add: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        target = self.mapping.target
        self.report = Report(self.mapping.name, f"{target.method} {target.service}{target.path}")
        self._pool = ThreadPoolExecutor(target.concurrency, thread_name_prefix="load")
        self._run = uuid.uuid4().hex[:12]
        self._to_add = [dict(row) for row in self.mapping.add]

    def run(self, paths: Sequence[Path]) -> Report:
        """Load all files; `stopped` of the report says why, if not to the end."""
        began = time.monotonic()
        try:
            for path in paths:
                self._load(path)
            self._settle(until=0)
        except (CannotMap, CannotLoad) as error:
            self.report.stopped = str(error)
            self._settle_rest()
        except KeyboardInterrupt:
            self.report.stopped = "Interrupted."
            self.sender.stop()
            self._settle_rest()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self.sender.close()
        self.report.seconds, self.report.retries = time.monotonic() - began, self.sender.retries
        return self.report

    def _load(self, path: Path) -> None:
        found, mapping = survey(path), fitted(path, self.mapping)
        tally = Tally(path.name, unit_of(path, mapping), max(1, len(mapping.cells)))
        self.report.files.append(tally)
        for number, chunk in enumerate(chunks_of(path, mapping)):
            batch = batch_of(chunk, mapping)
            tally.mapped(batch)
            self._declare(batch)
            added, self._to_add = self._to_add, []
            if len(batch) or added:
                self._settle(until=self.mapping.target.concurrency)
                key = self._key(found, str(number))
                self._pending[self._pool.submit(self._send, batch, added, key)] = _Sent(tally, batch, len(added))
            else:
                self.watch(tally, batch.chunk_lines + batch.blank)

    def _key(self, found: Survey, batch: str) -> str:
        return f"load-{found.digest[:16]}-{self.mapping.digest[:16]}-{self._run}-{batch}"

    def _send(self, batch: Batch, added: list[dict[str, Any]], key: str) -> dict[str, Any]:
        target = self.mapping.target
        body = body_of(batch, self.mapping, added)
        answer = self.sender.send(Request(target.method, target.path, body, MEDIA_TYPES[target.body], key, self.correct))
        if sum(answer[outcome] for outcome in OUTCOMES) != len(batch) + len(added):
            raise CannotLoad(f"{target.path} took {len(batch) + len(added)} rows and accounts for another number: {orjson.dumps(answer)[:300].decode()}")
        return answer

    def _declare(self, batch: Batch) -> None:
        """Send what the batch refers to, before it."""
        rows = declarations(batch, self.mapping, self._declared)
        declared = self.mapping.declare
        if not rows or declared is None:
            return
        key = f"load-{self.mapping.digest[:16]}-{self._run}-declared-{len(self._declared)}"
        answer = self.sender.send(Request(declared.method, declared.path, orjson.dumps(rows), MEDIA_TYPES["json"], key))
        for outcome in OUTCOMES:
            self.report.declared[outcome] += answer[outcome]
        refused = [f"{error['code']}: {error['detail']}" for error in answer["errors"]]
        self.report.refused_declarations = list(dict.fromkeys([*self.report.refused_declarations, *refused]))

    def _settle(self, until: int) -> None:
        """Wait until at most so many batches are under way. Raises what one of them failed with."""
        while len(self._pending) > until:
            done, _ = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                self._account(self._pending.pop(future), future)

    def _settle_rest(self) -> None:
        """After a failure: wait for what is under way, count what succeeded."""
        for future in self._pending:
            future.cancel()
        while self._pending:
            try:
                self._settle(until=0)
            except CannotLoad:
                continue

    def _account(self, sent: _Sent, future: Future[dict[str, Any]]) -> None:
        if future.cancelled():
            return
        answer = future.result()
        sent.tally.answered(answer, sent.batch, sent.added)
        self.report.repaired += answer.get("repaired", [])
        self.watch(sent.tally, sent.batch.chunk_lines + sent.batch.blank)
