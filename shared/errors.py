"""Errors as RFC 9457 problems: one class per kind, with a status and a stable type that explains itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from shared.vocabulary import Text


class Problem(Exception):
    """What went wrong, where, and what to do about it.

    Subclasses set `slug`, `status`, `title` and `remedy`; `/problems/{slug}` answers with their explanation.
    """

    slug: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[Text] = Text("内部错误", "Internal error")
    remedy: ClassVar[Text] = Text("请凭请求编号联系维护者。", "Report the request id to the operator.")
    headers: Mapping[str, str] = {}

    def __init__(
        self, detail: str, *, pointer: str | None = None, errors: Sequence[Mapping[str, Any]] = (), headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.errors = list(errors)
        self.extra = extra
        if headers is not None:
            self.headers = headers

    def body(self, instance: str | None = None, request_id: str | None = None) -> dict[str, Any]:
        """The problem as a JSON object (RFC 9457, section 3)."""
        body: dict[str, Any] = {"type": f"/problems/{self.slug}", "title": self.title.en, "status": self.status, "detail": self.detail}
        optional = {"instance": instance, "pointer": self.pointer, "errors": self.errors or None, "request_id": request_id, **self.extra}
        return body | {name: value for name, value in optional.items() if value is not None}


def problem_types() -> dict[str, type[Problem]]:
    """Every kind of problem that has been declared, by slug."""
    found: dict[str, type[Problem]] = {Problem.slug: Problem}
    queue = [Problem]
    while queue:
        for kind in queue.pop().__subclasses__():
            found[kind.slug] = kind
            queue.append(kind)
    return found


class InvalidRequest(Problem):
    slug, status = "invalid-request", 400
    title = Text("请求无效", "Invalid request")
    remedy = Text("按 pointer 所指的参数改正。", "Correct the parameter that `pointer` names.")


class InvalidBody(Problem):
    slug, status = "invalid-body", 422
    title = Text("请求体无效", "Invalid body")
    remedy = Text("按 errors 逐项改正后重发。", "Correct each of `errors` and send again.")


class Unauthenticated(Problem):
    slug, status = "unauthenticated", 401
    title = Text("未认证", "Not authenticated")
    remedy = Text("向枢纽的 /oauth/token 申请本服务的令牌。", "Ask the hub's /oauth/token for a token for this service.")
    headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    slug, status = "forbidden", 403
    title = Text("无权限", "Forbidden")
    remedy = Text("申请包含所需范围的令牌。", "Ask for a token with the scope that `detail` names.")


class NotFound(Problem):
    slug, status = "not-found", 404
    title = Text("不存在", "Not found")
    remedy = Text("核对编号；无权看到的资源同样答为不存在。", "Check the identifier; what you may not see does not exist for you.")


class Conflict(Problem):
    slug, status = "conflict", 409
    title = Text("冲突", "Conflict")
    remedy = Text("先读取当前状态，再决定是否更正。", "Read the present state, then decide whether to correct it.")


class BodyTooLarge(Problem):
    slug, status = "body-too-large", 413
    title = Text("请求体过大", "Body too large")
    remedy = Text("分批发送。", "Send smaller batches.")


class UnsupportedMedia(Problem):
    slug, status = "unsupported-media-type", 415
    title = Text("不支持的媒体类型", "Unsupported media type")
    remedy = Text("使用 detail 所列的媒体类型之一。", "Use one of the media types that `detail` lists.")


class NotAcceptable(Problem):
    slug, status = "not-acceptable", 406
    title = Text("无法提供所求格式", "Not acceptable")
    remedy = Text("使用 detail 所列的格式之一。", "Ask for one of the formats that `detail` lists.")


class TooMany(Problem):
    slug, status = "too-many-requests", 429
    title = Text("请求过多", "Too many requests")
    remedy = Text("按 Retry-After 等待后重试。", "Wait as `Retry-After` says, then try again.")


class Unavailable(Problem):
    slug, status = "unavailable", 503
    title = Text("暂不可用", "Temporarily unavailable")
    remedy = Text("按 Retry-After 等待后重试；未写入任何内容。", "Wait as `Retry-After` says, then try again; nothing was written.")
    headers = {"Retry-After": "2"}
