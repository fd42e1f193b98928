"""The trees of a LightGBM text as a Forest on ranks.

How a row walks (Tree::NumericalDecision, Tree::CategoricalDecision and the C API in front of them):

    numbers      a value within kZeroThreshold of 0 is 0, but in csr rows. By what a split takes for missing,
                   none    NaN is 0
                   zero    NaN and 0 are missing
                   NaN     NaN is missing
                 missing goes the way of the default bit; else left if value <= threshold, in double
    categories   the value is truncated to an int; NaN, a negative one and one that is not in the set go right

So the values of one column fall among cuts in up to three ways (zero missing or not, categories); a column that
splits read in several ways is handed to the forest once for each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.frontends.lowerer import Lowerer
from slimml.frontends.sklearn.forest_arrays import RankedColumn, RawTrees, ranked_forest, ranked_trees
from slimml.ingest.lightgbm import ModelText, TreeText
from slimml.ir.forest import Trees
from slimml.ir.node import Node
from slimml.ir.ops.columns import Select
from slimml.ir.ops.models import LinearForest

# meta.h: kZeroThreshold, a float that is compared with doubles.
ZERO = float(np.float32(1e-35))
_BELOW_ZERO = float(np.nextafter(-ZERO, -np.inf))
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO = 0, 1
_PLAIN, _ZERO_MISSING, _CATEGORIES = range(3)
# Words of sets of categories: more than this in all would not fit in memory once they are a table.
_MOST_WORDS = 1 << 26


def lower_trees(model: ModelText, iterations: int, x: Node, ctx: Lowerer, *, sparse: bool) -> Node:
    """The sums of the first iterations' trees (of all where `iterations` is not positive), class by class.

    `x` is the dense float64 block of all features; `sparse`: the original is handed it as csr, of which no value is
    taken for 0 because it is near.
    """
    rounds = rounds_of(model, iterations)
    if not rounds:
        raise ctx.unsupported("a booster without trees")
    raw, kind = _raw_trees(model.trees, rounds * model.outputs, sparse)
    raw, columns = _columns_apart(raw, kind, x.type.width)
    split = x if columns is None else Select(inputs=(x,), index=columns, origin=ctx.where)
    raw, given = _ranked(model.trees, raw, kind, ctx)
    base, targets = np.zeros(model.outputs), np.tile(np.arange(model.outputs), rounds)
    if model.trees.linear[: rounds * model.outputs].any():
        # A leaf is told by its number, behind its value: equal values do not make equal functions.
        numbered = np.zeros((len(raw.feature), 2))
        numbered[:, :1], numbered[raw.feature < 0, 1] = raw.values, np.arange((raw.feature < 0).sum())
        raw = replace(raw, values=numbered)
        rank, trees = ranked_trees(split, raw, base=base, targets=targets, given=given, origin=ctx.where)
        return _linear(model.trees, rank, trees, x, ctx, 0.0 if sparse else ZERO)
    return ranked_forest(split, raw, base=base, targets=targets, given=given, origin=ctx.where)


def _linear(text: TreeText, rank: Node, trees: Trees, x: Node, ctx: Lowerer, small: float) -> Node:
    """The forest with the functions of its leaves; `trees.values` holds (value, number of the leaf)."""
    leaf = trees.values[:, 1].astype(np.int64)
    linear = np.repeat(text.linear, text.leaves)
    const, count = text.value.copy(), np.zeros(len(text.value), dtype=np.int64)
    const[linear], count[linear] = text.const, text.terms
    first = (np.cumsum(count) - count)[leaf]
    terms = _places(first, count[leaf])
    return LinearForest(
        inputs=(rank, x),
        trees=replace(trees, values=np.ascontiguousarray(trees.values[:, :1])),
        const=const[leaf],
        starts=np.cumsum(np.concatenate([[0], count[leaf]])).astype(np.int64),
        columns=text.term_feature[terms],
        weights=text.term_factor[terms],
        small=small,
        origin=ctx.where,
    )


def rounds_of(model: ModelText, iterations: int) -> int:
    """How many iterations answer."""
    rounds = len(model.trees.inner) // model.outputs
    return min(iterations, rounds) if iterations > 0 else rounds


def _raw_trees(trees: TreeText, count: int, sparse: bool) -> tuple[RawTrees, np.ndarray]:
    """The first `count` trees, each with its splits first and its leaves behind, and the kind of every split.

    `set_row` is the number of a split's set in the whole text.
    """
    inner, leaves = trees.inner[:count], trees.leaves[:count]
    roots = np.cumsum(inner + leaves) - (inner + leaves)
    split = _places(roots, inner)
    leaf = _places(roots + inner, leaves)
    n = int((inner + leaves).sum())
    decision = trees.decision[: len(split)]
    of_split = np.repeat(np.arange(count), inner)

    def spread(values: np.ndarray, dtype: type, rest: float = 0) -> np.ndarray:
        whole: np.ndarray = np.full(n, rest, dtype=dtype)
        whole[split] = values[: len(split)]
        return whole

    def child(to: np.ndarray) -> np.ndarray:
        to = to[: len(split)]
        return spread(np.where(to >= 0, roots[of_split] + to, (roots + inner)[of_split] + ~to), np.int64, -1)

    missing = decision >> 2
    in_set = (decision & _CATEGORICAL) != 0
    threshold = trees.threshold[: len(split)]
    left = np.where(missing == _MISSING_NONE, threshold >= 0, (decision & _DEFAULT_LEFT) != 0) & ~in_set
    kind = np.where(in_set, _CATEGORIES, np.where(missing == _MISSING_ZERO, _ZERO_MISSING, _PLAIN))
    values = np.zeros(n)
    values[leaf] = trees.value[: len(leaf)]
    first_set = np.cumsum(trees.sets[:count]) - trees.sets[:count]
    set_row = np.where(in_set, first_set[of_split] + np.where(in_set, threshold, 0).astype(np.int64), 0)
    raw = RawTrees(
        feature=spread(trees.feature, np.int64, -1),
        threshold=spread(threshold if sparse else _without_small(threshold), np.float64),
        left=child(trees.left),
        right=child(trees.right),
        missing_left=spread(left, bool),
        values=values[:, None],
        roots=roots,
        in_set=spread(in_set, bool),
        set_row=spread(set_row, np.int64),
    )
    return raw, spread(kind, np.int64)


def _places(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """starts[t], starts[t] + 1, ..., `counts[t]` of them for each t."""
    return np.asarray(np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts))


def _without_small(threshold: np.ndarray) -> np.ndarray:
    """Thresholds that send a value within ZERO of 0 the way that they send 0."""
    small = (threshold >= -ZERO) & (threshold < ZERO)
    return np.where(small, np.where(threshold >= 0, ZERO, _BELOW_ZERO), threshold)


def _columns_apart(raw: RawTrees, kind: np.ndarray, width: int) -> tuple[RawTrees, np.ndarray | None]:
    """A column for each way in which a feature is read; the features of these columns, None where they are x's own."""
    inner = raw.feature >= 0
    pairs = np.unique(raw.feature[inner] * 3 + kind[inner])
    first = np.append(True, np.diff(pairs // 3) > 0)[: len(pairs)]
    if first.all():
        return raw, None
    column = np.where(first, pairs // 3, width + np.cumsum(~first) - 1)
    feature = raw.feature.copy()
    feature[inner] = column[np.searchsorted(pairs, raw.feature[inner] * 3 + kind[inner])]
    return replace(raw, feature=feature), np.concatenate([np.arange(width), pairs[~first] // 3])


def _ranked(trees: TreeText, raw: RawTrees, kind: np.ndarray, ctx: Lowerer) -> tuple[RawTrees, dict[int, RankedColumn]]:
    """How the columns are ranked of which zero is missing or which hold categories; the forest with their sets."""
    inner = raw.feature >= 0
    given = {}
    for c in np.unique(raw.feature[inner & (kind == _ZERO_MISSING)]).tolist():
        given[c] = _zero_missing(raw.threshold[raw.feature == c])
    assert raw.in_set is not None and raw.set_row is not None
    if not raw.in_set.any():
        return replace(raw, in_set=None, set_row=None), given
    at = np.flatnonzero(raw.in_set)
    members = _members(trees, raw.set_row[at], ctx)
    columns = raw.feature[at]
    ranks: list[np.ndarray] = [np.zeros(0, dtype=np.int64)] * len(at)
    for c in np.unique(columns).tolist():
        mine = np.flatnonzero(columns == c)
        codes = np.unique(np.concatenate([members[i] for i in mine.tolist()]))
        given[c] = _category_column(codes)
        for i in mine.tolist():
            ranks[i] = np.searchsorted(codes, members[i])
    words = max(int(r.max(initial=0)) // 32 + 1 for r in ranks)
    if words * len(at) > _MOST_WORDS:
        raise ctx.unsupported("the sets of categories are too large")
    sets = np.zeros((len(at), words), dtype=np.uint32)
    for row, r in enumerate(ranks):
        np.bitwise_or.at(sets[row], r >> 5, np.uint32(1) << (r & 31).astype(np.uint32))
    set_row = np.zeros(len(raw.feature), dtype=np.int64)
    set_row[at] = np.arange(len(at))
    return replace(raw, set_row=set_row, sets=sets), given


def _zero_missing(thresholds: np.ndarray) -> RankedColumn:
    cuts = np.unique(np.concatenate([thresholds, [_BELOW_ZERO, ZERO]]))
    table = np.arange(len(cuts) + 1, dtype=np.int32)
    # Between the two there may be cuts of csr rows.
    table[np.searchsorted(cuts, _BELOW_ZERO) + 1 : np.searchsorted(cuts, ZERO) + 1] = -1
    return RankedColumn(cuts, table)


def _members(trees: TreeText, sets: np.ndarray, ctx: Lowerer) -> list[np.ndarray]:
    """The codes in each of those sets."""
    start = np.cumsum(trees.set_sizes) - trees.set_sizes
    if trees.set_sizes[sets].sum() > _MOST_WORDS:
        raise ctx.unsupported("the sets of categories are too large")
    found = []
    for s in sets.tolist():
        words = trees.set_words[start[s] : start[s] + trees.set_sizes[s]]
        full = np.flatnonzero(words)
        at, bit = np.nonzero(np.unpackbits(words[full].view(np.uint8), bitorder="little").reshape(-1, 32))
        codes = 32 * full[at] + bit
        # No int holds a larger code.
        found.append(codes[codes < 2**31])
    return found


def _category_column(codes: np.ndarray) -> RankedColumn:
    """Ranks of the codes that some set holds, in their order; all else is missing, which goes right as it should.

    A value is truncated to its code, so that code k covers [k, k + 1), and 0 all of (-1, 1).
    """
    low = np.where(codes > 0, np.nextafter(codes.astype(np.float64), -np.inf), -1.0)
    high = np.nextafter(codes + 1.0, -np.inf)
    cuts = np.unique(np.concatenate([low, high]))
    table = np.full(len(cuts) + 1, -1, dtype=np.int32)
    table[np.searchsorted(cuts, low) + 1] = np.arange(len(codes))
    return RankedColumn(cuts, table)
