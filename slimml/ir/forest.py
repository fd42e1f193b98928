"""Trees as flat arrays.

All trees of a forest share the arrays; nodes stand in preorder, tree after tree, so the left child of node i is
i + 1 and only the right child is stored. Splits compare ranks (see ops/ranks.py): small integers, exact everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from slimml.ir.node import require

MISSING = -1  # the rank of a missing value, in every column

MISSING_LEFT, IN_SET = np.uint8(1), np.uint8(2)

# Above this many walks at once (rows x trees) the walk goes tree by tree and drops rows that have arrived; below it
# all trees step together, which costs a few array operations a level however many trees there are.
_TOGETHER = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """The arrays of a forest of T trees and n nodes.

    `feature`  int32 (n,)  input column that the node tests; -1 at a leaf
    `cut`      int32 (n,)  numeric split: left if rank <= cut; set split: row of `sets`; leaf: row of `values`
    `right`    int32 (n,)  right child (the left one is the next node); 0 at a leaf
    `flags`    uint8 (n,)  MISSING_LEFT: a missing value goes left; IN_SET: left if the rank is in the set
    `roots`    int32 (T,)  first node of each tree, rising
    `values`   float64 or float32 (m, w)  leaf values; sums are in their dtype, rounded after each addition
    `sets`     uint32 (s, b)   rank r is in the set if bit r % 32 of word r // 32 is 1; a rank beyond is not in it
    `targets`  int32 (T,)  output column that a tree adds its value to (w = 1), or empty: leaves hold all columns
    `base`     (k,) in the dtype of `values`  what each sum starts from
    """

    feature: np.ndarray
    cut: np.ndarray
    right: np.ndarray
    flags: np.ndarray
    roots: np.ndarray
    values: np.ndarray
    sets: np.ndarray
    targets: np.ndarray
    base: np.ndarray
    _depth: list[int] = field(default_factory=list, repr=False)

    @property
    def count(self) -> int:
        """Number of trees."""
        return len(self.roots)

    @property
    def nodes(self) -> int:
        """Number of nodes, leaves included."""
        return len(self.feature)

    @property
    def dtype(self) -> np.dtype:
        """float64 or float32: what the leaves hold and the sums are made in."""
        return self.values.dtype

    @property
    def leaf(self) -> np.ndarray:
        """bool (n,): which nodes are leaves."""
        return self.feature < 0

    @property
    def ends(self) -> np.ndarray:
        """int64 (T,): one past the last node of each tree."""
        return np.append(self.roots[1:], self.nodes).astype(np.int64)

    def depth(self) -> int:
        """Number of splits on the longest path."""
        if not self._depth:
            self._depth.append(sum(1 for _ in self.levels()) - 1)
        return self._depth[0]

    def levels(self) -> list[np.ndarray]:
        """Node indices by depth, all trees together."""
        level = self.roots.astype(np.int64)
        levels = []
        while len(level):
            levels.append(level)
            inner = level[self.feature[level] >= 0]
            level = np.stack([inner + 1, self.right[inner].astype(np.int64)], axis=1).ravel()
        return levels

    def check(self, width: int) -> None:
        """Raise MalformedGraphError unless every index is in range and every node has one parent in its own tree."""
        for name, dtype, ndim in _ARRAYS:
            array = getattr(self, name)
            require(array.dtype in dtype and array.ndim == ndim, f"Trees.{name} is not {dtype} with {ndim} axes")
        require(self.values.dtype == self.base.dtype, "Trees.base is not in the dtype of the leaves")
        n = self.nodes
        require(n < 2**31 and self.count > 0, "a forest has between 1 and 2**31 nodes")
        require(len(self.cut) == len(self.right) == len(self.flags) == n, "node arrays differ in length")
        require(self.roots[0] == 0 and (np.diff(self.roots) > 0).all() and self.roots[-1] < n, "roots do not rise")
        require((self.feature >= -1).all() and (self.feature < width).all(), "a split reads a column that is not there")
        self._check_children()
        self._check_tables()

    def _check_children(self) -> None:
        inner = np.flatnonzero(self.feature >= 0)
        right = self.right[inner]
        require((self.right[self.leaf] == 0).all(), "a leaf has a child")
        end = self.ends[np.searchsorted(self.roots, inner, side="right") - 1]
        require(((right > inner + 1) & (right < end)).all(), "a right child lies outside of its tree")
        parents = np.bincount(np.concatenate([inner + 1, right]), minlength=self.nodes)
        # Inner nodes minus leaves before a node: a left subtree holds one leaf more than inner nodes, so in preorder
        # a right child stands where its parent does. It is what lets a file leave right children out.
        steps = np.where(self.leaf, -1, 1)
        height = np.cumsum(steps) - steps
        require(np.array_equal(height[right], height[inner]), "the nodes of a tree are not in preorder")
        expected = np.ones(self.nodes, dtype=parents.dtype)
        expected[self.roots] = 0
        require(np.array_equal(parents, expected), "a node has no parent, or two")

    def _check_tables(self) -> None:
        leaf, in_set = self.leaf, (self.flags & IN_SET) != 0
        require((self.flags <= 3).all() and not (in_set & leaf).any(), "unknown node flags")
        require(self.values.shape[0] > 0 and self.values.shape[1] > 0, "the table of leaf values is empty")
        limit = np.where(leaf, len(self.values), np.where(in_set, len(self.sets), 2**31))
        require(((self.cut >= 0) & (self.cut < limit)).all(), "a node points outside of its table")
        require(len(self.base) > 0, "a forest has at least one output")
        if len(self.targets):
            require(self.targets.shape == self.roots.shape and self.values.shape[1] == 1, "a target per tree, please")
            require(self.targets.min() >= 0 and self.targets.max() < len(self.base), "a target is not an output")
        else:
            require(self.values.shape[1] == len(self.base), "leaves are not as wide as the output")


_SUMMED = (np.float64, np.float32)
_ARRAYS = (
    ("feature", (np.int32,), 1),
    ("cut", (np.int32,), 1),
    ("right", (np.int32,), 1),
    ("flags", (np.uint8,), 1),
    ("roots", (np.int32,), 1),
    ("values", _SUMMED, 2),
    ("sets", (np.uint32,), 2),
    ("targets", (np.int32,), 1),
    ("base", _SUMMED, 1),
)
ARRAYS = tuple(name for name, _, _ in _ARRAYS)


def step(trees: Trees, node: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """The children that walks at inner nodes `node`, whose tested columns hold `rank`, go to."""
    cut = trees.cut[node]
    left = rank <= cut
    special = rank == MISSING
    if len(trees.sets):
        member = (trees.flags[node] & IN_SET) != 0
        at = np.flatnonzero(member & ~special)
        word = rank[at] >> 5
        inside = word < trees.sets.shape[1]
        bits = trees.sets[cut[at], np.where(inside, word, 0)] >> (rank[at] & 31).astype(np.uint32)
        left[at] = inside & ((bits & 1) == 1)
    if special.any():
        left[special] = (trees.flags[node[special]] & MISSING_LEFT) != 0
    return np.where(left, node + 1, trees.right[node])


def leaves(trees: Trees, ranks: np.ndarray) -> np.ndarray:
    """The leaf that each row reaches in each tree: ranks int32 (n, p) to node indices int64 (n, T)."""
    if len(ranks) * trees.count <= _TOGETHER:
        rows = np.repeat(np.arange(len(ranks)), trees.count)
        node = np.tile(trees.roots.astype(np.int64), len(ranks))
        return _walk(trees, ranks, rows, node).reshape(len(ranks), trees.count)
    out = np.empty((len(ranks), trees.count), dtype=np.int64)
    for t, (root, end) in enumerate(zip(trees.roots.tolist(), trees.ends.tolist(), strict=True)):
        # One tree's nodes fit the cache; a slice of the arrays keeps the gathers inside of it.
        one = replace(trees, **{a: getattr(trees, a)[root:end] for a in ("feature", "cut", "flags")},
                      right=trees.right[root:end] - np.int32(root))  # fmt: skip
        out[:, t] = root + _walk(one, ranks, np.arange(len(ranks)), np.zeros(len(ranks), dtype=np.int64))
    return out


def _walk(trees: Trees, ranks: np.ndarray, rows: np.ndarray, node: np.ndarray) -> np.ndarray:
    flat, width = np.ascontiguousarray(ranks).ravel(), ranks.shape[1]
    start = rows * width
    active = np.flatnonzero(trees.feature[node] >= 0)
    while len(active):
        at = node[active]
        moved = step(trees, at, flat[start[active] + trees.feature[at]])
        node[active] = moved
        active = active[trees.feature[moved] >= 0]
    return node


def sums(trees: Trees, leaf: np.ndarray) -> np.ndarray:
    """base + the values of each row's leaves, added tree by tree in their dtype: (n, T) node indices to (n, k).

    The order of the additions is the original's, so the bits are too.
    """
    n = len(leaf)
    rows = trees.cut[leaf]
    if n * trees.count <= _TOGETHER:
        return _sums_together(trees, rows)
    out = np.tile(trees.base, (n, 1))
    for t in range(trees.count):
        value = trees.values[rows[:, t]]
        if len(trees.targets):
            out[:, trees.targets[t]] += value[:, 0]
        else:
            out += value
    return out


def _sums_together(trees: Trees, rows: np.ndarray) -> np.ndarray:
    if len(trees.targets):
        return added(trees, trees.values[rows, 0])
    return _accumulated(trees, [trees.values[rows, k] for k in range(len(trees.base))])


def added(trees: Trees, terms: np.ndarray) -> np.ndarray:
    """base + a term of each tree, (n, T), added tree by tree to the tree's target: (n, k)."""
    return _accumulated(trees, [terms[:, trees.targets == k] for k in range(len(trees.base))])


def _accumulated(trees: Trees, terms: list[np.ndarray]) -> np.ndarray:
    n = len(terms[0])
    out = np.empty((n, len(terms)), dtype=trees.dtype)
    for column, own in enumerate(terms):
        start = np.full((n, 1), trees.base[column], dtype=trees.dtype)
        # accumulate adds strictly one after another, where sum() would add in pairs.
        out[:, column] = np.add.accumulate(np.concatenate([start, own], axis=1), axis=1)[:, -1]
    return out
