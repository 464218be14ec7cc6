"""From text to one syntax tree: bounds, EXPLAIN, SHOW TABLES, DESCRIBE, and where in the text something is."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import TokenType

from services.hub.sql.problems import SqlNotAllowed, SqlSyntax, SqlTooComplex

DIALECT = "duckdb"
MOST_CHARACTERS = 16 * 1024
MOST_NODES = 6000
_EXPLAIN = re.compile(r"(?:\s|--[^\n]*+|(?>/\*.*?\*/))*+(explain)(?=[\s(])", re.IGNORECASE | re.DOTALL)
"""Read from left to right without ever going back: a text of comments alone would else take for ever."""


class Reading(DuckDB):
    """DuckDB's dialect without what is not taken and looks like parameters: texts in dollars (`$1,$2` would begin one), operators such as `?::`."""

    class Tokenizer(DuckDB.Tokenizer):
        HEREDOC_STRINGS = []
        KEYWORDS = {word: kind for word, kind in DuckDB.Tokenizer.KEYWORDS.items() if "?" not in word}


logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it logs statements that it does not know; they are answered instead


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as it was understood."""

    text: str
    kind: Literal["select", "tables", "describe"]
    tree: exp.Expr
    explain: bool = False
    numbered: tuple[int, ...] = ()
    """Where a `?` was numbered, and the tree was read from a longer text: once for each character that was added."""

    def place(self, node: exp.Expr | None) -> dict[str, int]:
        """Line and column, from 1, at which a node begins; empty if it has no place in the text."""
        starts = [int(part.meta["start"]) for part in node.walk() if "start" in part.meta] if node is not None else []
        return place(self.text, self._offset(min(starts))) if starts else {}

    def _offset(self, start: int) -> int:
        return start - sum(1 for added in self.numbered if added < start)


def place(text: str, offset: int) -> dict[str, int]:
    before = text[:offset]
    return {"line": before.count("\n") + 1, "column": offset - (before.rfind("\n") + 1) + 1}


def read(text: str) -> Statement:
    """The one statement in a text. `SqlSyntax`, `SqlNotAllowed` or `SqlTooComplex` say what is wrong with it, and where."""
    _check_text(text)
    explained = _EXPLAIN.match(text)
    plain = text if explained is None else text[: explained.start(1)] + " " * 7 + text[explained.end(1) :]
    try:
        plain, numbered = _with_numbers(plain)
        trees = [tree for tree in sqlglot.parse(plain, dialect=Reading) if tree is not None and not isinstance(tree, exp.Semicolon)]
    except ParseError as error:
        raise _syntax(plain, error) from error
    except TokenError as error:
        raise _unreadable(plain, error) from error
    except RecursionError as error:
        raise SqlTooComplex("The statement is nested too deeply.") from error
    if not trees:
        raise SqlSyntax("There is no statement in the text.", line=1, column=1)
    if len(trees) > 1:
        raise SqlNotAllowed("One statement is taken at a time.", **Statement(text, "select", trees[1]).place(trees[1]))
    tree = trees[0]
    if sum(1 for _ in tree.walk()) > MOST_NODES:
        raise SqlTooComplex(f"The statement has more than {MOST_NODES} parts.")
    return Statement(text, _kind(plain, tree), tree, explained is not None, numbered)


def _with_numbers(text: str) -> tuple[str, tuple[int, ...]]:
    """The text with `$1`, `$2` … for each `?`, and where it grew: a tree does not tell in which order they stood."""
    if "?" not in text:
        return text, ()
    marks = [token.start for token in Reading().tokenize(text) if token.token_type is TokenType.PLACEHOLDER]
    grown, added, start = "", [], 0
    for number, mark in enumerate(marks, 1):
        grown += text[start:mark] + f"${number}"
        added += [len(grown) - 1] * len(str(number))
        start = mark + 1
    return grown + text[start:], tuple(added)


def _check_text(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise SqlTooComplex(f"The statement has {len(text)} characters; at most {MOST_CHARACTERS} are read.")
    for offset, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise SqlSyntax("The statement holds a NUL or half a character.", **place(text, offset))


def _kind(text: str, tree: exp.Expr) -> Literal["select", "tables", "describe"]:
    if isinstance(tree, exp.Query):
        return "select"
    if isinstance(tree, exp.Show) and str(tree.this).upper() == "TABLES" and not _more(tree, "this"):
        return "tables"
    if isinstance(tree, exp.Describe) and isinstance(tree.this, exp.Table):
        return "describe"
    word = re.search(r"\w+", text)
    named = word[0].upper()[:30] if word else "This"
    raise SqlNotAllowed(f"{named} is not taken: statements read, with SELECT, SHOW TABLES, DESCRIBE or EXPLAIN.", **place(text, word.start() if word else 0))


def _more(tree: exp.Expr, *known: str) -> bool:
    return any(value for name, value in tree.args.items() if name not in known)


def _syntax(text: str, error: ParseError) -> SqlSyntax:
    """The first thing that was not understood. sqlglot names the column at which it ends."""
    first = error.errors[0] if error.errors else {}
    line, column = first.get("line"), first.get("col")
    read_so_far = str(first.get("highlight") or "")
    where = {"line": int(line), "column": max(1, int(column) - max(len(read_so_far), 1) + 1)} if line and column else {}
    near = f" near {read_so_far[:40]!r}" if read_so_far else ""
    return SqlSyntax(f"{str(first.get('description') or 'This cannot be read').rstrip('. ')}{near}.", **where)


def _unreadable(text: str, error: TokenError) -> SqlSyntax:
    """A text or comment that does not end."""
    found = re.search(r"(\d+):(\d+)", str(error))
    where = {"line": int(found[1]), "column": max(1, int(found[2]))} if found else place(text, max(0, len(text) - 1))
    return SqlSyntax("Here something begins that does not end: a text in quotes, a name or a comment.", **where)
