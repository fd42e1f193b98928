"""TreeEnsemble of ai.onnx.ml 5, which also writes what slimml exports.

Splits and leaves are numbered apart, and a leaf may end many branches. A row walks in the dtype of the ensemble; sums
start at +0.0, tree after tree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from slimml.frontends.onnx.trees import MOST_VALUES, tree_by_tree
from slimml.frontends.onnx.values import ML, Step, Tensor, operator
from slimml.frontends.sklearn.forest_arrays import RankedColumn, RawTrees, canonical_cuts, ranked_forest
from slimml.ir.forest import Trees
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Select
from slimml.ir.ops.models import Forest
from slimml.ir.ops.numeric import Divide, FillMissing
from slimml.ir.ops.ranks import Rank

_LEQ, _LT, _GTE, _GT, _EQ, _NEQ, _MEMBER = range(7)
_AVERAGE, _SUM = 0, 1
_MOST_WORDS = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class _Splits:
    """Splits (s,) and what their branches end in: `left` and `right` count leaves from s on, one for each branch.

    `leaf` (n - s,) is the number of the leaf behind each of these; `members`: the values of each set;
    `of_several`: whether it is one of membership_values, and not a single number.
    """

    feature: np.ndarray
    threshold: np.ndarray
    in_set: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaf: np.ndarray
    members: list[np.ndarray]
    of_several: np.ndarray


@operator(ML, "TreeEnsemble")
def tree_ensemble(step: Step) -> tuple[Tensor]:
    """A sum or mean for each target."""
    x, count = step.same_floats(), step.whole("n_targets", 1)
    targets = step.whole_numbers("leaf_targetids")
    weights = _tensor(step, "leaf_weights", len(targets), x)
    if not 0 < count <= 1 << 20 or not len(targets) or targets.min() < 0 or targets.max() >= count:
        raise step.unsupported("a leaf of no target")
    if not np.isfinite(weights).all():
        raise step.unsupported("a leaf that is no finite number")
    splits = _splits(step, x, len(weights))
    raw, target = _raw(step, splits, targets, weights, count)
    given, raw = _ranked(step, x, raw, splits)
    base = np.zeros(count, dtype=weights.dtype)
    forest = ranked_forest(x, raw, base=base, targets=target, given=given, origin=step.ctx.where)
    assert isinstance(forest, Forest)
    return (_finished(step, forest),)


def _finished(step: Step, forest: Forest) -> Tensor:
    aggregate, transform = step.whole("aggregate_function", _SUM), step.whole("post_transform", 0)
    if transform:
        # ONNX has 1 for SOFTMAX and 2 for LOGISTIC; onnxruntime 1.32 computes them the other way round.
        raise step.unsupported(f"post_transform {transform}, which runtimes do not agree about")
    if aggregate not in (_AVERAGE, _SUM):
        raise step.unsupported(f"aggregate_function {aggregate} is not handled")
    total: Node = replace(forest, trees=without_leading_leaves(forest.trees))
    if aggregate == _AVERAGE:
        trees = np.full(total.type.width, forest.trees.count, dtype=total.type.dtype)
        total = Divide(inputs=(total,), value=trees, origin=step.ctx.where)
        return Tensor(total)
    return Tensor(total, forest=forest)


def without_leading_leaves(trees: Trees) -> Trees:
    """The same sums with the leading trees of one leaf in the base, from which they start, one for each output."""
    base, count = trees.base.copy(), 0
    left = set(range(len(base)))
    while count < trees.count - 1 and trees.feature[trees.roots[count]] < 0:
        outputs = {int(trees.targets[count])} if len(trees.targets) else left
        if not outputs or not outputs <= left:
            break
        left = left - outputs
        value = trees.values[trees.cut[trees.roots[count]]]
        base[sorted(outputs)] += value
        count += 1
    if not count:
        return trees
    return replace(
        trees,
        feature=trees.feature[count:],
        cut=trees.cut[count:],
        right=np.where(trees.right[count:] > 0, trees.right[count:] - count, 0).astype(np.int32),
        flags=trees.flags[count:],
        roots=trees.roots[count:] - np.int32(count),
        targets=trees.targets[count:],
        base=base,
    )


def _tensor(step: Step, name: str, count: int, x: Node) -> np.ndarray:
    """An attribute that is a vector in the dtype of what the ensemble reads."""
    value = step.get(name)
    if not isinstance(value, np.ndarray) or value.shape != (count,) or value.dtype != x.type.dtype:
        raise step.unsupported(f"{name} is missing, of another length than its neighbours, or not in {x.type.dtype}")
    return value


def _splits(step: Step, x: Node, leaves: int) -> _Splits:
    modes = step.get("nodes_modes")
    if not isinstance(modes, np.ndarray) or modes.dtype != np.uint8 or modes.ndim != 1 or not len(modes):
        raise step.unsupported("nodes_modes is missing, or no vector of bytes")
    mode, count = modes.astype(np.int64), len(modes)
    if mode.max() > _MEMBER:
        raise step.unsupported(f"splits of the mode {mode.max()}")
    feature = step.whole_numbers("nodes_featureids", count)
    if feature.min() < 0 or feature.max() >= x.type.width:
        raise step.unsupported("a split of no column")
    threshold = _tensor(step, "nodes_splits", count, x)
    step.get("nodes_hitrates")
    tracks = step.whole_numbers("nodes_missing_value_tracks_true", count, optional=True) != 0
    true_leaf, false_leaf = (step.whole_numbers(f"nodes_{side}leafs", count) for side in ("true", "false"))
    true, false = (step.whole_numbers(f"nodes_{side}nodeids", count) for side in ("true", "false"))
    for flag, to in ((true_leaf, true), (false_leaf, false)):
        if not np.isin(flag, (0, 1)).all() or (to < 0).any() or (to >= np.where(flag, leaves, count)).any():
            raise step.unsupported("a branch to a node or leaf that is not there")
    at_true, at_false = np.flatnonzero(true_leaf), np.flatnonzero(false_leaf)
    leaf = np.concatenate([true[at_true], false[at_false]])
    true, false = true.copy(), false.copy()
    true[at_true] = count + np.arange(len(at_true))
    false[at_false] = count + len(at_true) + np.arange(len(at_false))
    swapped = (mode == _GTE) | (mode == _GT) | (mode == _NEQ)
    strict = (mode == _LT) | (mode == _GTE)
    in_set = mode >= _EQ
    ordered = threshold[~in_set]
    if np.isnan(ordered).any() or (threshold[strict] == -np.inf).any() or not np.isfinite(threshold[mode == _EQ]).all():
        raise step.unsupported("a threshold that parts no numbers")
    below = np.nextafter(threshold, threshold.dtype.type(-np.inf))
    cut = canonical_cuts(np.where(strict, below, threshold).astype(np.float64), threshold.dtype, integer=False)
    return _Splits(
        feature,
        np.where(in_set, 0, cut).astype(np.float64),
        in_set,
        # What is no number differs from all of them, on whatever track.
        np.where(mode == _NEQ, False, tracks != swapped),
        np.where(swapped, false, true),
        np.where(swapped, true, false),
        leaf,
        _members(step, mode, threshold),
        mode[in_set] == _MEMBER,
    )


def _members(step: Step, mode: np.ndarray, threshold: np.ndarray) -> list[np.ndarray]:
    """The values of each set, by the order of their splits: one number, or a part of membership_values up to NaN."""
    listed = step.get("membership_values")
    groups: list[np.ndarray] = []
    if listed is not None:
        if not isinstance(listed, np.ndarray) or listed.ndim != 1 or listed.dtype != threshold.dtype:
            raise step.unsupported(f"membership_values is no vector of {threshold.dtype}")
        ends = np.flatnonzero(np.isnan(listed))
        groups = [g[~np.isnan(g)] for g in np.split(listed, ends)][: len(ends)]
        if len(listed) and not np.isnan(listed[-1]):
            raise step.unsupported("membership_values do not end")
    if len(groups) != int((mode == _MEMBER).sum()):
        raise step.unsupported(f"{len(groups)} sets for {(mode == _MEMBER).sum()} splits by sets")
    if not all(len(g) and (np.abs(g) < 2**31).all() and (g == np.floor(g)).all() for g in groups):
        raise step.unsupported("a set without members, or with one that is no integer of 32 bits")
    following = iter(groups)
    return [next(following) if m == _MEMBER else threshold[i : i + 1] for i, m in enumerate(mode.tolist()) if m >= _EQ]


def _raw(
    step: Step, splits: _Splits, targets: np.ndarray, weights: np.ndarray, count: int
) -> tuple[RawTrees, np.ndarray | None]:
    """The trees, a leaf at the end of each branch, and the target of each where it has only one."""
    inner, ends = len(splits.feature), len(splits.leaf)
    none, no = np.full(ends, -1, dtype=np.int64), np.zeros(ends, dtype=bool)
    left, right = np.concatenate([splits.left, none]), np.concatenate([splits.right, none])
    roots = step.whole_numbers("tree_roots")
    parents = np.bincount(np.concatenate([splits.left, splits.right]), minlength=inner + ends)
    if not len(roots) or roots.min() < 0 or roots.max() >= inner or len(np.unique(roots)) < len(roots):
        raise step.unsupported("a tree without a root of its own")
    if (parents > 1).any() or parents[roots].any():
        raise step.unsupported("a node of two parents")
    order = tree_by_tree(step, left, right, roots)
    place = np.empty(inner + ends, dtype=np.int64)
    place[order] = np.arange(len(order))
    starts = place[roots]
    leaf = np.concatenate([np.full(inner, -1, dtype=np.int64), splits.leaf])[order]
    target = np.where(leaf >= 0, targets[leaf], -1)
    tree = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    first = np.maximum.reduceat(target, starts)
    single = count == 1 or bool((target[leaf >= 0] == first[tree[leaf >= 0]]).all())
    if not single and len(order) * count > MOST_VALUES:
        raise step.unsupported(f"{count} outputs of {len(order)} nodes")
    values = np.zeros((len(order), 1 if single else count))
    at = np.flatnonzero(leaf >= 0)
    values[at, 0 if single else target[at]] = weights[leaf[at]]
    raw = RawTrees(
        feature=np.concatenate([splits.feature, none])[order],
        threshold=np.concatenate([splits.threshold, np.zeros(ends)])[order],
        left=np.where(left >= 0, place[left], -1)[order],
        right=np.where(right >= 0, place[right], -1)[order],
        missing_left=np.concatenate([splits.missing_left, no])[order],
        values=values,
        roots=starts,
        in_set=np.concatenate([splits.in_set, no])[order],
        set_row=np.concatenate([np.cumsum(splits.in_set) - 1, none])[order],
    )
    return _with_lone_leaves(raw, leaf), first if single and count > 1 else None


def _with_lone_leaves(raw: RawTrees, leaf: np.ndarray) -> RawTrees:
    """Trees of one split both of whose branches end in one leaf as that leaf."""
    a, b = raw.left[raw.roots], raw.right[raw.roots]
    lone = (leaf[a] >= 0) & (leaf[a] == leaf[b])
    if not lone.any():
        return raw
    keep = np.ones(len(leaf), dtype=bool)
    keep[raw.roots[lone]] = keep[b[lone]] = False
    place = np.cumsum(keep) - 1

    def moved(child: np.ndarray) -> np.ndarray:
        return np.where(child >= 0, place[child], -1)[keep]

    assert raw.in_set is not None and raw.set_row is not None  # `_raw` gives both
    return RawTrees(
        raw.feature[keep],
        raw.threshold[keep],
        moved(raw.left),
        moved(raw.right),
        raw.missing_left[keep],
        raw.values[keep],
        place[np.where(lone, a, raw.roots)],
        raw.in_set[keep],
        raw.set_row[keep],
    )


def _whole(node: Node, column: int) -> bool:
    """Whether a column holds whole numbers alone."""
    if node.type.domains[column].integer and not node.type.domains[column].missing:
        return True
    if isinstance(node, Select):
        return _whole(node.inputs[0], int(node.index[column]))
    if isinstance(node, Concat):
        for part in node.inputs:
            if column < part.type.width:
                return _whole(part, column)
            column -= part.type.width
    if isinstance(node, Cast) and isinstance(node.inputs[0], Rank):
        return True
    if isinstance(node, Forest):
        added = np.concatenate([node.trees.values.ravel(), node.trees.base])
        exact = np.abs(added).max() * (node.trees.count + 1) < 1 << (24 if added.dtype == np.float32 else 53)
        return bool(exact) and bool((added == np.floor(added)).all())
    if isinstance(node, FillMissing) and node.source.numeric:
        fill = float(node.fill[column])  # type: ignore[arg-type]
        return fill == np.floor(fill) and _whole(node.inputs[0], column)
    return isinstance(node, Cast) and node.source.numeric and _whole(node.inputs[0], column)


def _ranked(step: Step, x: Node, raw: RawTrees, splits: _Splits) -> tuple[dict[int, RankedColumn] | None, RawTrees]:
    """How columns are ranked that sets are asked of, each member a rank of its own; and the trees with these sets."""
    assert raw.in_set is not None and raw.set_row is not None  # `_raw` gives both
    if not raw.in_set.any():
        return None, replace(raw, in_set=None, set_row=None)
    dtype = np.dtype(x.type.dtype)
    at = np.flatnonzero(raw.in_set)
    given: dict[int, RankedColumn] = {}
    for c in np.unique(raw.feature[at]).tolist():
        if splits.of_several[raw.set_row[at[raw.feature[at] == c]]].any() and not _whole(x, c):
            # onnxruntime 1.32 cuts the fraction off for some sets, and not for others.
            raise step.unsupported(f"a set of integers is asked of column {c}, which may hold fractions")
        mine = raw.feature == c
        own = np.concatenate([splits.members[r] for r in raw.set_row[mine & raw.in_set].tolist()]) + dtype.type(0)
        before = np.nextafter(own, dtype.type(-np.inf))
        cuts = np.unique(np.concatenate([own, before, raw.threshold[mine & ~raw.in_set].astype(dtype)]))
        given[c] = RankedColumn(cuts, np.arange(len(cuts) + 1, dtype=np.int32))
    words = max(len(r.table) for r in given.values()) // 32 + 1
    if words * len(splits.members) > _MOST_WORDS:
        raise step.unsupported(f"{len(splits.members)} sets of up to {32 * words} members")
    bits = np.zeros((len(splits.members), 32 * words), dtype=np.uint8)
    for row, column in zip(raw.set_row[at].tolist(), raw.feature[at].tolist(), strict=True):
        bits[row, np.searchsorted(given[column].cuts, splits.members[row] + dtype.type(0))] = 1
    sets = np.packbits(bits, axis=1, bitorder="little").view("<u4").astype(np.uint32)
    return given, replace(raw, sets=sets)
