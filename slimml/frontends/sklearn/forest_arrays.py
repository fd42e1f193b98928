"""From the node arrays of a library to a Forest on ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from slimml.ir.forest import IN_SET, MISSING, MISSING_LEFT, Trees
from slimml.ir.node import Node
from slimml.ir.ops.models import Forest
from slimml.ir.ops.ranks import Rank


def no_sets() -> np.ndarray:
    """The table of sets of a forest that has none."""
    return np.zeros((0, 1), dtype=np.uint32)


@dataclass(frozen=True, slots=True, eq=False)
class RawTrees:
    """The nodes of all trees one after another, in the library's own terms.

    `feature` int64 (n,), -1 at a leaf; `threshold` float64 (n,): left if x <= threshold; `left`, `right` int64 (n,),
    counted over all trees; `missing_left`, `in_set` bool (n,); `set_row` int64 (n,); `values` float64 (n, w): one row
    a node, read at leaves; `roots` int64 (T,).
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    values: np.ndarray
    roots: np.ndarray
    in_set: np.ndarray | None = None
    set_row: np.ndarray | None = None
    sets: np.ndarray = field(default_factory=no_sets)


def joined(parts: Sequence[RawTrees]) -> RawTrees:
    """The trees of all parts, in their order; numeric splits alone, leaves of one width."""
    sizes = np.array([len(p.feature) for p in parts], dtype=np.int64)
    shifts = (np.cumsum(sizes) - sizes).tolist()
    pairs = list(zip(parts, shifts, strict=True))
    return RawTrees(
        feature=np.concatenate([p.feature for p in parts]),
        threshold=np.concatenate([p.threshold for p in parts]),
        left=np.concatenate([np.where(p.left >= 0, p.left + s, -1) for p, s in pairs]),
        right=np.concatenate([np.where(p.right >= 0, p.right + s, -1) for p, s in pairs]),
        missing_left=np.concatenate([p.missing_left for p in parts]),
        values=np.concatenate([p.values for p in parts]),
        roots=np.concatenate([p.roots + s for p, s in pairs]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class RankedColumn:
    """How a column is ranked whose ranks are not the positions of its thresholds: categories, intervals of missing.

    `cuts` (k,), rising, in the column's dtype; `table` int32 (k + 1,): the rank of what lies between them, -1 missing.
    A numeric split of the column has a cut for its threshold, and ranks rise there as cuts do.
    """

    cuts: np.ndarray
    table: np.ndarray


def ranked_forest(
    x: Node,
    raw: RawTrees,
    *,
    base: np.ndarray,
    targets: np.ndarray | None = None,
    given: dict[int, RankedColumn] | None = None,
    origin: str = "",
) -> Node:
    """Forest(Rank(x)): every split of a column becomes a comparison of its rank, exactly.

    The sums are made in the dtype of `base`, float64 or float32, in which the leaves have to be numbers too.
    """
    rank, trees = ranked_trees(x, raw, base=base, targets=targets, given=given, origin=origin)
    return Forest(inputs=(rank,), trees=trees, origin=origin)


def ranked_trees(
    x: Node,
    raw: RawTrees,
    *,
    base: np.ndarray,
    targets: np.ndarray | None = None,
    given: dict[int, RankedColumn] | None = None,
    origin: str = "",
) -> tuple[Node, Trees]:
    """Rank(x), and the trees that read it; rows of leaf values that are equal bit for bit are stored once."""
    inner = raw.feature >= 0
    in_set = raw.in_set if raw.in_set is not None else np.zeros(len(inner), dtype=bool)
    rank, cut = _rank(x, raw, inner & ~in_set, given or {}, origin)
    values, value_row = unique_rows(raw.values[~inner])
    cut[~inner] = value_row
    if raw.set_row is not None:
        cut[in_set] = raw.set_row[in_set]
    # Where nothing can be missing the direction means nothing, and forgetting it makes equal splits equal.
    can_miss = np.append([d.missing for d in rank.type.domains], False)[np.where(inner, raw.feature, -1)]
    flags = MISSING_LEFT * (raw.missing_left & can_miss).astype(np.uint8) | IN_SET * in_set.astype(np.uint8)
    order, right = preorder(raw.left, raw.right, raw.roots)
    feature = np.where(inner, raw.feature, -1)
    trees = Trees(
        feature=feature[order].astype(np.int32),
        cut=cut[order].astype(np.int32),
        right=right,
        flags=flags[order],
        roots=raw.roots.astype(np.int32),
        values=values.astype(base.dtype),
        sets=raw.sets,
        targets=np.zeros(0, np.int32) if targets is None else targets.astype(np.int32),
        base=base,
    )
    return rank, trees


def _rank(
    x: Node, raw: RawTrees, numeric: np.ndarray, given: dict[int, RankedColumn], origin: str
) -> tuple[Node, np.ndarray]:
    """The Rank node, and for every numeric split the rank of its cut."""
    dtype = np.dtype(x.type.dtype)
    at = np.flatnonzero(numeric)
    by_column = at[np.argsort(raw.feature[at], kind="stable")]
    bounds = np.searchsorted(raw.feature[by_column], np.arange(x.type.width + 1))
    cut = np.zeros(len(raw.feature), dtype=np.int64)
    columns, tables = [], []
    for c in range(x.type.width):
        mine = by_column[bounds[c] : bounds[c + 1]]
        if c in given:
            cuts, table = given[c].cuts, given[c].table
            cut[mine] = np.searchsorted(cuts, raw.threshold[mine])
        else:
            cuts, cut[mine] = np.unique(
                canonical_cuts(raw.threshold[mine], dtype, x.type.domains[c].integer), return_inverse=True
            )
            table = np.arange(len(cuts) + 1, dtype=np.int32)
        columns.append(cuts)
        tables.append(table)
    offsets = np.cumsum([0] + [len(c) for c in columns]).astype(np.int64)
    table = np.concatenate(tables) if given else np.zeros(0, dtype=np.int32)
    cuts = np.concatenate([np.zeros(0, dtype), *columns])
    return Rank(inputs=(x,), cuts=cuts, offsets=offsets, table=table, origin=origin), cut


def canonical_cuts(threshold: np.ndarray, dtype: np.dtype, integer: bool) -> np.ndarray:
    """The largest value of the column at which `x <= threshold` holds: the same split, one cut for all its spellings.

    The column holds `dtype` values (float32 for scikit-learn's trees, whose thresholds are doubles), and only whole
    ones if `integer` is proved.
    """
    if integer:
        threshold = np.floor(threshold)
    with np.errstate(over="ignore"):
        cuts = threshold.astype(dtype)
    above = cuts.astype(np.float64) > threshold
    cuts[above] = np.nextafter(cuts[above], dtype.type(-np.inf))
    return np.asarray(cuts + dtype.type(0))  # -0.0 becomes 0.0


def category_column(known: np.ndarray, dtype: np.dtype, outside: int = MISSING) -> RankedColumn:
    """A column of codes, their own ranks where `known`: below 0, beyond the last code and unknown is `outside`.

    The original truncates a value to its code, so code k covers [k, k + 1).
    """
    edges = np.nextafter(np.arange(len(known) + 1, dtype=dtype), dtype.type(-np.inf))
    codes = np.where(known, np.arange(len(known)), outside)
    return RankedColumn(edges, np.concatenate([[outside], codes, [outside]]).astype(np.int32))


def unique_rows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows by their bits, sorted by value column by column, and the row of each; float64 (m, w)."""
    keys = ordered_keys(np.ascontiguousarray(values, dtype=np.float64))
    code = np.zeros(len(values), dtype=np.int64)
    for k in range(keys.shape[1]):
        distinct, position = np.unique(keys[:, k], return_inverse=True)
        _, code = np.unique(code * np.int64(len(distinct)) + position, return_inverse=True)
    first = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.int64)
    first[code[::-1]] = np.arange(len(values))[::-1]
    return np.ascontiguousarray(values[first], dtype=np.float64), code


def ordered_keys(values: np.ndarray) -> np.ndarray:
    """float64 bits as uint64 that sort as the numbers do; distinct bits stay distinct."""
    bits = values.view(np.uint64)
    sign = np.uint64(1) << np.uint64(63)
    return np.where(bits & sign, ~bits, bits | sign)


def preorder(left: np.ndarray, right: np.ndarray, roots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order that puts nodes into preorder, and each node's right child in that order (0 at leaves), int32 (n,).

    `left`, `right`: int64 (n,), -1 at a leaf. Trees stay where they are; depth-first builders are in order already.
    """
    inner = left >= 0
    at = np.flatnonzero(inner)
    # Inner nodes minus leaves before a node: where nodes are in preorder a right child stands as high as its parent.
    steps = np.where(inner, 1, -1)
    height = np.cumsum(steps) - steps
    if np.array_equal(left[at], at + 1) and np.array_equal(height[right[at]], height[at]):
        order = np.arange(len(left))
        return order, np.where(inner, right, 0).astype(np.int32)
    levels = []
    level = roots
    while len(level):
        levels.append(level)
        split = level[inner[level]]
        level = np.concatenate([left[split], right[split]])
    size = np.ones(len(left), dtype=np.int64)
    for level in reversed(levels):
        split = level[inner[level]]
        size[split] += size[left[split]] + size[right[split]]
    position = np.zeros(len(left), dtype=np.int64)
    position[roots] = roots
    for level in levels:
        split = level[inner[level]]
        position[left[split]] = position[split] + 1
        position[right[split]] = position[split] + 1 + size[left[split]]
    order = np.empty(len(left), dtype=np.int64)
    order[position] = np.arange(len(left))
    return order, np.where(inner, position[right], 0)[order].astype(np.int32)
