"""A server with one fault fails the check for that fault."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pytest

from ops.conform.checks import CHECKS
from ops.conform.run import conform
from tests.city import City
from tests.conform.conftest import filled, subject_of
from tests.conform.mutations import Change, Exchange, Mutated

ITEMS, AGGREGATE = r"/items$", r"/aggregate$"
BY_ID = {check.id: check for check in CHECKS}
WIDE: dict[str, str] = {}
"""The ordinary token, for a server that takes everybody for its bearer."""


def ignoring(*names: str) -> Change:
    """A parameter, or a member of an aggregate's question, that is not looked at."""

    def change(exchange: Exchange) -> None:
        exchange.without(*names)
        if exchange.method == "POST" and exchange.body.startswith(b"{"):
            exchange.says({name: value for name, value in exchange.json.items() if name not in names})

    return change


def saying(change: Callable[[Any], None]) -> Change:
    """Another document in JSON answers."""

    def changed(exchange: Exchange) -> None:
        if exchange.status == 200 and "json" in (exchange.answered or {}).get("content-type", ""):
            document = exchange.json
            change(document)
            exchange.says(document)

    return changed


def header(name: str, value: str) -> Change:
    def change(exchange: Exchange) -> None:
        exchange.answered = {**(exchange.answered or {}), name: value}

    return change


def status(old: int, new: int) -> Change:
    def change(exchange: Exchange) -> None:
        exchange.status = new if exchange.status == old else exchange.status

    return change


def _first_page_again(document: Any) -> None:
    for link in document.get("links", []):
        if link["rel"] == "next":
            link["href"] = "&".join(part for part in link["href"].split("&") if not part.startswith("token="))


def _elsewhere(document: Any) -> None:
    for link in document.get("links", []):
        link["href"] = link["href"].replace("http://test", "http://elsewhere.example")


def _one_lost(document: Any) -> None:
    if len(document["features"]) > 5:
        document["features"].pop()
        document["numberReturned"] -= 1


def _half_open(exchange: Exchange) -> None:
    found = dict(exchange.query)
    start, _, end = found.get("datetime", "").partition("/")
    if end and ".." not in (start, end):
        exchange.query = [
            *((k, v) for k, v in exchange.query if k != "datetime"),
            ("datetime", f"{start}/{datetime.fromisoformat(end) - timedelta(seconds=1)}".replace(" ", "T")),
        ]


def _as_everyone(exchange: Exchange) -> None:
    exchange.headers["authorization"] = f"Bearer {WIDE['token']}"


def _less(exchange: Exchange) -> None:
    if "csv" in (exchange.answered or {}).get("content-type", ""):
        exchange.body = exchange.body[: exchange.body.rstrip().rindex(b"\n") + 1]


def _swollen(exchange: Exchange) -> None:
    if "arrow" in (exchange.answered or {}).get("content-type", ""):
        table, sink = pa.ipc.open_stream(exchange.body).read_all(), io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        exchange.body = sink.getvalue()


def _more(place: int, by: float) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for row in document.get("rows", []):
            row[place] = row[place] + by if isinstance(row[place], int | float) else row[place]

    return change


def _states(exchange: Exchange) -> None:
    if "states" in exchange.headers.get("accept", ""):
        exchange.status, exchange.body = 200, b""


MUTATIONS: tuple[tuple[str, str, Change | None, Change | None], ...] = (
    ("rights.no-token", "/", _as_everyone, None),
    ("rights.broken-token", "/", _as_everyone, None),
    ("rights.audience", "/", _as_everyone, None),
    ("rights.rows", "/", _as_everyone, None),
    ("rights.states", AGGREGATE, None, _states),
    ("rights.cache", ITEMS, None, header("cache-control", "public, max-age=60")),
    ("health.alive", "/healthz", None, status(200, 503)),
    ("health.proof", "/proof", None, saying(lambda page: page.update(proof=page["proof"][:-8] + "AAAAAAAA"))),
    ("landing.page", "^/$", None, saying(lambda page: page["links"].clear())),
    ("landing.conformance", "/conformance", None, saying(lambda page: page["conformsTo"].pop(3))),
    ("capabilities.form", "/capabilities", None, saying(lambda page: page.update(contract="2"))),
    ("capabilities.names", "/capabilities", None, saying(lambda page: page["datasets"][0].update(id="fire.calls"))),
    ("events.declared", "/capabilities", None, saying(lambda page: page["events"]["publishes"].append("fire.call.received.v1"))),
    ("problems.form", "/problems/", None, saying(lambda page: page["title"].pop("zh"))),
    ("problems.form", "/no-such", None, header("content-type", "text/html")),
    ("collection.page", "/collections/env.observations$", None, saying(lambda page: page.pop("legal_basis"))),
    ("collection.schema", "/schema$", None, saying(lambda page: page.update({"x-grade": "core"}))),
    ("records.geojson", "/schema$", None, saying(lambda page: page["properties"]["value"].update(type="string"))),
    ("records.csv", ITEMS, None, _less),
    ("records.arrow", ITEMS, None, _swollen),
    ("records.limit", ITEMS, ignoring("limit"), None),
    ("records.paging", ITEMS, None, saying(_first_page_again)),
    ("records.paging", ITEMS, None, saying(_elsewhere)),
    ("records.paging", ITEMS, None, saying(_one_lost)),
    ("records.item", "/items/", None, saying(lambda page: page["properties"].update(value=-1))),
    ("records.sortby", ITEMS, ignoring("sortby"), None),
    ("records.properties", ITEMS, ignoring("properties"), None),
    ("records.bbox", ITEMS, ignoring("bbox"), None),
    ("records.datetime", ITEMS, _half_open, None),
    ("records.filter", ITEMS, ignoring("filter", "filter-lang"), None),
    ("records.bad", ITEMS, None, status(400, 200)),
    ("aggregates.count", AGGREGATE, None, saying(_more(0, 1))),
    ("aggregates.measures", AGGREGATE, None, saying(_more(9, 3.5))),
    ("aggregates.coverage", AGGREGATE, None, saying(lambda page: page.pop("coverage"))),
    ("aggregates.times", AGGREGATE, ignoring("tz"), None),
    ("aggregates.order", AGGREGATE, ignoring("having"), None),
    ("aggregates.order", AGGREGATE, ignoring("sortby"), None),
    ("aggregates.filter", AGGREGATE, ignoring("filter"), None),
    ("aggregates.short", AGGREGATE, lambda exchange: exchange.without("by") if exchange.method == "GET" else None, None),
    ("aggregates.bad", AGGREGATE, None, status(400, 500)),
    ("history.before", ITEMS, ignoring("known_at"), None),
    ("history.before", AGGREGATE, ignoring("known_at"), None),
    ("hostile.records", ITEMS, None, status(400, 500)),
    ("hostile.aggregates", AGGREGATE, None, status(422, 500)),
)


@pytest.fixture(scope="module")
async def env(city: City) -> AsyncIterator[Any]:
    async with filled(city, "env") as (app, _):
        WIDE["token"] = city.token("env", scope="env:read", clearance={"grade": "important", "personal": "none"})
        yield app


@pytest.mark.parametrize(("check", "path", "asked", "answer"), MUTATIONS, ids=[f"{number}-{one[0]}" for number, one in enumerate(MUTATIONS)])
async def test_one_fault_fails_its_check(city: City, env: Any, check: str, path: str, asked: Change | None, answer: Change | None) -> None:
    subject = subject_of(city, "env", Mutated(env, path, asked, answer), only="env.observations")
    report = await conform(subject, [BY_ID[check]])
    await subject.asker.aclose()
    assert [result.outcome for result in report.results] == ["failed"], [result.reason for result in report.results]
    assert not report.conforms


def test_every_check_is_declared_once_and_every_kind_of_check_has_a_mutation() -> None:
    assert len(BY_ID) == len(CHECKS)
    groups = {check.id.partition(".")[0] for check in CHECKS}
    assert groups == {mutation[0].partition(".")[0] for mutation in MUTATIONS}
    assert all(check.title.zh and check.title.en and check.clause and (check.server is None) != (check.dataset is None) for check in CHECKS)
    assert orjson.dumps([check.id for check in CHECKS])
