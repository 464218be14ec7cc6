"""What of a SQL statement is kept: its shape, without values and without names that nobody declared."""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from services.hub.governance.domain import REDACTED
from services.hub.sql.allowed import check
from services.hub.sql.statement import DIALECT, read
from shared.errors import Problem

LONGEST_STATEMENT = 4_000


def shape_of(text: str, fields: Collection[str]) -> tuple[str, set[str]]:
    """The statement with `?` for every value, and the declared fields that it names.

    A name stays if it is that of a field, of a dataset or of something the statement itself names so: a value in the wrong quotes
    (`phone = "139…"`), or in none, reads as a name. Of a statement that would not be taken nothing is kept.
    """
    try:
        statement = read(text)
        check(statement)
    except Problem:
        return REDACTED, set()
    tree = statement.tree
    named = {column.name for column in tree.find_all(exp.Column)}
    allowed = {*map(str.lower, fields), *(part.name.lower() for table in tree.find_all(exp.Table) for part in table.parts)}
    allowed |= {part.alias.lower() for part in tree.find_all(exp.Alias, exp.CTE, exp.Table, exp.Subquery) if part.alias}
    allowed |= {column.name.lower() for alias in tree.find_all(exp.TableAlias) for column in alias.args.get("columns") or ()}

    def without_values(node: exp.Expr) -> exp.Expr:
        match node:
            case exp.Literal() | exp.Placeholder():
                return exp.Placeholder()
            case exp.Identifier() if node.name.lower() not in allowed:
                return exp.to_identifier(REDACTED, quoted=True)
        return node

    shape = tree.transform(without_values).sql(dialect=DIALECT, comments=False)
    return ("EXPLAIN " if statement.explain else "") + shape[:LONGEST_STATEMENT], {name for name in fields if name in named}
