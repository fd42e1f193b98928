"""What the columns that a forest reads can hold, and its splits said in one way each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.forest import IN_SET, MISSING_LEFT, Trees
from slimml.ir.types import ValueType

# Ranks beyond this are not told apart; no table has as many.
_HIGHEST = 2**31 - 2


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The ranks that are proved of each column: low to high (int32), and whether it can be missing."""

    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray

    @classmethod
    def of(cls, block: ValueType) -> Columns:
        """Those of a block of ranks; what is below 0 is missing."""
        low = np.array([d.low for d in block.domains], dtype=np.float64)
        high = np.array([d.high for d in block.domains], dtype=np.float64)
        missing = np.array([d.missing for d in block.domains], dtype=bool) | (low < 0)
        bounds = (np.clip(np.ceil(low), 0, _HIGHEST), np.clip(np.floor(high), -1, _HIGHEST))
        return cls(bounds[0].astype(np.int32), bounds[1].astype(np.int32), missing)


def canonical(trees: Trees, columns: Columns) -> Trees:
    """The trees with cuts, sets and directions that no rank of their column tells apart made the same."""
    inner = np.flatnonzero(trees.feature >= 0)
    feature = trees.feature[inner]
    cut, flags = trees.cut.copy(), trees.flags.copy()
    flags[trees.leaf] = 0
    flags[inner[~columns.missing[feature]]] &= ~MISSING_LEFT
    numeric = (flags[inner] & IN_SET) == 0
    top = np.maximum(columns.high[feature], 0)
    cut[inner] = np.where(numeric, np.minimum(cut[inner], top), cut[inner])
    same = replace(trees, cut=cut, flags=flags, _depth=[])
    return with_sets(same, lambda column, sets: bits_of(sets, int(columns.high[column]) + 1))


def with_sets(trees: Trees, change: Callable[[int, np.ndarray], np.ndarray]) -> Trees:
    """The trees with sets as `change(column, rows of sets)` says them anew, bool (rows, ranks).

    A set of the lowest ranks is a cut; what is left stands in the table once, in the order of the columns.
    """
    if not len(trees.sets):
        return trees
    cut, flags = trees.cut.copy(), trees.flags.copy()
    places: dict[bytes, int] = {}
    for column, nodes in set_splits(trees):
        rows, which = np.unique(trees.cut[nodes], return_inverse=True)
        bits = change(column, trees.sets[rows])
        count = bits.sum(axis=1)
        lowest = (bits == (np.arange(bits.shape[1]) < count[:, None])).all(axis=1) & (count > 0)
        place = count - 1
        for row in np.flatnonzero(~lowest).tolist():
            place[row] = places.setdefault(_key(bits[row]), len(places))
        cut[nodes] = place[which]
        flags[nodes[lowest[which]]] &= ~IN_SET
    return replace(trees, cut=cut, flags=flags, sets=_table(list(places)), _depth=[])


def set_splits(trees: Trees) -> Iterator[tuple[int, np.ndarray]]:
    """The nodes that test sets, by column."""
    nodes = np.flatnonzero((trees.flags & IN_SET) != 0)
    nodes = nodes[np.argsort(trees.feature[nodes], kind="stable")]
    edges = np.flatnonzero(np.diff(trees.feature[nodes])) + 1
    for group in np.split(nodes, edges):
        if len(group):
            yield int(trees.feature[group[0]]), group


def bits_of(sets: np.ndarray, count: int) -> np.ndarray:
    """Which of the ranks 0 to count - 1 are in each set; bool (sets, count)."""
    words = np.ascontiguousarray(sets[:, : max(0, count + 31) // 32], dtype="<u4")
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little", count=None)[:, : max(0, count)]
    out = np.zeros((len(sets), max(0, count)), dtype=bool)
    out[:, : bits.shape[1]] = bits
    return out


def _key(bits: np.ndarray) -> bytes:
    return np.packbits(bits, bitorder="little").tobytes().rstrip(b"\0")


def _table(keys: list[bytes]) -> np.ndarray:
    words = max(1, (max((len(k) for k in keys), default=0) + 3) // 4)
    flat = b"".join(k.ljust(4 * words, b"\0") for k in keys)
    return np.frombuffer(flat, dtype="<u4").reshape(len(keys), words).astype(np.uint32)
