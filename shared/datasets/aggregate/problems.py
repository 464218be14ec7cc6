"""What can be wrong with an aggregate beyond its parameters: too much asked, broken states, values that no number holds."""

from __future__ import annotations

from shared.errors import Problem
from shared.vocabulary import Text


class InvalidMeasure(Problem):
    slug, status = "invalid-measure", 400
    title = Text("度量无效", "Invalid measure")
    remedy = Text("核对函数、字段及其类型。", "Check the function, the field and its type.")


class InvalidDimension(Problem):
    slug, status = "invalid-dimension", 400
    title = Text("分组维度无效", "Invalid dimension")
    remedy = Text("使用字段、area:<级别> 或 time:<单位>。", "Use a field, `area:<level>` or `time:<unit>`.")


class UnknownColumn(Problem):
    slug, status = "unknown-column", 400
    title = Text("结果中没有此列", "Unknown column")
    remedy = Text("having 与 sortby 只能使用结果中的列。", "`having` and `sortby` take the columns of the answer only.")


class TooManyCells(Problem):
    slug, status = "too-many-cells", 400
    title = Text("分组过多", "Too many cells")
    remedy = Text("减少分组、缩小范围，或使用更粗的时间单位与区域级别。", "Group by less, narrow the filter, or use coarser times and areas.")


class NotFinite(Problem):
    slug, status = "not-finite", 422
    title = Text("结果不是有限的数", "Not a finite number")
    remedy = Text("用 filter 排除无穷大、NaN 或过大的值。", "Exclude infinities, NaN and values too large by `filter`.")


class FixedCellsOnly(Problem):
    slug, status = "fixed-cells-only", 400
    title = Text("个人信息只按固定单元统计", "Personal data are counted in fixed cells only")
    remedy = Text(
        "使用 /collections/{id} 中 cells 所列的表，不加其他条件。",
        "Ask for one of the tables listed under `cells` in /collections/{id}, without other conditions.",
    )


class BrokenStates(Problem):
    slug, status = "broken-states", 502
    title = Text("来源的中间状态无效", "Broken states of a source")
    remedy = Text("来源已被排除在外；请联系其维护者。", "The source is left out of the answer; tell its operator.")
