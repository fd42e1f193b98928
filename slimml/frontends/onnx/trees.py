"""TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml 1 to 3.

A row walks in the dtype of the thresholds; sums start at 0, tree after tree, and base_values come last, as ONNX
Runtime adds where it does not share the trees out over threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimml.frontends.onnx.scores import by_largest, by_sign, class_table, transform_of, transformed
from slimml.frontends.onnx.values import ML, Step, Tensor, as_dtype, operator
from slimml.frontends.sklearn.forest_arrays import RawTrees, ranked_forest
from slimml.ir.node import Node
from slimml.ir.ops.numeric import Add, Divide

_MODES = {"LEAF": 0, "BRANCH_LEQ": 1, "BRANCH_LT": 2, "BRANCH_GTE": 3, "BRANCH_GT": 4}
_LEQ, _LT, _GTE, _GT = range(1, 5)
# A file of a few bytes may claim millions of outputs for each of its leaves.
MOST_VALUES = 1 << 27


@dataclass(frozen=True, slots=True, eq=False)
class _Leaves:
    """What leaves add: node (n,), output (n,), weight (n,)."""

    node: np.ndarray
    output: np.ndarray
    weight: np.ndarray


@operator(ML, "TreeEnsembleClassifier")
def tree_classifier(step: Step) -> tuple[Tensor | np.ndarray, ...]:
    """Labels, and a probability or sum for each class."""
    table, name = class_table(step, "classlabels_int64s"), transform_of(step)
    count, origin = len(table), step.ctx.where
    raw, keys = _nodes(step)
    leaves = _leaves(step, keys, "class", count)
    base = _reals(step, "base_values")
    used = np.unique(leaves.output)
    if count != 2:
        if count == 1:
            raise step.unsupported("a single class")
        return by_largest(_based(step, _forest(step, raw, leaves, count), base), table, name, origin)
    if len(used) != 1:
        raise step.unsupported("two classes with leaves for each of them")
    if used[0] != 0:
        raise step.unsupported("two classes with leaves for the second alone")
    if base is not None and len(base) != 1:
        raise step.unsupported("a single sum with two base_values")
    share = bool((leaves.weight >= 0).all())
    if name != "NONE" and (share or name != "LOGISTIC"):
        raise step.unsupported(f"post_transform {name} of a single sum")
    return by_sign(_based(step, _forest(step, raw, leaves, 1), base), table, name, share, origin)


@operator(ML, "TreeEnsembleRegressor")
def tree_regressor(step: Step) -> tuple[Tensor | np.ndarray, ...]:
    """A sum or mean for each target."""
    name, count = transform_of(step), step.whole("n_targets", 1)
    if not 0 < count <= 1 << 20:
        raise step.unsupported(f"n_targets is {count}")
    if name == "LOGISTIC" and count == 1:
        raise step.unsupported("post_transform LOGISTIC of a single target")
    raw, keys = _nodes(step)
    leaves, base = _leaves(step, keys, "target", count), _reals(step, "base_values")
    total = _forest(step, raw, leaves, count)
    aggregate = step.word("aggregate_function", "SUM")
    if aggregate == "AVERAGE":
        trees = np.full(count, len(raw.roots), dtype=total.type.dtype)
        total = Divide(inputs=(total,), value=trees, origin=step.ctx.where)
    elif aggregate != "SUM":
        raise step.unsupported(f"aggregate_function {aggregate!r:.40} is not handled")
    return (Tensor(transformed(_based(step, total, base), name, step.ctx.where)),)


def _reals(step: Step, name: str) -> np.ndarray | None:
    """A list of float32, or the tensor of doubles that may stand for it."""
    plain, tensor = step.numbers(name), step.numbers(f"{name}_as_tensor")
    value = plain if tensor is None or not len(tensor) else tensor
    return None if value is None or not len(value) else value


def _based(step: Step, total: Node, base: np.ndarray | None) -> Node:
    if base is None:
        return total
    if len(base) != total.type.width:
        raise step.unsupported(f"{len(base)} base_values for {total.type.width} outputs")
    return Add(inputs=(total,), value=base.astype(total.type.dtype), origin=step.ctx.where)


def _nodes(step: Step) -> tuple[RawTrees, np.ndarray]:
    """The trees without their leaves' values, and (tree, node) of each of their nodes, int64 (n, 2)."""
    modes = step.strings("nodes_modes") or []
    count = len(modes)
    unknown = sorted(set(modes) - set(_MODES))
    if unknown or not count:
        raise step.unsupported(f"splits of the mode {unknown[0]!r:.40}" if unknown else "no nodes")
    mode = np.array([_MODES[m] for m in modes], dtype=np.int64)
    tree, ids = step.whole_numbers("nodes_treeids", count), step.whole_numbers("nodes_nodeids", count)
    feature = step.whole_numbers("nodes_featureids", count)
    threshold = _reals(step, "nodes_values")
    if threshold is None or len(threshold) != count:
        raise step.unsupported("nodes_values is missing, or of another length than its neighbours")
    step.get("nodes_hitrates")
    step.get("nodes_hitrates_as_tensor")
    tracks = step.numbers("nodes_missing_value_tracks_true", "i")
    missing = np.zeros(count, dtype=bool) if tracks is None or not len(tracks) else tracks != 0
    width = step.numeric().type.width
    split = mode > 0
    if len(missing) != count or (split & ((feature < 0) | (feature >= width))).any():
        raise step.unsupported("a split of no column")
    if not np.isfinite(threshold[split]).all():
        raise step.unsupported("a threshold that is no finite number")
    keys = np.stack([tree, ids], axis=1)
    true = _found(step, keys, np.stack([tree, step.whole_numbers("nodes_truenodeids", count)], axis=1)[split])
    false = _found(step, keys, np.stack([tree, step.whole_numbers("nodes_falsenodeids", count)], axis=1)[split])
    return _raw(step, tree, mode, feature, threshold, missing, true, false), keys


def _raw(
    step: Step,
    tree: np.ndarray,
    mode: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    missing: np.ndarray,
    true: np.ndarray,
    false: np.ndarray,
) -> RawTrees:
    """x < t is x <= the number below t; x > t and x >= t are the other side of a split, to which NaN does not go."""
    split = mode > 0
    swapped = (mode == _GTE) | (mode == _GT)
    strict = (mode == _LT) | (mode == _GTE)
    below = np.nextafter(threshold, threshold.dtype.type(-np.inf))
    left, right = np.full(len(mode), -1, dtype=np.int64), np.full(len(mode), -1, dtype=np.int64)
    left[split] = np.where(swapped[split], false, true)
    right[split] = np.where(swapped[split], true, false)
    roots = _roots(step, tree, left, right)
    order = tree_by_tree(step, left, right, roots)
    place = np.empty(len(mode), dtype=np.int64)
    place[order] = np.arange(len(mode))
    child = [np.where(c >= 0, place[c], -1)[order] for c in (left, right)]
    return RawTrees(
        feature=np.where(split, feature, -1)[order],
        threshold=np.where(strict, below, threshold).astype(np.float64)[order],
        left=child[0],
        right=child[1],
        missing_left=(missing != swapped)[order],
        values=order[:, None],
        roots=place[roots],
    )


def _found(step: Step, keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted (tree, node) stands among the nodes. Refuses one that is not there, and nodes of one name."""
    named, first = np.unique(keys, axis=0, return_index=True)
    if len(named) < len(keys):
        raise step.unsupported("two nodes of one name")
    both, code = np.unique(np.concatenate([named, wanted]), axis=0, return_inverse=True)
    if len(both) > len(named):
        raise step.unsupported("a branch or a leaf of a node that is not there")
    return np.asarray(first[code.reshape(-1)[len(named) :]])


def _roots(step: Step, tree: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The node of each tree that has no parent, by the order in which the trees stand."""
    inner = left >= 0
    parents = np.bincount(np.concatenate([left[inner], right[inner]]), minlength=len(left))
    roots = np.flatnonzero(parents == 0)
    if (parents > 1).any() or len(np.unique(tree)) != len(roots) or len(np.unique(tree[roots])) != len(roots):
        raise step.unsupported("nodes that make no trees")
    return roots


def tree_by_tree(step: Step, left: np.ndarray, right: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """The nodes with those of each tree together; refuses nodes that no root leads to."""
    owner = np.full(len(left), -1, dtype=np.int64)
    level, owner[roots] = roots, np.arange(len(roots))
    while len(level):
        inner = level[left[level] >= 0]
        owner[left[inner]], owner[right[inner]] = owner[inner], owner[inner]
        level = np.concatenate([left[inner], right[inner]])
    if (owner < 0).any():
        raise step.unsupported("nodes in a circle")
    return np.lexsort((np.arange(len(left)), np.arange(len(left)) != roots[owner], owner))


def _leaves(step: Step, keys: np.ndarray, kind: str, count: int) -> _Leaves:
    output = step.whole_numbers(f"{kind}_ids")
    tree, ids = (step.whole_numbers(f"{kind}_{n}", len(output)) for n in ("treeids", "nodeids"))
    weight = _reals(step, f"{kind}_weights")
    if weight is None or len(weight) != len(output):
        raise step.unsupported(f"{kind}_weights is missing, or of another length than its neighbours")
    if (output < 0).any() or (output >= count).any():
        raise step.unsupported(f"a leaf of no {kind}")
    if not np.isfinite(weight).all():
        raise step.unsupported("a leaf that is no finite number")
    return _Leaves(_found(step, keys, np.stack([tree, ids], axis=1)), output, weight)


def _forest(step: Step, raw: RawTrees, leaves: _Leaves, count: int) -> Node:
    """The sums of all trees, in the dtype of the leaves, from 0 on."""
    place = np.empty(len(raw.feature), dtype=np.int64)
    order = raw.values[:, 0]
    place[order] = np.arange(len(order))
    node, dtype = place[leaves.node], leaves.weight.dtype
    if (raw.feature[node] >= 0).any() or len(np.unique(node * count + leaves.output)) < len(node):
        raise step.unsupported("a leaf with two values of one output, or a split with one")
    tree = np.searchsorted(raw.roots, node, side="right") - 1
    pairs = np.unique(tree * count + leaves.output)
    targets = None
    if count > 1 and len(pairs) == len(raw.roots) and len(np.unique(pairs // count)) == len(raw.roots):
        targets, values = pairs % count, np.zeros((len(order), 1))
        values[node, 0] = leaves.weight
    else:
        if len(order) * count > MOST_VALUES:
            raise step.unsupported(f"{count} outputs of {len(order)} nodes")
        values = np.zeros((len(order), count))
        values[node, leaves.output] = leaves.weight
    x = _walked(step, leaves.weight)
    filled = RawTrees(raw.feature, raw.threshold, raw.left, raw.right, raw.missing_left, values, raw.roots)
    base = np.zeros(count, dtype=dtype)
    return ranked_forest(x, filled, base=base, targets=targets, origin=step.ctx.where)


def _walked(step: Step, weight: np.ndarray) -> Node:
    """What the splits compare: float32 of float32 models, doubles of models of doubles."""
    node, doubles = step.numeric(), weight.dtype == np.float64
    thresholds = _reals(step, "nodes_values")
    if thresholds is None or doubles != (thresholds.dtype == np.float64) or doubles != (node.type.dtype == "float64"):
        raise step.unsupported("doubles and floats mixed in one ensemble")
    return as_dtype(node, "float64" if doubles else "float32", step.ctx)
