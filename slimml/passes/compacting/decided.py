"""Which splits the path above has decided.

The rows that reach a node are a box: for each column the ranks that the splits above on that column let through. So a
node needs the state of its own column alone, and that is what the nearest split above on the same column left. All
nodes that have as many such splits above them are taken together; those of one column are nested intervals of the
preorder, which tells which is the nearest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slimml.ir.forest import IN_SET, MISSING_LEFT, Trees
from slimml.passes.compacting.columns import Columns, set_splits
from slimml.passes.folding.splits import lefts

BOTH, LEFT, RIGHT = np.uint8(0), np.uint8(1), np.uint8(2)

# Columns with up to so many ranks are held as sets of ranks where sets test them, others as intervals.
MASKED = 4096
# Different splits of such columns times ranks that are asked at once.
_ASKED = 1 << 23
_WORD = 64


@dataclass(slots=True, eq=False)
class Decided:
    """Where walks go on from each node: BOTH ways, or only LEFT or RIGHT.

    `cut, flags` are those of the trees, with what no rank that gets there tells apart made the same: a missing value
    that cannot come goes right, a cut above all ranks is the column's highest, one below all is next to them.
    """

    way: np.ndarray
    cut: np.ndarray
    flags: np.ndarray


def decided(trees: Trees, ends: np.ndarray, columns: Columns, way: np.ndarray) -> Decided:
    """Go down through all nodes; `ends` is one past each node's subtree. Splits that are not BOTH in `way` are none."""
    out = Decided(way.copy(), trees.cut.copy(), trees.flags.copy())
    inner = np.flatnonzero((trees.feature >= 0) & (way == BOTH))
    masked = np.zeros(len(columns.high), dtype=bool)
    masked[[c for c, _ in set_splits(trees)]] = True
    masked &= columns.high < MASKED
    held = masked[trees.feature[inner]]
    _by_masks(trees, ends, inner[held], columns, out)
    _by_intervals(trees, ends, inner[~held], columns, out)
    return out


def _generations(trees: Trees, ends: np.ndarray, nodes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Nodes by how many above test the same column, and where in the generation before the nearest of these is."""
    size = np.int64(trees.nodes + 1)
    column = trees.feature[nodes].astype(np.int64)
    nodes = nodes[np.argsort(column.astype(np.int16) if column.max(initial=0) < 2**15 else column, kind="stable")]
    first = trees.feature[nodes] * size
    start, stop = first + nodes, np.sort(first + ends[nodes])
    # Those of the column that began before, without those that ended.
    above = np.arange(len(nodes)) - np.searchsorted(stop, start, side="right")
    count = np.bincount(above)
    order = np.argsort(above.astype(np.int16) if len(count) < 2**15 else above, kind="stable")
    last = np.zeros(0, dtype=np.int64)
    for at in np.split(order, np.cumsum(count)[:-1]):
        yield nodes[at], np.searchsorted(last, start[at], side="right") - 1
        last = start[at]


def _by_intervals(trees: Trees, ends: np.ndarray, nodes: np.ndarray, columns: Columns, out: Decided) -> None:
    before = nodes[:0]
    low, high, missing = (a[:0] for a in (columns.low, columns.high, columns.missing))
    for here, place in _generations(trees, ends, nodes):
        if not len(before):
            column = trees.feature[here]
            low, high, missing = columns.low[column], columns.high[column], columns.missing[column]
        else:
            was, low, high, missing = before[place], low[place], high[place], missing[place]
            left = here < trees.right[was]
            numeric = (out.flags[was] & IN_SET) == 0
            cut = out.cut[was]
            high = np.where(numeric & left, np.minimum(high, cut), high)
            low = np.where(numeric & ~left, np.maximum(low, cut + 1), low)
            missing &= ((out.flags[was] & MISSING_LEFT) != 0) == left
        _decide_interval(here, low, high, missing, columns.high[trees.feature[here]], out)
        before = here


def _decide_interval(
    here: np.ndarray, low: np.ndarray, high: np.ndarray, missing: np.ndarray, top: np.ndarray, out: Decided
) -> None:
    """What becomes of nodes that such ranks reach; of sets it is not known which of these they hold."""
    cut, flags = out.cut[here], out.flags[here]
    numeric, some = (flags & IN_SET) == 0, low <= high
    flags = np.where(missing, flags, flags & ~MISSING_LEFT)
    to_left = (flags & MISSING_LEFT) != 0
    left = (some & (~numeric | (low <= cut))) | (missing & to_left)
    right = (some & (~numeric | (high > cut))) | (missing & ~to_left)
    out.way[here] = np.where(~right, LEFT, np.where(~left, RIGHT, BOTH))
    out.flags[here] = flags
    one = numeric & some & left & right
    out.cut[here] = np.where(one & (cut >= high), top, np.where(one & (cut < low), low - 1, cut))


@dataclass(frozen=True, slots=True, eq=False)
class _Masks:
    """Ranks as bits, -1 the first: what each node's split sends left, and what its column can hold at first."""

    split: np.ndarray
    left: np.ndarray
    whole: np.ndarray

    @classmethod
    def of(cls, trees: Trees, nodes: np.ndarray, columns: Columns) -> _Masks:
        """Those of nodes."""
        feature = trees.feature[nodes]
        key = (feature.astype(np.int64) << 34) | (trees.flags[nodes].astype(np.int64) << 32) | trees.cut[nodes]
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        split = np.full(trees.nodes, -1, dtype=np.int32)
        split[nodes] = inverse
        ranks = np.arange(-1, int(columns.high[feature].max(initial=0)) + 1)
        step = max(1, _ASKED // len(ranks))
        parts = [nodes[first[i : i + step]] for i in range(0, len(first), step)]
        left = [_packed(lefts(trees, trees.cut[at], trees.flags[at], ranks)) for at in parts]
        return cls(
            split, np.concatenate(left), np.concatenate([_whole(trees.feature[at], ranks, columns) for at in parts])
        )


def _whole(column: np.ndarray, ranks: np.ndarray, columns: Columns) -> np.ndarray:
    can = (ranks >= columns.low[column, None]) & (ranks <= columns.high[column, None])
    can[:, 0] = columns.missing[column]
    return _packed(can)


def _packed(bits: np.ndarray) -> np.ndarray:
    padded = np.zeros((len(bits), (bits.shape[1] + _WORD - 1) // _WORD * _WORD), dtype=bool)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _by_masks(trees: Trees, ends: np.ndarray, nodes: np.ndarray, columns: Columns, out: Decided) -> None:
    if not len(nodes):
        return
    table = _Masks.of(trees, nodes, columns)
    before, state = nodes[:0], table.whole[:0]
    for here, place in _generations(trees, ends, nodes):
        if not len(before):
            state = table.whole[table.split[here]]
        else:
            was = before[place]
            side = np.where(here < trees.right[was], np.uint64(0), ~np.uint64(0))
            state = state[place] & (table.left[table.split[was]] ^ side[:, None])
        _decide_mask(here, state, table.left[table.split[here]], columns.high[trees.feature[here]], out)
        before = here


def _decide_mask(here: np.ndarray, state: np.ndarray, mask: np.ndarray, top: np.ndarray, out: Decided) -> None:
    """What becomes of nodes that such ranks reach."""
    left, right = state & mask, state & ~mask
    out.way[here] = np.where(~right.any(axis=1), LEFT, np.where(~left.any(axis=1), RIGHT, BOTH))
    missing = (state[:, 0] & np.uint64(1)) != 0
    out.flags[here[~missing]] &= ~MISSING_LEFT
    # Missing values alone go one way: the cut says nothing more.
    left[:, 0] &= ~np.uint64(1)
    right[:, 0] &= ~np.uint64(1)
    cut = out.cut[here]
    one = missing & ((out.flags[here] & IN_SET) == 0) & (out.way[here] == BOTH)
    above, below = one & ~right.any(axis=1), one & ~left.any(axis=1)
    cut[above] = top[above]
    cut[below] = _lowest(right[below]) - 2
    out.cut[here] = cut


def _lowest(bits: np.ndarray) -> np.ndarray:
    """The place of the first bit that is set."""
    word = np.argmax(bits != 0, axis=1)
    found = bits[np.arange(len(bits)), word]
    return np.asarray(64 * word + np.log2((found & (~found + np.uint64(1))).astype(np.float64)).astype(np.int64))
