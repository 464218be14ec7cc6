"""Paging over paging without any server: hubs over hubs over rows give each row once, in one order, whatever a page takes."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.hub.federation.levels import Position, advanced, check_position, rows_by_leaf, through
from services.hub.federation.union import Portion, check_order, merge

Row = tuple[int | None, str]
"""The one field that is sorted by, and the key."""


def place(row: Row) -> list[str | None]:
    return [None if row[0] is None else f"i{row[0]}", f"s{row[1]}"]


def rank(row: Row, down: bool) -> tuple[Any, ...]:
    return (row[0] is None, 0 if row[0] is None else -row[0] if down else row[0], row[1])


@dataclass
class Node:
    """A sector with rows, or a hub with sources."""

    name: str
    rows: list[Row] = field(default_factory=list)
    below: list[Node] = field(default_factory=list)

    def page(self, position: Position, limit: int, down: bool) -> tuple[Portion, Position]:
        """What it sends for a page, and from where that began."""
        if not self.below:
            ordered = sorted(self.rows, key=lambda row: rank(row, down))
            rest = [row for row in ordered if position is None or rank(row, down) > rank(_row(position), down)]
            return Portion(self.name, [place(row) for row in rest[:limit]], exhausted=len(rest) <= limit), position
        after = position["after"] if position else {node.name: None for node in self.below}
        parts = [node.page(after[node.name], limit, down) for node in self.below]
        for portion, _ in parts:
            check_order(portion, [down])
        merged = merge([portion for portion, _ in parts], [down], limit)
        places = [through(parts[number][0].source, parts[number][0].places[row], 1) for number, row in merged.picked]
        start = {"after": {portion.source: begun for portion, begun in parts}, "out": {}, "known_at": {}}
        check_position(start)
        return Portion(self.name, places, exhausted=merged.done), start

    def leaves(self) -> list[Node]:
        return [leaf for node in self.below for leaf in node.leaves()] if self.below else [self]

    def path(self, leaf: Node) -> tuple[str, ...]:
        return () if self is leaf else next((node.name, *node.path(leaf)) for node in self.below if leaf in node.leaves())


def _row(told: list[str | None]) -> Row:
    return None if told[0] is None else int(told[0][1:]), str(told[1])[1:]


def tree(chance: random.Random, depth: int, name: str = "0") -> Node:
    if depth == 0:
        values = [chance.choice([None, 1, 2, 3]) for _ in range(chance.randrange(12))]
        return Node(name, [(value, f"{number:02d}") for number, value in enumerate(values)])
    return Node(name, below=[tree(chance, chance.randrange(depth) if number else depth - 1, f"{name}{number}") for number in range(chance.randrange(1, 4))])


@pytest.mark.parametrize("seed", range(150))
def test_every_row_comes_once_in_the_order_of_field_hubs_sector_and_key(seed: int) -> None:
    chance = random.Random(seed)
    top, down, limit = tree(chance, chance.randrange(1, 4)), chance.random() < 0.5, chance.randrange(1, 9)
    wanted = sorted(((rank(row, down)[:2], top.path(leaf), row) for leaf in top.leaves() for row in leaf.rows), key=lambda one: (*one[:2], one[2][1]))
    found: list[tuple[Any, ...]] = []
    counted: Counter[str] = Counter()
    position: Position = None
    late = [(value, "late") for value in (1, 3, None)]
    while True:
        portion, start = top.page(position, limit, down)
        taken = portion.places[: chance.randrange(1, limit + 1)]
        found += [(_row([told[0], told[-1]]), tuple(str(part)[1:] for part in told[1:-1])) for told in taken]
        counted += rows_by_leaf(top.name, start, taken, 1)
        position = advanced(start, taken, 1)
        if portion.exhausted and len(taken) == len(portion.places):
            break
        if late and chance.random() < 0.3:  # a row that comes while somebody pages
            chance.choice(top.leaves()).rows.append(late.pop())
    assert len(found) == len(set(found))
    assert [one for one in found if one[0][1] != "late"] == [(row, path) for _, path, row in wanted]
    assert sum(counted.values()) == len(found) and set(counted) <= {leaf.name for leaf in top.leaves()}
