"""Where in a statement that was failed which DuckDB could not compute: it speaks of what was rendered, not of what was written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from services.hub.sql.statement import Reading, place

_POINTED = re.compile(r"\nLINE \d+: ([^\n]*)\n( *)\^")
_CUT = "..."
_NAMES = (TokenType.IDENTIFIER, TokenType.VAR)
_AHEAD = 6
"""Where the word itself was not written (`CAST` for `::`), one so soon after it tells the place."""


@dataclass(frozen=True, slots=True)
class FailedPlace:
    """A statement as it was written, and as it was rendered for DuckDB."""

    written: str
    rendered: str

    def of(self, message: str) -> dict[str, int]:
        """Line and column in what was written of the word at which DuckDB's message points; empty unless that is certain."""
        offset = self._offset(message)
        if offset is None:
            return {}
        try:
            written, rendered = (Reading().tokenize(text) for text in (self.written, self.rendered))
        except TokenError:
            return {}
        first = next((number for number, token in enumerate(rendered) if token.start <= offset <= token.end), None)
        if first is None:
            return {}
        for number in range(_last_of_name(rendered, first), min(first + _AHEAD, len(rendered))):
            if (found := _same(rendered, number, written)) is not None:
                return place(self.written, found.start)
        return {}

    def _offset(self, message: str) -> int | None:
        """Where DuckDB points in what was rendered: it shows a piece of it, and a mark below."""
        found = _POINTED.search(message)
        if found is None:
            return None
        line = message[message.index("LINE", found.start()) : found.end(1)]
        shown, mark = found[1], len(found[2]) - (len(line) - len(found[1]))
        if shown.startswith(_CUT):
            shown, mark = shown[len(_CUT) :], mark - len(_CUT)
        shown = shown.removesuffix(_CUT)
        start = self.rendered.find(shown)
        if start < 0 or self.rendered.find(shown, start + 1) >= 0 or not 0 <= mark < len(shown):
            return None
        return start + mark


def _last_of_name(tokens: Sequence[Token], number: int) -> int:
    """The last part of a name in parts: the first ones may have been added."""
    while number + 2 < len(tokens) and tokens[number].token_type in _NAMES and tokens[number + 1].token_type is TokenType.DOT:
        number += 2
    return number


def _same(rendered: Sequence[Token], number: int, written: Sequence[Token]) -> Token | None:
    """The word of what was written that a word of what was rendered came from: there are as many of it in both, or but one was written."""
    word = _word(rendered[number])
    if word is None:
        return None
    theirs = [token for token in written if _word(token) == word]
    mine = [place for place, token in enumerate(rendered) if _word(token) == word]
    if len(theirs) == len(mine):
        return theirs[mine.index(number)]
    return theirs[0] if len(theirs) == 1 else None


def _word(token: Token) -> tuple[bool, str] | None:
    """What makes a word: names and functions in whatever case, texts as they are; signs are none."""
    if token.token_type is TokenType.STRING:
        return True, token.text
    return (False, token.text.lower()) if re.match(r"\w", token.text) else None
