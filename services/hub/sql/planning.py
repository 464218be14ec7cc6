"""What each source is asked: the columns that are needed, the conditions that it understands, groups where it can make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.scope import Scope, traverse_scope

from services.hub.sql.allowed import check
from services.hub.sql.bounds import bounded
from services.hub.sql.domain import Catalogue, Groups, Plan, Rows, Table
from services.hub.sql.filters import Condition, Translator, all_of, conjuncts_of
from services.hub.sql.grouping import grouped
from services.hub.sql.inward import bring_inward
from services.hub.sql.statement import DIALECT, Statement


def plan(statement: Statement, tree: exp.Expr, catalogue: Catalogue, zone: ZoneInfo, limit: int, *, groups: bool = True) -> Plan:
    """The plan of a resolved tree, which is not changed. At most `limit` rows are given, one more is computed to tell whether there are more.

    Without `groups` all scans are of rows: what remains when the groups turn out to be too many.
    """
    tree = _capped(_pushed_inward(tree.copy()), limit + 1)
    scans: list[Rows | Groups] = []
    names: dict[Rows | str, str] = {}
    scopes = list(traverse_scope(tree))
    columns = _needed(scopes)
    for scope in scopes:
        for alias, source in list(scope.sources.items()):
            if not isinstance(source, exp.Table):
                continue
            table = catalogue[f"{source.db}.{source.name}"]
            translator = Translator(table, zone, lambda column, alias=alias: column.table == alias)  # type: ignore[misc]
            found = grouped(scope, alias, table, translator, f"scan_{len(scans)}") if groups else None
            scan = found or _rows(scope, alias, table, translator, columns.get(id(source), set()), tree, len(scopes))
            known = names.get(scan) if isinstance(scan, Rows) else None
            if known is None:
                known = f"scan_{len(scans)}"
                if isinstance(scan, Rows):
                    names[scan] = known
                scans.append(replace(scan, name=known))
            _point(source, known)
    made = bounded(scopes, scans, catalogue)
    check(statement, tree)
    _only_scans(tree, made)
    linear = tree.find(exp.Join) is None and not _correlated(scopes)
    return Plan(tree.sql(dialect=DIALECT, identify=True, comments=False), tuple(made), _read_once(scopes, made, tree), linear)


def _pushed_inward(tree: exp.Expr) -> exp.Expr:
    """Columns that nobody uses left out of inner SELECTs, and conditions brought into them."""
    if not any(isinstance(source, Scope) for scope in traverse_scope(tree) for source in scope.sources.values()):
        return tree
    tree = pushdown_projections(tree)
    bring_inward(tree, _conjuncts)
    return tree


def _capped(tree: exp.Expr, most: int) -> exp.Expr:
    """The statement with at most so many rows."""
    while isinstance(tree, exp.Subquery) and not any(value for name, value in tree.args.items() if name != "this"):
        tree = tree.this
    own = tree.args.get("limit")
    asked = int(own.expression.this) if isinstance(own, exp.Limit) else most
    if isinstance(tree, exp.Query):
        tree = tree.limit(min(asked, most), copy=False)
    return tree


def _needed(scopes: list[Scope]) -> dict[int, set[str]]:
    """The columns that are used of each table, by the identity of its node."""
    found: dict[int, set[str]] = {}
    for scope in scopes:
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                found.setdefault(id(source), set()).add(column.name.lower())
    return found


def _rows(scope: Scope, alias: str, table: Table, translator: Translator, columns: set[str], tree: exp.Expr, scopes: int) -> _Rows:
    translated = [(conjunct, translator.translate(conjunct)) for conjunct in _conjuncts(scope, alias)]
    condition = all_of([found for _, found in translated if found is not None])
    names = tuple(sorted(table.columns[name].name if name in table.columns else name for name in columns))
    limit = _limit(tree, translated, condition) if scopes == 1 and scope.expression is tree else None
    return _Rows("", table.dataset, names, condition, limit)


class _Rows(Rows):
    """Rows that are the same scan if they ask the same."""

    def __hash__(self) -> int:
        return hash((self.dataset, self.columns, repr(self.filter), self.limit))


def _conjuncts(scope: Scope, alias: str) -> Iterator[exp.Expr]:
    """The conditions under which alone rows of a table can matter: of WHERE unless an outer join may fill the table with nulls, and of its own ON."""
    select = scope.expression
    if not isinstance(select, exp.Select):
        return
    joins = [(join, join.alias_or_name, join.side.upper(), join.kind.upper()) for join in select.args.get("joins") or []]
    filled = _filled(select, joins)
    where = select.args.get("where")
    if where is not None and alias not in filled:
        yield from conjuncts_of(where.this)
    for join, name, side, kind in joins:
        on = join.args.get("on")
        if on is None or side in ("RIGHT", "FULL"):
            continue
        inner = side == "" and kind in ("", "INNER", "CROSS")
        if name == alias or (inner and alias not in filled):
            yield from conjuncts_of(on)


def _filled(select: exp.Select, joins: list[tuple[exp.Join, str, str, str]]) -> set[str]:
    """Tables that an outer join may fill with nulls."""
    start = select.args.get("from_")
    before = [start.this.alias_or_name] if start is not None else []
    filled: set[str] = set()
    for _, name, side, _kind in joins:
        filled |= {name} if side in ("LEFT", "FULL") else set()
        filled |= set(before) if side in ("RIGHT", "FULL") else set()
        before.append(name)
    return filled


def _limit(tree: exp.Expr, translated: list[tuple[exp.Expr, Condition | None]], condition: Condition | None) -> int | None:
    """How many rows suffice, if every row of the scan is a row of the answer."""
    if not isinstance(tree, exp.Select) or any(tree.args.get(part) for part in ("group", "having", "distinct", "qualify", "order", "joins", "with_")):
        return None
    if any(found is None for _, found in translated) or condition != all_of_exactly([found for _, found in translated if found is not None]):
        return None
    if any(tree.find_all(exp.AggFunc, exp.Window)):
        return None
    limit, offset = tree.args.get("limit"), tree.args.get("offset")
    return max(1, int(limit.expression.this) + (int(offset.expression.this) if offset is not None else 0)) if limit is not None else None


def all_of_exactly(conditions: list[Condition]) -> Condition | None:
    return None if not conditions else conditions[0] if len(conditions) == 1 else {"op": "and", "args": conditions}


def _point(source: exp.Table, name: str) -> None:
    """Let a table of the tree be a scan, under the alias that it has."""
    source.set("db", None)
    source.set("this", exp.to_identifier(name, quoted=True))


def _only_scans(tree: exp.Expr, scans: list[Rows | Groups]) -> None:
    """Nothing is rendered that names anything but a scan or a part of the statement itself."""
    known = {scan.name for scan in scans} | {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.name not in known or table.db:
            raise AssertionError(f"{table.name} is no scan")


def _read_once(scopes: list[Scope], scans: list[Rows | Groups], tree: exp.Expr) -> bool:
    """Whether DuckDB reads each scan once: none stands twice, and nothing is computed again for each row of something else."""
    uses: Mapping[str, int] = _count([table.name for table in tree.find_all(exp.Table)])
    return not _correlated(scopes) and not any(True for _ in tree.find_all(exp.CTE)) and all(uses.get(scan.name, 0) <= 1 for scan in scans)


def _correlated(scopes: list[Scope]) -> bool:
    return any(scope.external_columns for scope in scopes)


def _count(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in names}
