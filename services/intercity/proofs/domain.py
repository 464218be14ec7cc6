"""The Merkle tree over the log of exchanges: hashes, proofs and how anybody checks them (RFC 9162, section 2.1). Needs nothing but hashing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without entries."""
Place = tuple[int, int]
"""Of a complete subtree: its level (0 is a leaf) and its number among those of that level, from the left."""


def leaf_hash(entry: bytes) -> bytes:
    """Of an entry (RFC 9162, 2.1.1): begins with 0x00, so that no entry can pass for a node."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Of two subtrees (RFC 9162, 2.1.1): begins with 0x01."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def peaks(start: int, end: int) -> list[Place]:
    """The complete subtrees that make up the entries from `start` to before `end`, from the left; `start` as in the recursion of RFC 9162."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def hash_of(start: int, end: int, node: Callable[[Place], bytes]) -> bytes:
    """MTH(D[start:end]) of RFC 9162 from the hashes of complete subtrees."""
    if start == end:
        return EMPTY
    *others, last = peaks(start, end)
    found = node(last)
    for place in reversed(others):
        found = node_hash(node(place), found)
    return found


def grown(size: int, frontier: Mapping[Place, bytes], leaves: Sequence[bytes]) -> tuple[dict[Place, bytes], dict[Place, bytes]]:
    """The subtrees that become complete when leaves are added to a tree of `size` entries, and the new frontier.

    `frontier` holds the hashes of `peaks(0, size)`.
    """
    made: dict[Place, bytes] = {}
    known = dict(frontier)
    for leaf in leaves:
        level, position, found = 0, size, leaf
        made[level, position] = known[level, position] = found
        while position % 2:
            found = node_hash(known[level, position - 1], found)
            level, position = level + 1, position // 2
            made[level, position] = known[level, position] = found
        size += 1
    return made, {place: known[place] for place in peaks(0, size)}


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges of entries whose hashes prove that entry `index` is in a tree of `size` entries, from the leaf up (RFC 9162, 2.1.3.1)."""
    return _path(index, 0, size)


def _path(index: int, start: int, end: int) -> list[tuple[int, int]]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle), (middle, end)]
    return [*_path(index, middle, end), (start, middle)]


def consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """The ranges whose hashes prove that a tree of `second` entries begins with one of `first` entries (RFC 9162, 2.1.4.1)."""
    return _subproof(first, 0, second, whole=True) if 0 < first < second else []


def _subproof(first: int, start: int, end: int, *, whole: bool) -> list[tuple[int, int]]:
    if first == end:
        return [] if whole else [(start, end)]
    middle = start + _split(end - start)
    if first <= middle:
        return [*_subproof(first, start, middle, whole=whole), (middle, end)]
    return [*_subproof(first, middle, end, whole=False), (start, middle)]


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether a proof shows that the leaf is entry `index` of the tree of `size` entries with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place % 2 or place == last:
            found = node_hash(sibling, found)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def consistent(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree of `second` entries begins with that of `first` entries (RFC 9162, 2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY
    hashes = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not hashes:
        return False
    place, last = first - 1, second - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if place % 2 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root
