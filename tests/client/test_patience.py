"""When the client asks again and when it does not: on a hub of a few lines that refuses as it is told."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from liandong import BrokenAnswer, Client, HubFailed, IncompleteAnswer, TooMany, Unavailable
from liandong.events import Listening

COVERAGE = {"complete": True, "as_of": None, "sources": [{"source": "430300/a", "dataset": "a.b", "status": "ok", "rows": 1}]}


def table(**more: Any) -> bytes:
    made = pa.table({"n": [1]}).replace_schema_metadata({"liandong": json.dumps({"columns": [], "coverage": COVERAGE, **more})})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return sink.getvalue()


class Moody:
    """Answers a question with each of its answers in turn, the last again and again; problems explain themselves."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/problems/"):
            return httpx.Response(200, json={"remedy": {"en": "Wait."}})
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: Any) -> Client:
        return Client("http://hub.test", token="t", transport=httpx.MockTransport(self), **options)


def busy(status: int, after: str | None = "0") -> httpx.Response:
    body = {"type": "/problems/too-many-requests", "title": "Too many requests", "status": status, "detail": "Busy."}
    return httpx.Response(status, json=body, headers={"Retry-After": after} if after is not None else {})


@pytest.mark.parametrize("refused", [busy(429), busy(503, "Sun, 22 Nov 2020 08:00:00 GMT"), httpx.ConnectError("nobody listens")])
def test_it_asks_again_where_the_hub_says_so(refused: Any) -> None:
    hub = Moody(refused, httpx.Response(200, content=table()))
    assert hub.client().aggregate("a.b").rows == [{"n": 1}]
    assert hub.asked == 2


def test_it_gives_up_in_the_end_and_says_what_the_hub_said() -> None:
    hub = Moody(busy(429))
    with pytest.raises(TooMany, match=r"Busy\. Wait\."):
        hub.client(retries=2).aggregate("a.b")
    assert hub.asked == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (busy(503, None), Unavailable),
        (busy(503, "3600"), Unavailable),
        (httpx.Response(500, json={"detail": "Something failed."}), HubFailed),
        (httpx.ReadTimeout("slow"), Unavailable),
        (httpx.RemoteProtocolError("cut"), BrokenAnswer),
        (httpx.Response(200, content=table()[:-40]), BrokenAnswer),
        (httpx.Response(200, content=b"<html>"), BrokenAnswer),
        (httpx.Response(200, content=table(coverage=None)), BrokenAnswer),
    ],
    ids=["no-time-named", "an-hour", "500", "timeout", "cut", "cut-table", "no-table", "no-coverage"],
)
def test_it_does_not_ask_again_where_that_is_no_help(answer: Any, kind: type[Exception]) -> None:
    hub = Moody(answer)
    with pytest.raises(kind):
        hub.client().aggregate("a.b")
    assert hub.asked == 1


def test_rows_that_nobody_asked_to_leave_out_are_missed_aloud() -> None:
    client = Moody(httpx.Response(200, content=table(truncated=True))).client()
    with pytest.warns(IncompleteAnswer, match="Only the first 1 rows") as told:
        assert "TRUNCATED" in repr(client.sql("SELECT 1"))
    assert told[0].filename == __file__, "the line that asked"
    assert client.sql("SELECT 1", limit=1).truncated


def test_rows_that_break_off_while_they_arrive_are_no_answer() -> None:
    def half() -> Iterator[bytes]:
        yield table()[:-100]
        raise httpx.RemoteProtocolError("cut")

    hub = Moody(httpx.Response(200, content=half()))
    batches = hub.client().batches("a.b")
    with pytest.raises(BrokenAnswer, match="broke off: cut"):
        list(batches)
    assert batches.coverage is None and hub.asked == 1


def test_a_token_goes_to_the_hub_and_nowhere_else() -> None:
    seen: list[tuple[str, bool]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, "authorization" in request.headers))
        links = {"Link": '<http://elsewhere.test/collections/a.b/items?token=2>; rel="next"'} if len(seen) == 1 else {}
        return httpx.Response(200, content=table(), headers=links)

    assert len(list(Client("http://hub.test", token="t", transport=httpx.MockTransport(answer)).pages("a.b"))) == 2
    assert seen == [("hub.test", True), ("hub.test", True)]


def test_lines_become_events_by_the_rules_of_server_sent_events() -> None:
    listening = Listening({})
    lines = [": hello", "retry: 50", "", "id: 4", "data: {", 'data: "type": "a"}', "", "event: closed", "data: {}", "", "id: 5", 'data: {"type": "b"}', ""]
    found = [event for line in lines if (event := listening.line(line))]
    assert [(event.position, event.type) for event in found] == [("4", "a"), ("5", "b")]
    assert (listening.after, listening.pause_s) == ("5", 0.05)
