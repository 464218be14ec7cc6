"""CQL2 text, read piece by piece: each pair of parentheses goes to the parser alone, innermost first, with its strings taken out.

`cql2` 0.6 kills the process on some 2,000 nested parentheses, takes a minute for 24 that are never closed (it tries every
reading twice per level), and turns every number into a float. So it never sees a parenthesis within a parenthesis, nor a
quoted character, and what was counted here is exactly what it parses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import cql2

from shared.datasets.filter_bounds import MOST_LEVELS, MOST_OPERATORS, check_number, check_text, check_tree, too_deep, too_many
from shared.errors import InvalidRequest

TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<string>'(?:[^']|'')*') | (?P<quoted>"[\w .:-]{1,100}") | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)
      | (?P<word>[^\W\d][\w.:]*) | (?P<operator><>|<=|>=|!=|[=<>+\-*/%^]) | (?P<open>\() | (?P<close>\)) | (?P<comma>,)""",
    re.VERBOSE,
)
OPERATORS = {"AND", "OR", "NOT", "LIKE", "BETWEEN", "IS", "DIV"}
CONSTANTS = {"TRUE", "FALSE", "NULL"}
GEOMETRIES = {"POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "BBOX"}
GEOMETRY_LEVELS = 4
SIGNS = 3
MOST_DIGITS = 300
"""Longer ones are read as floats, since Python refuses integers of thousands of digits; either way they are out of bounds."""
PIECE = "liandong:piece:"
"""Stands for a piece that has been read; no field begins so."""
MARK = 0xE000
"""A string literal becomes one private-use character, counted from here."""


def read_text(text: str, *, pointer: str) -> Any:
    """CQL2 text as CQL2 JSON (OGC 21-065r2), strings as they were written."""
    check_text(text, pointer=pointer)
    if not text.strip():
        raise InvalidRequest("The filter is empty.", pointer=pointer)
    reading = _Reading(pointer)
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None or PIECE in match[0]:
            raise InvalidRequest(f"The filter holds {text[place]!r} at character {place + 1}, which CQL2 does not know there.", pointer=pointer)
        place = match.end()
        reading.take(match.lastgroup or "", match[0], place, text[place : place + 1])
    tree = reading.finish(place)
    check_tree(tree, pointer=pointer)
    return tree


@dataclass(slots=True)
class _Frame:
    """What stands between two parentheses: a `group`, the arguments of a `call`, an IN `list`, or a `geometry`."""

    kind: str
    word: str
    start: int
    text: list[str] = field(default_factory=list)


class _Reading:
    """The state of one reading: open parentheses, pieces already read, strings taken out, operators counted."""

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        self.frames = [_Frame("group", "", 0)]
        self.pieces: list[Any] = []
        self.strings: list[str] = []
        self.word = ""
        self.operators = self.signs = 0

    def take(self, kind: str, token: str, place: int, following: str) -> None:
        """One token; `place` is where it ends, `following` the character after it."""
        match kind:
            case "space":
                self.frames[-1].text.append(" ")
                return
            case "open":
                self._open(place)
            case "close":
                self._close(place)
            case "string":
                self.strings.append(token[1:-1].replace("''", "'"))
                self.frames[-1].text.append(f"'{chr(MARK + len(self.strings) - 1)}'")
            case "number":
                check_number(int(token) if token.isdecimal() and len(token) < MOST_DIGITS else float(token), pointer=self.pointer)
                self.frames[-1].text.append(token)
            case _:
                counts = not self._sign(token, following) if kind == "operator" else kind == "word" and token.upper() in OPERATORS | {"IN"}
                self._count(counts)
                self.frames[-1].text.append(token)
        if kind in ("open", "close", "comma"):
            self.signs = 0
        self.word = token if kind == "word" else ""

    def finish(self, place: int) -> Any:
        if len(self.frames) > 1:
            raise self._unreadable(self.frames[-1].start, place, "a parenthesis is not closed")
        return self._parse("".join(self.frames[0].text), 0, place)

    def _open(self, place: int) -> None:
        word = self.word.upper()
        top = self.frames[-1]
        if top.kind == "geometry" or word in GEOMETRIES:
            kind = "geometry"
        elif word == "IN":
            kind = "list"
        else:
            kind = "call" if word and word not in OPERATORS | CONSTANTS else "group"
        if kind == "call" or (kind == "geometry" and top.kind != "geometry"):
            while top.text.pop() != self.word:
                pass
            self._count(kind == "call")
        self.frames.append(_Frame(kind, self.word, place - 1))
        if len(self.frames) > MOST_LEVELS + 1 or sum(frame.kind == "geometry" for frame in self.frames) > GEOMETRY_LEVELS:
            raise too_deep(self.pointer)

    def _close(self, place: int) -> None:
        frame = self.frames.pop()
        if not self.frames:
            raise self._unreadable(0, place, "a parenthesis is closed that was not opened")
        content = "".join(frame.text)
        above = self.frames[-1].text
        if frame.kind == "geometry" and self.frames[-1].kind == "geometry":
            above.append(f"({content})")
            return
        if frame.kind == "list":
            self.pieces.append(self._parse(f"list({content})", frame.start, place)["args"])
            above.append(f"({PIECE}{len(self.pieces) - 1})")
            return
        self.pieces.append(self._parse(content if frame.kind == "group" else f"{frame.word}({content})", frame.start, place))
        above.append(f" {PIECE}{len(self.pieces) - 1} ")

    def _count(self, counts: bool) -> None:
        self.operators += counts
        if self.operators > MOST_OPERATORS:
            raise too_many(self.pointer)

    def _sign(self, token: str, following: str) -> bool:
        """Whether this is the sign of a coordinate: in a geometry, before a digit, at most three between commas."""
        if token != "-" or self.frames[-1].kind != "geometry" or not following.isdecimal():
            return False
        self.signs += 1
        return self.signs <= SIGNS

    def _parse(self, text: str, start: int, end: int) -> Any:
        try:
            return self._restore(cql2.parse_text(text).to_json())
        except cql2.ParseError:
            raise self._unreadable(start, end, "it is not CQL2 text") from None

    def _restore(self, node: Any) -> Any:
        """Put strings and pieces back where they stood."""
        match node:
            case str():
                return self.strings[ord(node[0]) - MARK]
            case [{"property": str(name)}] if name.startswith(PIECE) and isinstance(self._piece(name), list):
                return self._piece(name)
            case list():
                return [self._restore(child) for child in node]
            case {"property": str(name)}:
                return self._piece(name) if name.startswith(PIECE) else node
            case dict():
                return {name: child if name in ("op", "type") else self._restore(child) for name, child in node.items()}
        return node

    def _piece(self, name: str) -> Any:
        return self.pieces[int(name.removeprefix(PIECE))]

    def _unreadable(self, start: int, end: int, why: str) -> InvalidRequest:
        return InvalidRequest(f"The filter cannot be read between characters {start + 1} and {end}: {why}.", pointer=self.pointer)
