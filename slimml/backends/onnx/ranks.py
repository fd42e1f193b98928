"""Ranks by a TreeEnsemble of their own: a search among the cuts of each column, in double.

One balanced tree a column, whose leaves hold the ranks that the column's table gives; the sum of one leaf is that leaf.
Where a value may be missing the tree asks for that first. Comparing a value with every cut instead takes memory and
time for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slimml.backends.onnx.program import ML, Program
from slimml.ir.forest import MISSING
from slimml.ir.ops.ranks import Rank

_LEQ = 0  # of nodes_modes


def ranked(
    program: Program, rank: Rank, values: str, columns: Sequence[int], asked: Sequence[tuple[int, float | None]]
) -> str:
    """Ranks in double of `values`, doubles too: the columns `columns` of the block before `rank`.

    `asked`: position in `columns`, and what stands for a missing rank; None asks whether it is missing, 1.0 or 0.0.
    """
    gaps = [i for i, c in enumerate(columns) if rank.source.domains[c].missing]
    block, width = values, len(columns) + len(gaps)
    if gaps:
        absent = program.op("Cast", program.op("IsNaN", values), to=11)
        if len(gaps) < len(columns):
            absent = program.op("Gather", absent, program.constant(np.array(gaps, dtype=np.int64)), axis=1)
        block = program.op("Concat", values, absent, axis=1)
    # The loader holds the width that is written down here against the numbers of the features.
    block = program.op("Reshape", block, program.constant(np.array([0, width], dtype=np.int64)))
    trees, number, leaf = [], 0, 0
    flag = dict(zip(gaps, range(len(columns), width), strict=True))
    for i, missing in asked:
        trees.append(_tree(rank, columns[i], i, flag.get(i), missing).moved(number, leaf))
        number, leaf = number + len(trees[-1].threshold), leaf + len(trees[-1].answer)
    to, is_leaf = (np.concatenate([getattr(t, name) for t in trees], axis=1) for name in ("to", "is_leaf"))
    return program.op(
        "TreeEnsemble",
        block,
        domain=ML,
        aggregate_function=1,
        leaf_targetids=np.repeat(np.arange(len(trees)), [len(t.answer) for t in trees]).tolist(),
        leaf_weights=np.concatenate([t.answer for t in trees]),
        n_targets=len(trees),
        nodes_falseleafs=is_leaf[1].astype(np.int64).tolist(),
        nodes_falsenodeids=to[1].tolist(),
        nodes_featureids=np.concatenate([t.feature for t in trees]).tolist(),
        nodes_modes=np.full(number, _LEQ, dtype=np.uint8),
        nodes_splits=np.concatenate([t.threshold for t in trees]),
        nodes_trueleafs=is_leaf[0].astype(np.int64).tolist(),
        nodes_truenodeids=to[0].tolist(),
        post_transform=0,
        tree_roots=[t.root for t in trees],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tree:
    """Nodes that compare `feature` with `threshold`, and what they lead `to`: (2, n), where it holds and where not.

    `is_leaf`: whether that is the number of a leaf, of those that hold `answer`.
    """

    feature: np.ndarray
    threshold: np.ndarray
    to: np.ndarray
    is_leaf: np.ndarray
    answer: np.ndarray
    root: int

    def moved(self, nodes: int, leaves: int) -> _Tree:
        """The same behind so many nodes and leaves of others."""
        to = self.to + np.where(self.is_leaf, leaves, nodes)
        return _Tree(self.feature, self.threshold, to, self.is_leaf, self.answer, self.root + nodes)


def _tree(rank: Rank, column: int, feature: int, absent: int | None, missing: float | None) -> _Tree:
    """The search among a column's cuts: node i compares with cut i, leaf r is the r-th interval.

    `absent`: the feature that is 1.0 where the value is missing.
    """
    cuts = rank.cuts[rank.offsets[column] : rank.offsets[column + 1]].astype(np.float64)
    ranks = np.arange(len(cuts) + 1)
    if len(rank.table):
        ranks = rank.table[ranks + int(rank.offsets[column]) + column]
    if absent is not None:
        ranks = np.append(ranks, MISSING)
    answer = np.where(ranks == MISSING, 1.0 if missing is None else missing, 0.0 if missing is None else ranks)
    to, is_leaf = _search(len(cuts))
    threshold = cuts if len(cuts) else np.zeros(1)  # without a cut: a node both of whose branches are the one leaf
    features, root = np.full(len(threshold), feature), len(cuts) // 2
    if absent is None:
        return _Tree(features, threshold, to, is_leaf, answer, root)
    return _Tree(
        np.append(features, absent),
        np.append(threshold, 0.5),
        np.append(to, [[root], [len(answer) - 1]], axis=1),
        np.append(is_leaf, [[False], [True]], axis=1),
        answer,
        len(threshold),
    )


def _search(count: int) -> tuple[np.ndarray, np.ndarray]:
    """`to` and `is_leaf` of a balanced tree over so many cuts."""
    to = np.zeros((2, max(count, 1)), dtype=np.int64)
    is_leaf = np.full(to.shape, not count)
    low, high = np.zeros(min(count, 1), dtype=np.int64), np.full(min(count, 1), count)
    while len(low):
        # Cuts low to high are left to ask: none, and the value lies in the interval low.
        here = (low + high) // 2
        begin, end = np.stack([low, here + 1]), np.stack([here, high])
        is_leaf[:, here] = begin == end
        to[:, here] = np.where(begin == end, begin, (begin + end) // 2)
        low, high = begin[begin < end], end[begin < end]
    return to, is_leaf
