"""The trees of a Booster, and their weights in dart, as a Forest on ranks that adds in float32 as XGBoost does."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowerer
from slimml.frontends.sklearn.forest_arrays import RawTrees, category_column, no_sets, ranked_forest
from slimml.ingest.xgboost.model import BoosterModel
from slimml.ir.node import Node
from slimml.ir.ops.numeric import Add

# From these on each tree is added to the base score (PredictByAllTrees of predictor/cpu_predictor.cc, and
# Dart::PredictBatch of gbm/gbtree.cc); before, the sum of all trees was.
_FIRST_RUNNING, _FIRST_RUNNING_DART = (1, 3), (1, 4)
# From 1.7 on a category that no set holds goes left everywhere.
_FIRST_CATEGORIES, _FIRST_UNSEEN_LEFT = (1, 6), (1, 7)


def sum_trees(
    model: BoosterModel, block: Node, base: np.ndarray, count: int | None, in_place: bool, ctx: Lowerer
) -> Node:
    """The base score and the leaves of the first `count` trees (None: of all), float32 (n, outputs)."""
    trees = model.trees
    assert trees is not None  # gbtree and dart have them
    drops = model.booster == "dart" and not model.version and count is None
    count = trees.count if count is None else min(count, trees.count)
    if count == 0:
        raise ctx.unsupported("a Booster without trees")
    end = len(trees.left) if count == trees.count else int(trees.roots[count])
    values = trees.values[:end]
    wide = values.shape[1] > 1
    dart = model.booster == "dart"
    if dart:
        if drops:
            raise ctx.unsupported("dart of XGBoost before 1.0, which drops trees at random when it predicts too")
        if wide:
            raise ctx.unsupported("dart with leaves of several outputs")
        values = _weighted(model, values, base, count, in_place)
    known = _known_codes(model, end)
    raw = _raw_trees(model, values, end, count, known, ctx)
    float32 = np.dtype(np.float32)
    unseen_left = model.version >= _FIRST_UNSEEN_LEFT
    if known and model.version < _FIRST_CATEGORIES:
        raise ctx.unsupported("splits on categories by XGBoost before 1.6, where they were an experiment for GPUs")
    given = {
        c: category_column(np.ones(n, dtype=bool), float32, outside=n if unseen_left else -1) for c, n in known.items()
    }
    single = model.outputs == 1 or wide
    targets = None if single else trees.group[:count]
    if model.version >= (_FIRST_RUNNING_DART if dart else _FIRST_RUNNING):
        return ranked_forest(block, raw, base=base, targets=targets, given=given, origin=ctx.where)
    total = ranked_forest(block, raw, base=np.zeros_like(base), targets=targets, given=given, origin=ctx.where)
    return Add(inputs=(total,), value=base, origin=ctx.where)


def _weighted(model: BoosterModel, values: np.ndarray, base: np.ndarray, count: int, in_place: bool) -> np.ndarray:
    """What a leaf of dart adds. In place the base score goes in and out again (InplacePredict of gbm/gbtree.cc)."""
    trees = model.trees
    assert trees is not None
    tree = np.searchsorted(trees.roots[:count], np.arange(len(values)), side="right") - 1
    if in_place:
        own = base[trees.group[tree]][:, None]
        values = (own + values) - own
    return np.asarray(values * model.weights[tree][:, None], dtype=np.float32)


def _known_codes(model: BoosterModel, end: int) -> dict[int, int]:
    """How many codes the sets of each column that is split as categories tell apart."""
    trees = model.trees
    assert trees is not None
    known: dict[int, int] = {}
    for node, codes in trees.sets.items():
        if node < end:
            column = int(trees.feature[node])
            known[column] = max(known.get(column, 0), _size(model, codes))
    return known


def _size(model: BoosterModel, right: np.ndarray) -> int:
    """How many codes a set speaks of: up to its last one, where those beyond go left as all do that are not in it.

    In 1.6 up to the end of the last word of its bits; those beyond, and negative ones, are missing
    (https://github.com/dmlc/xgboost/blob/v1.6.2/src/common/categorical.h#L46).
    """
    count = int(right.max(initial=-1)) + 1
    return count if model.version >= _FIRST_UNSEEN_LEFT else (count + 31) // 32 * 32


def _raw_trees(
    model: BoosterModel,
    values: np.ndarray,
    end: int,
    count: int,
    known: dict[int, int],
    ctx: Lowerer,
) -> RawTrees:
    trees = model.trees
    assert trees is not None
    feature = trees.feature[:end]
    nodes = sorted(n for n in trees.sets if n < end)
    in_set = np.zeros(end, dtype=bool)
    in_set[nodes] = True
    if (np.isin(feature, list(known)) & ~in_set).any():
        raise ctx.unsupported("a column that is split as a number and as categories")
    numeric = (feature >= 0) & ~in_set
    if (trees.cut[:end][numeric] == -np.inf).any():
        raise ctx.unsupported("a split at minus infinity")
    set_row = np.zeros(end, dtype=np.int64)
    set_row[nodes] = np.arange(len(nodes))
    # x < cut is x <= the float before it.
    return RawTrees(
        feature=feature,
        threshold=np.nextafter(trees.cut[:end], np.float32(-np.inf)).astype(np.float64),
        left=trees.left[:end],
        right=trees.right[:end],
        missing_left=trees.default_left[:end],
        values=values,
        roots=trees.roots[:count],
        in_set=in_set,
        set_row=set_row,
        sets=_left_sets(model, nodes, known),
    )


def _left_sets(model: BoosterModel, nodes: list[int], known: dict[int, int]) -> np.ndarray:
    """Each node's set as the codes that go left, which are all but those that go right, and one beyond the last."""
    trees = model.trees
    assert trees is not None
    if not nodes:
        return no_sets()
    bits = np.zeros((len(nodes), (max(known.values()) + 1 + 31) // 32 * 32), dtype=bool)
    for row, node in enumerate(nodes):
        right = trees.sets[node]
        beyond = model.version >= _FIRST_UNSEEN_LEFT or trees.default_left[node]
        bits[row, : _size(model, right)] = True
        bits[row, _size(model, right) : known[int(trees.feature[node])] + 1] = beyond
        bits[row, right] = False
    return np.packbits(bits, axis=1, bitorder="little").view("<u4").astype(np.uint32)
