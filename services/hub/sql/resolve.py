"""Names: which dataset a table is, which table a column is of. What does not exist for the asker is unknown, and something close is named."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from services.hub.governance.noting import note_dataset
from services.hub.sql.domain import SOURCE, TYPES, Catalogue, Table
from services.hub.sql.problems import SqlNotAllowed, SqlSyntax, SqlTooComplex, SqlUnknownColumn, SqlUnknownTable
from services.hub.sql.statement import DIALECT, Statement

LONGEST_LABEL = 60
MOST_TABLES, MOST_SELECTS, MOST_COLUMNS, MOST_EXPANDED = 16, 64, 1000, 20_000
MOST_TOGETHER = 3000
"""Most columns of all SELECTs together: each costs a millisecond to name."""


def resolve(statement: Statement, tree: exp.Expr, catalogue: Catalogue) -> exp.Expr:
    """The tree with every dataset as `"fire"."calls"` and every column with its table; stars and aliases spelled out."""
    names = _columns_of(statement, tree, catalogue)
    _name_columns(tree)
    for star in list(tree.find_all(exp.Star)):
        if not isinstance(star.parent, exp.Count):
            star.set("except_", [*(star.args.get("except_") or []), exp.column(SOURCE)])
    schema: dict[str, object] = {}
    for table in catalogue.values():
        database, _, name = table.dataset.partition(".")
        known = schema.setdefault(database, {})
        known[name] = {column: TYPES[about.kind] for column, about in table.columns.items()} | {SOURCE: "VARCHAR"}  # type: ignore[index]
    try:
        resolved = qualify(tree, schema=schema, dialect=DIALECT)
    except OptimizeError as error:
        raise _unresolved(statement, error, names) from error
    if any(not isinstance(star.parent, exp.Count) for star in resolved.find_all(exp.Star)):
        raise SqlNotAllowed("A * remains that stands for no column, or for more than columns.")
    return resolved


def _name_columns(tree: exp.Expr) -> None:
    """What has no name is called as it was written: `count(*)`."""
    outermost = tree
    while isinstance(outermost, exp.SetOperation | exp.Subquery):
        outermost = outermost.this
    if isinstance(outermost, exp.Select):
        for part in list(outermost.expressions):
            if not isinstance(part, exp.Alias | exp.Column | exp.Star):
                name = part.sql(DIALECT, comments=False, normalize_functions="lower")[:LONGEST_LABEL]
                part.replace(exp.alias_(part.copy(), name, quoted=True))


def note_named(statement: Statement, datasets: Iterable[str]) -> None:
    """Put on record which datasets a statement names, those too that do not exist for the asker: it was tried."""
    known = {dataset.lower(): dataset for dataset in datasets}
    for table in statement.tree.find_all(exp.Table):
        if (dataset := known.get(_named(table))) is not None:
            note_dataset(dataset, ())


def _named(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts).lower()


def dataset_of(statement: Statement, table: exp.Table, catalogue: Catalogue) -> Table:
    """The dataset that a table names: `food.inspections`, quoted in one piece or in two or not at all."""
    name = _named(table)
    if name in catalogue:
        return catalogue[name]
    close = get_close_matches(name, catalogue, n=1) or [known for known in catalogue if known.partition(".")[2] == name][:1]
    hint = f" Did you mean {close[0]}?" if close else " SHOW TABLES lists what there is."
    raise SqlUnknownTable(f"There is no table {name[:80]!r} here.{hint}", **statement.place(table))


def _columns_of(statement: Statement, tree: exp.Expr, catalogue: Catalogue) -> set[str]:
    """Check tables and sizes, write each dataset's name in two parts; the names of all columns that the statement can speak of."""
    scopes = _scopes(statement, tree)
    counts: dict[int, int] = {}
    names: set[str] = set()
    tables = 0
    for scope in scopes:
        widths: dict[str, int] = {}
        for alias, source in scope.sources.items():
            if isinstance(source, exp.Table):
                table = dataset_of(statement, source, catalogue)
                tables += 1
                _rename(source, table.dataset)
                names |= {column.name for column in table.columns.values()} | {SOURCE}
                widths[alias] = len(table.columns)
            else:
                widths[alias] = counts.get(id(source.expression), 0)
        counts[id(scope.expression)] = _width(statement, scope, widths, counts)
    if (together := sum(counts.values())) > MOST_TOGETHER:
        raise SqlTooComplex(f"The SELECTs have {together} columns together; at most {MOST_TOGETHER} are taken.")
    if tables > MOST_TABLES:
        raise SqlTooComplex(f"The statement names {tables} tables; at most {MOST_TABLES} are taken.")
    return names | {alias.alias for alias in tree.find_all(exp.Alias)}


def _scopes(statement: Statement, tree: exp.Expr) -> list[Scope]:
    try:
        scopes = list(traverse_scope(tree))
    except OptimizeError as error:
        named = re.search(r"Alias already used: (.+)", str(error))
        raise SqlSyntax(f"{str(error)[:200]}.", **_named_place(statement, tree, named[1] if named else "")) from error
    if len(scopes) > MOST_SELECTS:
        raise SqlTooComplex(f"The statement holds {len(scopes)} SELECTs; at most {MOST_SELECTS} are taken.")
    return scopes


def _rename(table: exp.Table, dataset: str) -> None:
    database, _, name = dataset.partition(".")
    place = next((part.meta for part in table.walk() if "start" in part.meta), {})
    if not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(name)))
    for key, value in (("db", database), ("this", name)):
        part = exp.to_identifier(value, quoted=True)
        part.meta.update(place)
        table.set(key, part)


def _width(statement: Statement, scope: Scope, widths: dict[str, int], counts: dict[int, int]) -> int:
    """How many columns a SELECT has once its stars are spelled out; refuses what would grow without bound."""
    tree = scope.expression
    if not isinstance(tree, exp.Select):
        return max((counts.get(id(part), 0) for part in (tree.this, tree.args.get("expression")) if part is not None), default=1)
    width, sizes = 0, dict[str, int]()
    for part in tree.expressions:
        star = part if isinstance(part, exp.Star) else part.this if isinstance(part, exp.Column) else None
        if isinstance(star, exp.Star):
            width += sum(widths.values()) if isinstance(part, exp.Star) else widths.get(part.table, 1)
            continue
        width += 1
        size = sum(1 + (sizes.get(node.name, 0) if isinstance(node, exp.Column) and not node.table else 0) for node in part.walk())
        if part.alias:
            sizes[part.alias] = size
        if sum(sizes.values()) > MOST_EXPANDED:
            raise SqlTooComplex("Columns are built on each other too often.", **statement.place(part))
    if width > MOST_COLUMNS:
        raise SqlTooComplex(f"A SELECT has {width} columns; at most {MOST_COLUMNS} are taken.", **statement.place(tree.expressions[0]))
    return width


def _unresolved(statement: Statement, error: OptimizeError, names: Iterable[str]) -> SqlUnknownColumn | SqlNotAllowed | SqlSyntax:
    """What sqlglot found wrong, as a problem with a place."""
    said = re.sub(r"\s*\(?Line: \d+, Col: \d+\)?\.?", "", str(error)).strip().splitlines()[0]
    found = re.search(r"'([^']+)'|: (\w+)$", said)
    name = (found[1] or found[2]) if found else ""
    where = _named_place(statement, statement.tree, name)
    if "mbiguous" in said or name.lower() in {known.lower() for known in names}:
        return SqlSyntax(f"{name[:60]!r} is not to be found here, or could be of several tables: say which, as in table.{name[:60]}.", **where)
    if name and ("resolved" in said or "Unknown column" in said or "Cannot automatically join" in said):
        close = get_close_matches(name, sorted(names), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else " DESCRIBE and the table's name lists its columns."
        return SqlUnknownColumn(f"There is no column {name[:80]!r} here.{hint}", **where)
    return SqlSyntax(f"{said[:200].rstrip('.')}.", **where)


def _named_place(statement: Statement, tree: exp.Expr, name: str) -> dict[str, int]:
    places = [node for node in tree.find_all(exp.Identifier) if node.name.lower() == name.lower() and "start" in node.meta]
    return statement.place(min(places, key=lambda node: node.meta["start"])) if places else {}
