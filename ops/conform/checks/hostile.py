"""Nothing that a client sends ends in a server error, and the server goes on answering."""

from __future__ import annotations

from typing import Any

from ops.conform.model import Check, must
from ops.conform.subject import Shared, Subject
from shared.vocabulary import Text

DEEP = "(" * 1500 + "1=1" + ")" * 1500
HUGE = "9" * 400
PARAMETERS: tuple[dict[str, str], ...] = (
    {"filter": DEEP},
    {"filter": "NOT " * 1000 + "1=1"},
    {"filter": "\x00"},
    {"filter": "x" * 6000},
    {"filter": f"1 = {HUGE}"},
    {"filter": "' OR 1=1; --"},
    {"filter": '{"op":"and","args":' + "[" * 400 + "]" * 400 + "}", "filter-lang": "cql2-json"},
    {"bbox": f"{HUGE},0,{HUGE},1"},
    {"bbox": "0,0,inf,1"},
    {"datetime": "9999-12-31T23:59:59-12:00/.."},
    {"datetime": "0001-01-01T00:00:00+14:00/.."},
    {"known_at": "9999-12-31T23:59:59-12:00"},
    {"limit": HUGE},
    {"sortby": ",".join(["-a"] * 500)},
    {"properties": "\x00"},
    {"token": "\u202e" * 50},
    {"token": "A" * 4000},
    {"\x00": "\x00"},
)
QUESTIONS: tuple[Any, ...] = (
    {"measures": {"n": {"fn": "quantile", "field": "\x00", "q": 2}}},
    {"measures": {"n": {"fn": "count"}}, "filter": DEEP},
    {"measures": {"n": {"fn": "count"}}, "bbox": [1e308, -1e308, 1e308, 1e308]},
    {"measures": {"n": {"fn": "count"}}, "limit": 10**18},
    {"measures": {"n": {"fn": "count"}}, "from": "9999-12-31T23:59:59-12:00"},
    {"measures": {"n": {"fn": "count"}}, "by": {f"x{place}": "time:minute" for place in range(50)}},
    {"measures": {f"n{place}": {"fn": "count"} for place in range(200)}},
    None,
)
BODIES = (b"", b"{", b"[" * 20_000, b'{"measures": NaN}', b"\xff\xfe\x00", b'{"measures": {"n": {"fn": "count"}}, "limit": ' + b"9" * 5000 + b"}")
HALF = {"Content-Type": "application/json"}


async def records(subject: Subject, shared: Shared) -> None:
    for params in PARAMETERS:
        reply = await subject.asker.get(f"{shared.path}/items", params)
        _sane(reply.status, str(params)[:80])
    for item in ("%00", "%ff", "..%2f..%2fetc%2fpasswd", "x" * 3000, "~" * 200):
        reply = await subject.asker.get(f"{shared.path}/items/{item}")
        _sane(reply.status, f"items/{item[:40]}")
    await _still_there(subject)


async def aggregates(subject: Subject, shared: Shared) -> None:
    for question in QUESTIONS:
        reply = await subject.asker.ask("POST", f"{shared.path}/aggregate", json=question)
        _sane(reply.status, str(question)[:80])
    for body in BODIES:
        reply = await subject.asker.ask("POST", f"{shared.path}/aggregate", content=body, headers=HALF)
        _sane(reply.status, f"the body {body[:40]!r}")
    await _still_there(subject)


def _sane(status: int, what: str) -> None:
    must(status < 500, f"{what} ends in {status}.")
    must(not 300 <= status < 400, f"{what} is answered by a redirect ({status}).")


async def _still_there(subject: Subject) -> None:
    (await subject.asker.get("/healthz", token=None)).ok()


CHECKS = (
    Check(id="hostile.records", clause="Contract: problems", title=Text("恶意的记录查询", "Hostile questions for rows"), dataset=records),
    Check(id="hostile.aggregates", clause="Contract: problems", title=Text("恶意的聚合查询", "Hostile aggregates"), dataset=aggregates),
)
