"""Why a source gave no answer: kinds of failure as problems, each with its word in the coverage."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from shared.datasets.coverage import Status
from shared.errors import Problem
from shared.vocabulary import Text


class SourceFailure(Problem):
    """Why a source gave no answer; `coverage` is how the coverage names it."""

    slug, status = "source-error", 502
    title = Text("来源出错", "Source failed")
    remedy = Text("其余来源的答案仍然有效；请联系该来源的维护者。", "The answer holds for the other sources; tell the source's operator.")
    coverage: ClassVar[Status] = "error"
    said: Mapping[str, Any] = MappingProxyType({})
    """The problem that the source itself answered with, if it did."""


class SourceTimeout(SourceFailure):
    slug, status = "source-timeout", 504
    title = Text("来源未及时答复", "Source did not answer in time")
    remedy = Text("缩小查询，或给更长的 deadline_ms。", "Ask for less, or allow a longer deadline_ms.")
    coverage: ClassVar[Status] = "timeout"


class SourceSkipped(SourceFailure):
    slug, status = "source-skipped", 503
    title = Text("来源屡次失败，暂不询问", "Source left alone after repeated failures")
    remedy = Text("数秒后重试；枢纽会自行再试。", "Try again in some seconds; it is tried again by itself.")
    coverage: ClassVar[Status] = "skipped"


class SourceBusy(SourceSkipped):
    slug = "source-busy"
    title = Text("对该来源的并发请求已满", "Too many calls to the source at once")


class SourceOverloaded(SourceFailure):
    slug, status = "source-overloaded", 503
    title = Text("来源暂时过载", "Source is overloaded")
    remedy = Text("稍后重试。", "Try again in a moment.")


class SourceUnproven(SourceFailure):
    slug = "source-unproven"
    title = Text("来源未证明其身份", "Source has not proven who it is")
    remedy = Text("检查其地址与密钥；GET /sources 显示所固定的密钥。", "Check its address and key; GET /sources shows the pinned one.")


class SourceDenied(SourceFailure):
    slug = "source-denied"
    title = Text("来源拒绝", "Source denied")
    remedy = Text("令牌的权限不足以询问该来源。", "The token's rights do not suffice at this source.")
    coverage: ClassVar[Status] = "denied"


class SourceRefused(SourceFailure):
    """The source says that the question itself is wrong (4xx); `said` is its own problem."""

    slug = "source-refused"
    title = Text("来源认为请求有误", "Source refuses the question")

    def __init__(self, detail: str, status: int, said: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.answered, self.said = status, said
