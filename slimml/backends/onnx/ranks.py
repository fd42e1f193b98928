"""Ranks by a TreeEnsemble of their own: a search among the cuts of each column, in double.

One balanced tree a column, whose leaves hold the ranks that the column's table gives; the sum of one leaf is that leaf.
Comparing a value with every cut instead takes memory and time for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slimml.backends.onnx.program import ML, Program
from slimml.ir.ops.ranks import Rank

_LEQ = 0  # of nodes_modes


def ranked(program: Program, rank: Rank, values: str, columns: Sequence[int]) -> str:
    """Ranks in double of the columns that `values`, doubles too, holds of the block before `rank`; -1 for NaN."""
    # The loader holds the width that is written down here against the numbers of the features.
    asked = program.op("Reshape", values, program.constant(np.array([0, len(columns)], dtype=np.int64)))
    trees = [_search(rank.cuts[rank.offsets[c] : rank.offsets[c + 1]].astype(np.float64)) for c in columns]
    sizes, leaves = np.array([len(t.threshold) for t in trees]), np.array([t.leaves for t in trees])
    node, leaf = np.cumsum(sizes) - sizes, np.cumsum(leaves) - leaves
    at = np.arange(len(columns))
    is_leaf = np.concatenate([t.is_leaf for t in trees], axis=1)
    below = [t.below + np.where(t.is_leaf[0], leaf[i], node[i]) for i, t in enumerate(trees)]
    above = [t.above + np.where(t.is_leaf[1], leaf[i], node[i]) for i, t in enumerate(trees)]
    found = program.op(
        "TreeEnsemble",
        asked,
        domain=ML,
        aggregate_function=1,
        leaf_targetids=np.repeat(at, leaves).tolist(),
        leaf_weights=np.concatenate([_answers(rank, c, t.leaves) for c, t in zip(columns, trees, strict=True)]),
        n_targets=len(columns),
        nodes_falseleafs=is_leaf[1].astype(np.int64).tolist(),
        nodes_falsenodeids=np.concatenate(above).tolist(),
        nodes_featureids=np.repeat(at, sizes).tolist(),
        nodes_modes=np.full(int(sizes.sum()), _LEQ, dtype=np.uint8),
        nodes_splits=np.concatenate([t.threshold for t in trees]),
        nodes_trueleafs=is_leaf[0].astype(np.int64).tolist(),
        nodes_truenodeids=np.concatenate(below).tolist(),
        post_transform=0,
        tree_roots=(node + [t.root for t in trees]).tolist(),
    )
    missing = program.constant(np.array(-1.0))
    return program.op("Where", program.op("IsNaN", values), missing, found)


def _answers(rank: Rank, column: int, count: int) -> np.ndarray:
    if not len(rank.table):
        return np.arange(count, dtype=np.float64)
    start = int(rank.offsets[column]) + column
    return rank.table[start : start + count].astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """A balanced tree over sorted cuts: node i compares with cut i, leaf r is rank r.

    `below`, `above`: the number of the node, or where `is_leaf` says so (rows: below, above) of the leaf, that follows.
    """

    threshold: np.ndarray
    below: np.ndarray
    above: np.ndarray
    is_leaf: np.ndarray
    root: int
    leaves: int


def _search(cuts: np.ndarray) -> _Search:
    count = len(cuts)
    if not count:  # a node both of whose branches are the one leaf
        nowhere = np.zeros(1, dtype=np.int64)
        return _Search(np.zeros(1), nowhere, nowhere, np.ones((2, 1), dtype=bool), 0, 1)
    to = np.zeros((2, count), dtype=np.int64)
    is_leaf = np.zeros((2, count), dtype=bool)
    low, high = np.array([0]), np.array([count])
    while len(low):
        # Cuts low to high are left to ask: none, and the value has the rank low.
        here = (low + high) // 2
        begin, end = np.stack([low, here + 1]), np.stack([here, high])
        is_leaf[:, here] = begin == end
        to[:, here] = np.where(begin == end, begin, (begin + end) // 2)
        low, high = begin[begin < end], end[begin < end]
    return _Search(cuts, to[0], to[1], is_leaf, count // 2, count + 1)
