"""The splits of a forest, said of the classes into which the cells of one raw column fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimml.ir.forest import IN_SET, MISSING, MISSING_LEFT, Trees
from slimml.passes.folding.cells import UnfoldableError

# Splits times classes that are held at once, and bits of sets that a forest may have.
_ASKED, _BITS = 1 << 26, 1 << 28


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The ranks that a raw column can have from now on.

    `of`        int32: the class of each cell, -1 where a cell is like a missing value
    `old`       (features, classes): the rank that each column of the forest had there
    `missing`   (features,): and where the value is missing
    """

    of: np.ndarray
    old: np.ndarray
    missing: np.ndarray


def classes(ranks: np.ndarray, missing: np.ndarray, *, floats: bool) -> Classes:
    """Classes of cells that stand in their order; ranks (features, cells), missing (features,).

    Cells keep their order where ranks rise with it, or where they are told apart by sets anyway; else they are sorted
    by the rank of the column with the most ranks, and cells alike are one class. `floats`: the cells are of numbers,
    of which some can be NaN; codes are all there.
    """
    rises = (np.diff(ranks, axis=1) >= 0).all(axis=1) & (ranks[:, 0] >= 0)
    binary = (ranks >= 0).all() and all(len(np.unique(r)) <= 2 for r in ranks)
    count = ranks.shape[1]
    if rises.all() or (binary and (len(ranks) > 1 or not floats)) or count == 1:
        return Classes(np.arange(count, dtype=np.int32), ranks, missing)
    main = int(np.argmax([len(np.unique(r)) for r in ranks]))
    order = np.lexsort((*ranks, ranks[main]))
    sorted_ = ranks[:, order]
    fresh = np.append(True, (sorted_[:, 1:] != sorted_[:, :-1]).any(axis=0))
    of = np.empty(count, dtype=np.int32)
    of[order] = np.cumsum(fresh) - 1
    old = sorted_[:, fresh]
    # What is missing already is not told apart from NaN where that is the same in every column.
    gone = (old == missing[:, None]).all(axis=0) & (old == MISSING).any(axis=0) & floats
    place = np.where(gone, MISSING, np.cumsum(~gone) - 1).astype(np.int32)
    if gone.all():
        return Classes(of, old, missing)
    return Classes(place[of], old[:, ~gone], missing)


@dataclass(slots=True)
class Splits:
    """What the different splits of a forest become: `of_node` (n,), and per split its new feature, cut and flags.

    A split into classes that no cut parts gets a row of `members`, whose position its cut is.
    """

    of_node: np.ndarray
    node: np.ndarray
    feature: np.ndarray
    cut: np.ndarray
    flags: np.ndarray
    members: list[np.ndarray]

    @classmethod
    def of(cls, trees: Trees) -> Splits:
        """The splits of a forest, each once; nothing is said of them yet."""
        inner = np.flatnonzero(trees.feature >= 0)
        key = (trees.feature[inner].astype(np.int64) << 34) | (trees.flags[inner].astype(np.int64) << 32)
        _, first, inverse = np.unique(key | trees.cut[inner], return_index=True, return_inverse=True)
        of_node = np.full(trees.nodes, -1, dtype=np.int64)
        of_node[inner] = inverse
        count = len(first)
        zeros = np.zeros(count, dtype=np.int32)
        return cls(of_node, inner[first], zeros, zeros.copy(), np.zeros(count, dtype=np.uint8), [])

    def put(self, trees: Trees, column: int, found: Classes, row: int, feature: int, *, missing: bool) -> None:
        """Say the splits of a column of the forest, which is row `row` of the classes, of the new `feature`.

        `missing`: whether a value of it can be. Raises UnfoldableError where that would take too much memory.
        """
        at = np.flatnonzero(trees.feature[self.node] == column)
        old, nodes = found.old[row], self.node[at]
        self.feature[at] = feature
        cut, flags = trees.cut[nodes], trees.flags[nodes]
        if missing:
            left = lefts(trees, cut, flags, found.missing[row : row + 1])[:, 0]
            self.flags[at] |= MISSING_LEFT * left.astype(np.uint8)
        plain = (flags & IN_SET) == 0
        if len(old) and old[0] >= 0 and (np.diff(old) >= 0).all():
            self.cut[at[plain]] = np.searchsorted(old, cut[plain], side="right") - 1
            some = at[plain][self.cut[at[plain]] < 0]
            self._put_sets(some, np.zeros((len(some), len(old)), dtype=bool))
            at, cut, flags = at[~plain], cut[~plain], flags[~plain]
        if len(at) * len(old) > _ASKED:
            raise UnfoldableError(f"{len(at)} splits of a column into {len(old)} classes are too many to tell apart")
        left = lefts(trees, cut, flags, old)
        count = left.sum(axis=1)
        whole = (left == (np.arange(len(old)) < count[:, None])).all(axis=1) & (count > 0)
        self.cut[at[whole]] = count[whole] - 1
        self._put_sets(at[~whole], left[~whole])

    def _put_sets(self, at: np.ndarray, left: np.ndarray) -> None:
        self.cut[at] = len(self.members) + np.arange(len(at))
        self.flags[at] |= IN_SET
        self.members += list(left)

    def sets(self) -> tuple[np.ndarray, np.ndarray]:
        """The table of sets, each once, and the row of each member list."""
        if not self.members:
            return np.zeros((0, 1), dtype=np.uint32), np.zeros(0, dtype=np.int64)
        words = (max(len(m) for m in self.members) + 31) // 32
        if words * 32 * len(self.members) > _BITS:
            raise UnfoldableError(f"{len(self.members)} sets of up to {words * 32} ranks are too large")
        bits = np.zeros((len(self.members), words * 32), dtype=bool)
        for row, members in zip(bits, self.members, strict=True):
            row[: len(members)] = members
        packed = np.packbits(bits, axis=1, bitorder="little").view("<u4").astype(np.uint32)
        table, position = np.unique(packed, axis=0, return_inverse=True)
        return table, position.reshape(-1)


def lefts(trees: Trees, cut: np.ndarray, flags: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Whether splits of those cuts and flags send ranks left: (splits, ranks)."""
    left = ranks[None, :] <= cut[:, None]
    in_set = np.flatnonzero((flags & IN_SET) != 0)
    if len(in_set):
        word = ranks >> 5
        inside = (word >= 0) & (word < trees.sets.shape[1])
        bits = trees.sets[cut[in_set]][:, np.where(inside, word, 0)] >> (ranks & 31).astype(np.uint32)
        left[in_set] = inside & ((bits & 1) == 1)
    gone = ranks == MISSING
    left[:, gone] = ((flags & MISSING_LEFT) != 0)[:, None]
    return np.asarray(left)
