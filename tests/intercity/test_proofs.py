"""The Merkle tree: published vectors of Certificate Transparency, and what must hold for every tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intercity.proofs.domain import (
    EMPTY,
    Place,
    consistency_ranges,
    consistent,
    grown,
    hash_of,
    includes,
    inclusion_ranges,
    leaf_hash,
    node_hash,
)

ENTRIES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Of the first n entries: vectors of the Certificate Transparency reference implementation (google/certificate-transparency, merkle_tree_test)."""
FROM_1_TO_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
FROM_6_TO_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
"""Also the proof that entry 0 is among 8, and the consistency proof from 6 to 8 entries, of the same implementation."""


class Tree:
    """A tree as the gateway keeps it: grown in steps, proofs from the hashes of complete subtrees."""

    def __init__(self, entries: list[bytes], step: int = 3) -> None:
        self.nodes: dict[Place, bytes] = {}
        frontier: dict[Place, bytes] = {}
        for start in range(0, len(entries), step):
            made, frontier = grown(start, frontier, [leaf_hash(entry) for entry in entries[start : start + step]])
            self.nodes |= made

    def root(self, size: int) -> bytes:
        return hash_of(0, size, self.nodes.__getitem__)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return [hash_of(start, end, self.nodes.__getitem__) for start, end in inclusion_ranges(index, size)]

    def consistency(self, first: int, second: int) -> list[bytes]:
        return [hash_of(start, end, self.nodes.__getitem__) for start, end in consistency_ranges(first, second)]


def plain_root(entries: list[bytes]) -> bytes:
    """MTH by the recursion of RFC 9162, 2.1.1, word for word."""
    if not entries:
        return EMPTY
    if len(entries) == 1:
        return leaf_hash(entries[0])
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return node_hash(plain_root(entries[:k]), plain_root(entries[k:]))


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert Tree(ENTRIES[:size], step=1).root(size).hex() == Tree(ENTRIES).root(size).hex() == ROOTS[size]


def test_published_proofs() -> None:
    tree = Tree(ENTRIES)
    assert [one.hex() for one in tree.inclusion(0, 8)] == FROM_1_TO_8
    assert [one.hex() for one in tree.consistency(1, 8)] == FROM_1_TO_8
    assert [one.hex() for one in tree.consistency(6, 8)] == FROM_6_TO_8


@given(st.integers(1, 200), st.data())
def test_every_entry_is_proved_and_no_other(size: int, data: st.DataObject) -> None:
    entries = [str(number).encode() for number in range(size)]
    tree = Tree(entries, step=data.draw(st.integers(1, 50)))
    assert tree.root(size) == plain_root(entries)
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion(index, size)
    assert includes(leaf_hash(entries[index]), index, size, proof, tree.root(size))
    assert not includes(leaf_hash(b"never logged"), index, size, proof, tree.root(size))
    wrong = data.draw(st.integers(0, size - 1))
    assert includes(leaf_hash(entries[index]), wrong, size, proof, tree.root(size)) == (wrong == index)
    if proof:
        assert not includes(leaf_hash(entries[index]), index, size, proof[:-1], tree.root(size))


@given(st.integers(0, 150), st.integers(0, 150), st.data())
def test_growth_is_proved_and_a_fork_is_not(first: int, more: int, data: st.DataObject) -> None:
    second = first + more
    entries = [str(number).encode() for number in range(second)]
    tree = Tree(entries)
    proof = tree.consistency(first, second)
    assert consistent(first, second, tree.root(first), tree.root(second), proof)
    if first:
        forked = [*entries]
        forked[data.draw(st.integers(0, first - 1))] = b"changed"
        other = Tree(forked)
        assert not consistent(first, second, tree.root(first), other.root(second), other.consistency(first, second))
    if proof:
        assert not consistent(first, second, tree.root(first), tree.root(second), proof[1:])
