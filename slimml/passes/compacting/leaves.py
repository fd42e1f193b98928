"""One table of leaf values: each row once, and none that no leaf names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.ir.forest import Trees
from slimml.passes.compacting.subtrees import mixed


def with_equal_leaves(trees: Trees) -> Trees:
    """The trees whose leaves name the first of the rows of values that have the same bits."""
    leaf = trees.leaf
    cut = trees.cut.copy()
    cut[leaf] = first_equal(trees.values)[trees.cut[leaf]]
    return replace(trees, cut=cut, _depth=[])


def first_equal(values: np.ndarray) -> np.ndarray:
    """For each row the first one of the same bits."""
    whole = np.dtype(f"u{values.dtype.itemsize}")
    bits = np.ascontiguousarray(values).view(whole)
    key = bits[:, 0].astype(np.uint64)
    for column in bits.T[1:]:
        key = mixed(key) ^ column
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    found = first[inverse]
    if not all(np.array_equal(column[found], column) for column in bits.T):
        _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
        found = first[inverse.reshape(-1)]
    return np.asarray(found)


def with_named_rows(trees: Trees) -> tuple[Trees, np.ndarray]:
    """The trees without rows of values that no leaf names; and the rows that are left."""
    leaf = trees.leaf
    named = np.zeros(len(trees.values), dtype=bool)
    named[trees.cut[leaf]] = True
    rows = np.flatnonzero(named)
    cut = trees.cut.copy()
    cut[leaf] = (np.cumsum(named) - 1)[trees.cut[leaf]]
    return replace(trees, cut=cut, values=trees.values[rows], _depth=[]), rows
