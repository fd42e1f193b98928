"""What each split of a forest does to cells: which go left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimml.ir.forest import Trees, step
from slimml.parity.cells import Cells, RankTable

_WORD = 64


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """The different splits of a forest, and what they do to the cells of the raw column that they test.

    `of_node`    the split of each node, -1 at leaves; `node`: a node of each split
    `owner`      the raw column of each split
    `left, right`  (s, 2) closed intervals of the run that go left and right; empty where the first exceeds the second
    `rising`     whether larger values go right
    `specials`   (s, words) one bit per special cell: set where it goes left
    """

    of_node: np.ndarray
    node: np.ndarray
    owner: np.ndarray
    left: np.ndarray
    right: np.ndarray
    rising: np.ndarray
    specials: np.ndarray

    @property
    def count(self) -> int:
        """Number of different splits."""
        return len(self.node)


def splits(trees: Trees, table: RankTable, cells: Cells) -> Splits:
    """The splits of a forest whose columns are those of the table."""
    of_node, node = different(trees)
    owner = table.owner[trees.feature[node]]
    words = max(((cells.count(c) - cells.run[c] + _WORD - 1) // _WORD for c in cells.values), default=1)
    count = len(node)
    found = Splits(
        of_node,
        node,
        owner,
        np.tile(np.array([1, 0]), (count, 1)),
        np.tile(np.array([1, 0]), (count, 1)),
        np.ones(count, dtype=bool),
        np.zeros((count, max(words, 1)), dtype=np.uint64),
    )
    order = np.argsort(trees.feature[node], kind="stable")
    features = trees.feature[node][order]
    edges = np.flatnonzero(np.diff(features)) + 1
    for group in np.split(order, edges):
        if len(group) and found.owner[group[0]] >= 0:
            _fill(found, group, trees, table, cells)
    return found


def different(trees: Trees) -> tuple[np.ndarray, np.ndarray]:
    """The number of the split that each node makes (-1 at leaves), and a node for each split."""
    inner = np.flatnonzero(trees.feature >= 0)
    key = (trees.feature[inner].astype(np.int64) << 34) | (trees.flags[inner].astype(np.int64) << 32)
    key |= trees.cut[inner]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    of_node = np.full(trees.nodes, -1, dtype=np.int32)
    of_node[inner] = inverse
    return of_node, inner[first]


def goes_left(trees: Trees, node: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Whether walks at inner nodes that hold those ranks go left; any shape."""
    return np.asarray(step(trees, node.ravel(), rank.ravel()) == node.ravel() + 1).reshape(node.shape)


def _fill(found: Splits, group: np.ndarray, trees: Trees, table: RankTable, cells: Cells) -> None:
    """The splits of `group`, which all test one column."""
    nodes = found.node[group]
    j = int(trees.feature[nodes[0]])
    owner = int(table.owner[j])
    run, total = cells.run[owner], cells.count(owner)
    ranks = table.ranks[table.start[j] : table.start[j] + total]
    shape = (len(nodes), total - run)
    left = goes_left(trees, np.broadcast_to(nodes[:, None], shape), np.broadcast_to(ranks[run:], shape))
    found.specials[group] = _packed(left, found.specials.shape[1])
    if run:
        found.left[group], found.right[group], found.rising[group] = _intervals(trees, nodes, ranks[:run])


def _packed(bits: np.ndarray, words: int) -> np.ndarray:
    padded = np.zeros((len(bits), words * _WORD), dtype=bool)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _intervals(trees: Trees, nodes: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stretches of a run that go left and right, where ranks rise or fall along it.

    Where they do neither, and for sets, the two ends are tried: what is said then of a cell may be wrong, and the nets
    find that out by walking.
    """
    last = len(ranks) - 1
    falling = bool((np.diff(ranks) <= 0).all()) and ranks[0] != ranks[last]
    cut = trees.cut[nodes]
    if falling:
        first_left = len(ranks) - np.searchsorted(ranks[::-1], cut, side="right")
        low = np.stack([first_left, np.full(len(nodes), last)], axis=1)
        high = np.stack([np.zeros(len(nodes), dtype=np.int64), first_left - 1], axis=1)
    else:
        end = np.searchsorted(np.maximum.accumulate(ranks), cut, side="right")
        low = np.stack([np.zeros(len(nodes), dtype=np.int64), end - 1], axis=1)
        high = np.stack([end, np.full(len(nodes), last)], axis=1)
    return low, high, np.full(len(nodes), not falling)
