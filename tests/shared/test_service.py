"""The factory: ids, bounds, problems and health are the same in every service."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import text

from shared.auth import may
from shared.caller import Caller
from shared.database import Reader, Session, new_metadata
from shared.errors import Problem, problem_types
from shared.service import Service, create_app
from shared.testing import running, serving
from shared.vocabulary import Text
from tests.city import City

router = APIRouter()


class Note(BaseModel):
    text: str


@router.post("/notes", status_code=201)
async def write(note: Note, session: Session, caller: Annotated[Caller, may("toy:write")]) -> dict[str, Any]:
    await session.execute(text("INSERT INTO notes (text) VALUES (:text)"), {"text": note.text})
    if note.text == "fail":
        raise RuntimeError("after the write")
    return {"text": note.text}


@router.get("/notes")
async def read(session: Session, caller: Annotated[Caller, may("toy:read")]) -> list[str]:
    return [row.text for row in await session.execute(text("SELECT text FROM notes ORDER BY text"))]


@router.post("/length")
async def length(request: Request) -> int:
    return len(await request.body())


@router.get("/slow")
async def slow(session: Session) -> None:
    await session.execute(text("SELECT pg_sleep(30)"))


@router.get("/write-as-reader")
async def write_as_reader(reader: Reader) -> None:
    await reader.execute(text("INSERT INTO notes (text) VALUES ('x')"))


TOY = Service(name="toy", title=Text("玩具", "Toy"), routers=[router], metadata=new_metadata(), loads=["/bulk"])
DDL = ["CREATE TABLE notes (text text NOT NULL)"]


@pytest.fixture(scope="module")
async def app(city: City) -> FastAPI:
    return create_app(TOY, city.settings(TOY, ddl=DDL, body_limit=1000, statement_timeout_s=1))


@pytest.fixture(scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as made:
        yield made


@pytest.fixture
def writer(city: City) -> dict[str, str]:
    return city.headers("toy", scope="toy:read toy:write")


async def test_what_was_answered_is_committed_and_what_failed_is_not(client: httpx.AsyncClient, writer: dict[str, str]) -> None:
    assert (await client.post("/notes", json={"text": "kept"}, headers=writer)).status_code == 201
    failed = await client.post("/notes", json={"text": "fail"}, headers=writer)
    assert (failed.status_code, failed.json()["type"]) == (500, "/problems/internal")
    assert "after the write" not in failed.text
    assert (await client.get("/notes", headers=writer)).json() == ["kept"]


async def test_every_answer_bears_a_request_id_and_takes_over_a_sane_one(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz", headers={"X-Request-Id": "abc-123"})).headers["x-request-id"] == "abc-123"
    forged = (await client.get("/nowhere", headers={"X-Request-Id": "a b\tc" + "x" * 99})).json()
    assert re.fullmatch(r"[0-9A-Z]{26}", forged["request_id"])


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("DELETE", "/notes", 405, "method-not-allowed"),
        ("GET", "/notes", 401, "unauthenticated"),
        ("GET", "/problems/nonsense", 404, "not-found"),
        ("GET", "/slow", 503, "query-too-slow"),
    ],
)
async def test_failures_are_problems(client: httpx.AsyncClient, method: str, path: str, status: int, kind: str) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["type"], answer.headers["content-type"]) == (status, f"/problems/{kind}", "application/problem+json")
    assert answer.json()["instance"] == path


async def test_a_missing_scope_is_named(client: httpx.AsyncClient, city: City) -> None:
    answer = await client.post("/notes", json={"text": "x"}, headers=city.headers("toy", scope="toy:read"))
    assert answer.status_code == 403
    assert "toy:write" in answer.json()["detail"]


async def test_a_wrong_body_names_the_field(client: httpx.AsyncClient, writer: dict[str, str]) -> None:
    answer = (await client.post("/notes", json={"text": 7}, headers=writer)).json()
    assert (answer["status"], answer["pointer"]) == (422, "/text")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{", b'{"text": "\\ud800"}', b'{"text": "a\\u0000b"}', b"[" * 900, b'{"text": NaN}'])
async def test_broken_bodies_are_the_clients_fault(client: httpx.AsyncClient, writer: dict[str, str], body: bytes) -> None:
    answer = await client.post("/notes", content=body, headers=writer | {"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_over_the_limit_is_refused_declared_or_not(client: httpx.AsyncClient, writer: dict[str, str]) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    headers = writer | {"Content-Type": "application/json"}
    declared = await client.post("/notes", content=b"x" * 2000, headers=headers)
    chunked = await client.post("/notes", content=endless(), headers=headers)
    assert [(answer.status_code, answer.json()["type"]) for answer in (declared, chunked)] == [(413, "/problems/body-too-large")] * 2


async def test_a_sender_that_goes_away_is_no_failure_of_the_service(app: FastAPI, client: httpx.AsyncClient) -> None:
    heard = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])
    said: list[Any] = []

    async def receive() -> Any:
        return next(heard)

    async def send(message: Any) -> None:
        said.append(message)

    named = {"method": "POST", "path": "/length", "raw_path": b"/length", "query_string": b"", "headers": [(b"content-length", b"8")]}
    await app({"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "server": ("test", 80), **named}, receive, send)
    assert said[0]["status"] == 400 and b"/problems/body-cut-short" in said[1]["body"]


async def test_reads_of_the_contract_cannot_write(client: httpx.AsyncClient, writer: dict[str, str]) -> None:
    assert (await client.get("/write-as-reader")).status_code == 500
    assert "x" not in (await client.get("/notes", headers=writer)).json()


async def test_problem_types_explain_themselves_in_both_languages(client: httpx.AsyncClient) -> None:
    for slug, kind in problem_types().items():
        page = (await client.get(f"/problems/{slug}")).json()
        assert page["status"] == kind.status
        assert all(page[part][language] for part in ("title", "remedy") for language in ("zh", "en"))


async def test_a_chinese_reader_gets_a_chinese_title(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nowhere", headers={"Accept-Language": "zh-CN"})).json()["title"] == "不存在"


async def test_problem_slugs_are_unique() -> None:
    kinds = [kind for kind in _all_problems() if "slug" in vars(kind)]
    assert len({kind.slug for kind in kinds}) == len(kinds)


def _all_problems() -> list[type[Problem]]:
    found: list[type[Problem]] = []
    queue = [Problem]
    while queue:
        kind = queue.pop()
        found.append(kind)
        queue += kind.__subclasses__()
    return found


async def test_measurements_are_by_route_not_by_path(client: httpx.AsyncClient) -> None:
    await client.get("/problems/some-made-up-name")
    measured = (await client.get("/metrics")).text
    assert 'route="/problems/{slug}"' in measured
    assert "some-made-up-name" not in measured


async def test_readiness_names_the_dependency_that_fails(city: City) -> None:
    app = create_app(TOY, city.settings(TOY, ddl=DDL))
    async with serving(app) as client:
        assert (await client.get("/readyz")).json()["status"] in ("ready", "degraded")
        city.postgres.stop()
        try:
            down = await client.get("/readyz")
            refused = await client.get("/notes", headers=city.headers("toy", scope="toy:read"))
        finally:
            city.postgres.start()
        assert (down.status_code, down.json()["checks"]["database"][:7]) == (503, "failing")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/unavailable")
        for _ in range(50):
            back = await client.get("/notes", headers=city.headers("toy", scope="toy:read"))
            if back.status_code == 200:
                break
            await asyncio.sleep(0.1)
        assert back.status_code == 200


async def test_a_lost_redis_is_degraded_not_unready(city: City) -> None:
    async with running(create_app(TOY, city.settings(TOY, ddl=DDL))) as client:
        city.redis.kill()
        try:
            answer = await client.get("/readyz")
        finally:
            city.redis.start()
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
