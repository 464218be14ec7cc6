"""Every failure answered as an RFC 9457 problem, and the pages that explain the problem types."""

from __future__ import annotations

from typing import Any

import asyncpg
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared import log
from shared.api_description import MEDIA_TYPE, describe
from shared.errors import InvalidBody, InvalidRequest, NotFound, Problem, Unavailable, problem_types
from shared.vocabulary import Text

_log = structlog.get_logger("problem")
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError, OSError)
"""What a database says that is away, restarting, full or out of connections."""

router = APIRouter(tags=["problems"])


class MethodNotAllowed(Problem):
    slug, status = "method-not-allowed", 405
    title = Text("不支持的方法", "Method not allowed")
    remedy = Text("使用 Allow 所列的方法。", "Use a method that `Allow` lists.")


class BodyCutShort(Problem):
    slug, status = "body-cut-short", 400
    title = Text("请求体未发完", "Body cut short")
    remedy = Text("重新发送；未写入任何内容。", "Send it again; nothing was written.")


class Unstorable(Problem):
    slug, status = "unstorable-value", 400
    title = Text("值无法存储", "Value cannot be stored")
    remedy = Text("检查数值范围与文本中的控制字符。", "Check the ranges of numbers, and texts for control characters.")


class QueryTooSlow(Problem):
    slug, status = "query-too-slow", 503
    title = Text("查询超时", "Query took too long")
    remedy = Text("缩小时间、区域或字段范围后重试。", "Narrow the time, the area or the fields and ask again.")
    headers = {"Retry-After": "5"}


@router.get("/problems/{slug}", summary="What a problem type means and what to do")
async def explain(slug: str) -> dict[str, Any]:
    kind = problem_types().get(slug)
    if kind is None:
        raise NotFound(f"There is no problem type {slug!r}.")
    return {"type": f"/problems/{slug}", "status": kind.status, "title": kind.title.as_dict(), "remedy": kind.remedy.as_dict()}


def respond(request: Request, problem: Problem) -> Response:
    """The problem as a response; its title in Chinese if the client prefers it."""
    body = problem.body(request.url.path, log.request_id.get())
    if request.headers.get("accept-language", "").lower().startswith("zh"):
        body["title"] = problem.title.zh
    return JSONResponse(body, problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every exception as a problem, and say in the description which."""
    app.include_router(router)
    describe(app)

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> Response:
        return respond(request, problem)

    @app.exception_handler(RequestValidationError)
    async def on_validation(request: Request, error: RequestValidationError) -> Response:
        return respond(request, _from_validation(error))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        return respond(request, _from_http(request, error))

    @app.exception_handler(ClientDisconnect)
    async def on_disconnect(request: Request, error: ClientDisconnect) -> Response:
        return respond(request, BodyCutShort("The sender went away before the end of the body."))

    @app.exception_handler(Exception)
    async def on_exception(request: Request, error: Exception) -> Response:
        answer = respond(request, from_exception(error))
        answer.headers["Connection"] = "close"  # after what nobody foresaw the server cuts the connection: the client must not use it again
        return answer

    for kind in (DBAPIError, PoolTimeout, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # the driver's own: COPY goes past SQLAlchemy
        app.add_exception_handler(kind, on_exception)


def from_exception(error: BaseException) -> Problem:
    """The problem that an unforeseen exception stands for; what is no fault of ours or the client's is logged as ours."""
    cause = error
    if isinstance(error, DBAPIError):
        cause = getattr(error.orig, "__cause__", None) or error
    if isinstance(cause, asyncpg.QueryCanceledError):
        return QueryTooSlow("The database stopped the query at its time limit.")
    if isinstance(error, PoolTimeout) or isinstance(cause, (*_LOST, TimeoutError)):
        _log.warning("dependency unavailable", error=repr(cause))
        return Unavailable("The database does not answer or is busy; nothing was written.")
    if isinstance(cause, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)):
        return Unavailable("Two writes met; nothing of this one was written.")
    if isinstance(cause, (asyncpg.DataError, asyncpg.exceptions._base.InterfaceError)):
        return Unstorable("A value in the request is outside what the database can hold.")
    _log.error("unexpected", exc_info=error)
    return Problem("Something failed that should not have. The request id leads the operator to the cause.")


def _from_validation(error: RequestValidationError) -> Problem:
    found = [
        {
            "pointer": "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in item["loc"][1:]),
            "in": str(item["loc"][0]),
            "code": item["type"],
            "detail": item["msg"],
        }
        for item in error.errors()[:50]
    ]
    kind = InvalidBody if all(item["in"] == "body" for item in found) else InvalidRequest
    first = found[0]
    return kind(f"{first['in']} {first['pointer']}: {first['detail']}", pointer=str(first["pointer"]), errors=found)


def _from_http(request: Request, error: HTTPException) -> Problem:
    if isinstance(error.__cause__, Problem):  # FastAPI wraps what is raised while it reads the body
        return error.__cause__
    if error.status_code == 404:
        return NotFound(f"There is nothing at {request.url.path}.")
    if error.status_code == 405:
        return MethodNotAllowed(f"{request.method} is not possible here.", headers=error.headers)
    if error.status_code == 400:
        return InvalidRequest(str(error.detail))
    problem = Problem(str(error.detail), headers=error.headers)
    problem.status = error.status_code  # type: ignore[misc]  # a framework's own status keeps its meaning
    return problem
