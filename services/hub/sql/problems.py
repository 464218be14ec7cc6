"""What can be wrong with a statement: where it is wrong, and what to write instead."""

from __future__ import annotations

from typing import Any

from shared.errors import Problem
from shared.vocabulary import Text

POINTER = "/sql"


class SqlProblem(Problem):
    """A problem at a place of the statement; `line` and `column` count from 1."""

    slug, status = "sql-problem", 400
    title = Text("SQL 语句有误", "Something is wrong with the statement")
    remedy = Text("按 line、column 所指之处改正。", "Correct what `line` and `column` point at.")

    def __init__(self, detail: str, *, line: int | None = None, column: int | None = None, **extra: Any) -> None:
        super().__init__(detail, pointer=POINTER, line=line, column=column, remedy=self.remedy.as_dict(), **extra)


class SqlSyntax(SqlProblem):
    slug = "sql-syntax"
    title = Text("SQL 语法错误", "Syntax error")
    remedy = Text("按 DuckDB 的语法改正 line、column 所指之处。", "Correct what `line` and `column` point at; the dialect is DuckDB's.")


class SqlNotAllowed(SqlProblem):
    slug = "sql-not-allowed"
    title = Text("不接受的语句或函数", "Not taken here")
    remedy = Text("只接受单条 SELECT 与 docs/sql.zh-CN.md 所列的函数。", "One SELECT is taken, with the functions that docs/sql.md lists.")


class SqlUnknownTable(SqlProblem):
    slug = "sql-unknown-table"
    title = Text("没有此表", "No such table")
    remedy = Text("用 SHOW TABLES 查看可查询的数据集。", "SHOW TABLES lists the datasets that can be asked.")


class SqlUnknownColumn(SqlProblem):
    slug = "sql-unknown-column"
    title = Text("没有此列", "No such column")
    remedy = Text("用 DESCRIBE 表名 查看各列。", "DESCRIBE and the table's name lists its columns.")


class SqlParameter(SqlProblem):
    slug = "sql-parameter"
    title = Text("参数与语句不符", "Parameters do not fit the statement")
    remedy = Text("每个 ?、$1 或 $name 在 params 中各给一个值。", "Give one value in `params` for each ?, $1 or $name.")


class SqlTooComplex(SqlProblem):
    slug = "sql-too-complex"
    title = Text("语句过于复杂", "Statement too complex")
    remedy = Text("拆成几条较小的语句。", "Ask in several smaller statements.")


class SqlFailed(SqlProblem):
    slug, status = "sql-failed", 422
    title = Text("语句在计算时出错", "The statement failed while it was computed")
    remedy = Text("按 detail 改正；类型转换可用 TRY_CAST。", "Correct what `detail` says; TRY_CAST gives NULL where a conversion fails.")


class SqlTooLarge(SqlProblem):
    slug, status = "sql-too-large", 422
    title = Text("计算超出内存上限", "The statement needs more memory than it may have")
    remedy = Text("缩小范围、先分组再连接，或分次查询。", "Ask for less, group before joining, or ask in parts.")


class SqlTimeout(SqlProblem):
    slug, status = "sql-timeout", 504
    title = Text("未能及时完成", "Not finished in time")
    remedy = Text("缩小范围，或给更长的 deadline_ms。", "Ask for less, or allow a longer deadline_ms.")


class SqlBusy(Problem):
    slug, status = "sql-busy", 429
    title = Text("正在计算的语句过多", "Too many statements at once")
    remedy = Text("按 Retry-After 等待后重试。", "Wait as `Retry-After` says, then try again.")
    headers = {"Retry-After": "3"}


class SqlUnavailable(Problem):
    slug, status = "sql-unavailable", 503
    title = Text("SQL 暂不可用", "SQL is not available at the moment")
    remedy = Text("稍后重试。", "Try again later.")
    headers = {"Retry-After": "5"}
