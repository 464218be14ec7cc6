"""What a statement may consist of. Only this is ever rendered again as SQL; all else is refused, known to be harmless or not."""

from __future__ import annotations

import re
from difflib import get_close_matches

from sqlglot import exp

from services.hub.sql.problems import SqlNotAllowed
from services.hub.sql.statement import Statement

_STRUCTURE = """
    Select From Join Where Group Having Order Ordered Limit Offset Distinct Union Except Intersect With CTE Subquery Table TableAlias Alias Column
    Identifier Star Paren Tuple Values Qualify Window WindowSpec Cube Rollup GroupingSets Filter WithinGroup IgnoreNulls RespectNulls
    Null Boolean Literal Placeholder Interval Var Cast TryCast DataType DataTypeParam Case If Exists In Between Like ILike Escape Is
    Not Neg And Or EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ Add Sub Mul Div IntDiv Mod DPipe AtTimeZone IntervalSpan
"""
_FUNCTIONS = """
    Count CountIf Sum Avg Min Max Stddev StddevSamp StddevPop Variance VariancePop Median Quantile PercentileCont PercentileDisc ApproxQuantile
    ApproxDistinct AnyValue First Last ArgMax ArgMin Mode Corr CovarSamp CovarPop LogicalAnd LogicalOr GroupConcat Skewness Kurtosis
    RegrSlope RegrIntercept RegrR2 RegrCount Grouping
    RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue
    Abs Ceil Floor Round Trunc Sqrt Cbrt Exp Ln Log Pow Sign Greatest Least Coalesce Nullif IsNan IsInf Pi Radians Degrees
    Sin Cos Tan Asin Acos Atan Atan2 WidthBucket
    Lower Upper Trim Length Left Right Substring Replace StrPosition StartsWith EndsWith Contains Concat ConcatWs SplitPart Pad Reverse
    RegexpLike RegexpFullMatch RegexpExtract RegexpReplace Ascii Chr Levenshtein
    TimestampTrunc DateTrunc Extract DateDiff DateAdd DateSub DateBin TimeToStr StrToTime TimeToUnix UnixToTime DateFromParts LastDay
    Year Quarter Month Week WeekOfYear Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Hour Minute Second Monthname Dayname
    CurrentTimestamp CurrentDate TimestampFromParts TimeFromParts ToDays Translate Unicode BitLength
"""
_NAMED = """
    now get_current_timestamp transaction_timestamp today prefix suffix strlen make_timestamptz make_timestamp make_time date_part timezone isfinite
    date_sub datesub date_diff era epoch_us epoch_ns yearweek isoyear even gcd lcm fdiv fmod add subtract multiply divide
    ends_with ltrim rtrim translate unicode bit_length to_days to_hours to_minutes to_seconds to_weeks to_months to_years
"""
_KINDS = """
    TINYINT SMALLINT INT BIGINT INT128 UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE DECIMAL VARCHAR TEXT CHAR BOOLEAN
    DATE TIME TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ TIMESTAMPLTZ INTERVAL
"""
_UNITS = "MICROSECOND MILLISECOND SECOND MINUTE HOUR DAY WEEK MONTH QUARTER YEAR DECADE CENTURY MILLENNIUM"
_PARTS = "DOW ISODOW DOY EPOCH ISOYEAR WEEKDAY YEARWEEK"
NAMED = frozenset(_NAMED.split())
"""Functions that sqlglot has no class for."""
NODES: frozenset[type[exp.Expr]] = frozenset(getattr(exp, name) for name in (_STRUCTURE + _FUNCTIONS).split())
KINDS = frozenset(_KINDS.split())
UNITS = frozenset([*_UNITS.split(), *(f"{unit}S" for unit in _UNITS.split()), *_PARTS.split()])
_WORDS = re.compile(r"[A-Za-z_]+(?: [A-Za-z_]+){0,3}")
_NUMBER = re.compile(r"\d{1,40}(?:\.\d{0,40})?(?:[eE][+-]?\d{1,3})?|\.\d{1,40}(?:[eE][+-]?\d{1,3})?")
LONGEST_NAME, LONGEST_TEXT = 200, 8192
MOST_DIGITS = 15
_DUCKDB = {name for kind in NODES if issubclass(kind, exp.Func) for name in kind.sql_names() if name.isascii()}
_NAMES = sorted({name.lower() for name in _DUCKDB} | NAMED)


def check(statement: Statement, tree: exp.Expr | None = None) -> None:
    """Refuse the first part of the tree that is not known here. `SqlNotAllowed`."""
    for node in (tree or statement.tree).walk():
        wrong = _wrong(node)
        if wrong:
            raise SqlNotAllowed(wrong, **(statement.place(node) or statement.place(node.parent)))


def _wrong(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Anonymous):
        return None if isinstance(node.this, str) and node.this.lower() in NAMED else _function(str(node.this))
    if type(node) not in NODES:
        return _function(node.sql_name()) if isinstance(node, exp.Func) else f"{_spoken(node)} is not taken here."
    return _contents(node) or _structure(node)


def _function(name: str) -> str:
    close = get_close_matches(name.lower(), _NAMES, n=1)
    return f"The function {name.lower()[:60]!r} is not known here.{f' Did you mean {close[0]!r}?' if close else ''}"


def _spoken(node: exp.Expr) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__)


def _contents(node: exp.Expr) -> str | None:
    """What is rendered as it stands must be a plain word, number or name."""
    match node:
        case exp.Literal(is_string=True):
            return None if len(node.this) <= LONGEST_TEXT else f"A text may have {LONGEST_TEXT} characters."
        case exp.Literal():
            return None if _NUMBER.fullmatch(node.this) else f"{node.this[:40]!r} is no number that is taken here."
        case exp.Identifier():
            return None if 0 < len(node.this) <= LONGEST_NAME else f"A name has 1 to {LONGEST_NAME} characters."
        case exp.Var():
            return None if str(node.this).upper() in UNITS else f"{str(node.this)[:40]!r} is not taken here."
        case exp.DataType():
            known = isinstance(node.this, exp.DataType.Type) and node.this.value in KINDS and not node.args.get("nested")
            return None if known else f"The type {node.sql('duckdb')[:60]} is not taken here."
        case exp.Placeholder():
            return None if re.fullmatch(r"\w{0,60}", str(node.this or "")) else "A parameter is ?, $1 or $name."
    return next((f"{value[:40]!r} is not taken here." for value in node.args.values() if isinstance(value, str) and not _WORDS.fullmatch(value)), None)


def _structure(node: exp.Expr) -> str | None:
    """Forms of allowed parts that are not taken."""
    match node:
        case exp.With() if node.recursive:
            return "WITH RECURSIVE is not taken."
        case exp.Table() if not isinstance(node.this, exp.Identifier):
            return "Functions that give tables are not taken: tables are datasets."
        case exp.Table() if others := {name for name, value in node.args.items() if value} - {"this", "db", "alias", "joins"}:
            return f"{min(others)} is not taken at a table."
        case exp.Join() if others := {name for name, value in node.args.items() if value} - {"this", "on", "side", "kind", "using"}:
            return f"A join {min(others)} is not taken."
        case exp.Star() if others := {name for name, value in node.args.items() if value} - {"except_", "except"}:
            return f"* with {min(others)} is not taken."
        case exp.Column() if node.args.get("db") or node.args.get("catalog"):
            return None if not node.args.get("catalog") else "A column is named by at most its dataset."
        case exp.Select() if not node.expressions:
            return "A SELECT names at least one column."
        case exp.Select() if node.args.get("into") or node.args.get("sample") or node.args.get("hint") or node.args.get("pivots"):
            return "SELECT INTO, samples and pivots are not taken."
        case exp.CTE() if re.match("scan_", node.alias, re.IGNORECASE):
            return "Names that begin with scan_ are kept for what the sources are asked."
    return _size(node)


def _size(node: exp.Expr) -> str | None:
    """Sizes that must be known before anything is computed."""
    match node:
        case exp.Pad() if not isinstance(node.expression, exp.Literal) or not node.expression.is_int or int(node.expression.this) > LONGEST_TEXT:
            return f"A text is padded to a whole number of characters, at most {LONGEST_TEXT}."
        case exp.Limit() | exp.Offset() if not isinstance(node.expression, exp.Literal) or not node.expression.is_int:
            return "LIMIT and OFFSET take a whole number."
        case exp.Limit() | exp.Offset() if len(node.expression.this) > MOST_DIGITS:
            return f"LIMIT and OFFSET take at most {MOST_DIGITS} digits."
    return None
