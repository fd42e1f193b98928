"""HistGradientBoostingClassifier and HistGradientBoostingRegressor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.boosting import logistic
from slimml.frontends.sklearn.fields import labels, steps_of
from slimml.frontends.sklearn.forest_arrays import RankedColumn, RawTrees, category_column, no_sets, ranked_forest
from slimml.frontends.sklearn.linear import classifier
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.heads import ArgMax, Exp, IsPositive, Softmax
from slimml.ir.types import ValueType

_MODULE = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
_LOG_LINK = ("poisson", "gamma")
_IDENTITY = ("squared_error", "absolute_error", "quantile", "least_squares", "least_absolute_deviation")


@lowers(f"{_MODULE}.HistGradientBoostingRegressor")
def hist_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every loss, missing values, categories as numbers, strings and pandas dtypes."""
    total = _raw_predictions(est, x, ctx)
    if est.loss in _LOG_LINK:
        total = Exp(inputs=(total,), origin=ctx.where)
    elif est.loss not in _IDENTITY:
        raise ctx.unsupported(f"loss={est.loss!r:.60} is not handled")
    return Model((Output("predict", (total,), "vector"),))


@lowers(f"{_MODULE}.HistGradientBoostingClassifier")
def hist_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Two and more classes, missing values, categories as numbers, strings and pandas dtypes."""
    classes = labels(est.classes_, ctx)
    total = _raw_predictions(est, x, ctx)
    several, by_chance = total.type.width > 1, (0, 0) < ctx.version < (1, 4)
    chances = Softmax(inputs=(total,), origin=ctx.where) if several else logistic(total, ctx)
    if several or by_chance:  # https://github.com/scikit-learn/scikit-learn/pull/27844
        choice: Node = ArgMax(inputs=(chances if by_chance else total,), origin=ctx.where)
    else:
        choice = IsPositive(inputs=(total,), origin=ctx.where)
    if len(classes) == 1:  # one class is the negative of two, of which its baseline leaves no doubt
        model = classifier(np.tile(classes, 2), total, choice, chances, log=False)
        return replace(model, classes=(classes,))
    return classifier(classes, total, choice, chances, log=False)


def _raw_predictions(est: Record, x: Source, ctx: Lowerer) -> Node:
    """baseline + leaf, iteration by iteration, class by class (_predict_iterations)."""
    block = _preprocessed(est, x, ctx)
    stages = [list(s) for s in est._predictors]
    outputs = int(est.n_trees_per_iteration_)
    if not stages or any(len(s) != outputs for s in stages):
        raise ctx.unsupported("_predictors do not hold one tree per class and iteration")
    categories = _categories(est, block.type, ctx)
    raw = _raw_trees([tree for stage in stages for tree in stage], categories, ctx)
    base = np.zeros(outputs) + np.asarray(est._baseline_prediction, dtype=np.float64).ravel()
    targets = np.tile(np.arange(outputs), len(stages))
    return ranked_forest(block, raw, base=base, targets=targets, given=categories, origin=ctx.where)


def _preprocessed(est: Record, x: Source, ctx: Lowerer) -> Node:
    """Categories as codes, in front of the numbers (_preprocess_X, since 1.4); float64, NaN and infinities allowed."""
    before = est.get("_preprocessor")
    if before is None:
        ctx.check_width(est, x)
        return ctx.floats(x, finite="all" if (0, 0) < ctx.version < (0, 22) else "any")
    blocks = []
    resolved = before.get("_transformer_to_input_indices") or {}
    for name, step, *_ in steps_of(before, "transformers_", ctx):
        index = [int(i) for i in resolved.get(name, ())]
        if not index or isinstance(step, str):
            continue
        part = _selected(x, index, ctx)
        if name == "encoder":
            blocks.append(ctx.transform(step, part, "categories"))
        else:
            # A FunctionTransformer around check_array: a cast to float64 that lets everything pass.
            blocks.append(ctx.floats(part))
    return blocks[0] if len(blocks) == 1 else Concat(inputs=tuple(blocks), origin=ctx.where)


def _selected(x: Source, index: list[int], ctx: Lowerer) -> Source:
    if isinstance(x, Frame):
        return x.select(index)
    return Select(inputs=(x,), index=np.asarray(index, dtype=np.int64), origin=ctx.where)


def _categories(est: Record, block: ValueType, ctx: Lowerer) -> dict[int, RankedColumn]:
    """The columns that are split as categories, and which codes training saw (make_known_categories_bitsets)."""
    mapper = est.get("bin_mapper_") or est._bin_mapper  # renamed in 0.24
    mask = mapper.get("is_categorical_")
    if mask is None:
        return {}
    columns = np.flatnonzero(np.asarray(mask, dtype=bool)).tolist()
    thresholds: list[Any] = list(mapper.bin_thresholds_)
    if len(thresholds) != block.width:
        raise ctx.unsupported("_bin_mapper does not have the columns that come in")
    out = {}
    for c in columns:
        codes = np.asarray(thresholds[c], dtype=np.float64)
        if len(codes) and not ((codes >= 0) & (codes < 256) & (codes == np.floor(codes))).all():
            raise ctx.unsupported("a known category is no code from 0 to 255")
        known = np.zeros(int(codes.max(initial=-1)) + 1, dtype=bool)
        known[codes.astype(np.int64)] = True
        out[c] = category_column(known, np.dtype(block.dtype))
    return out


def _raw_trees(trees: list[Any], categories: dict[int, RankedColumn], ctx: Lowerer) -> RawTrees:
    nodes = [np.asarray(t.nodes) for t in trees]
    sizes = np.array([len(n) for n in nodes], dtype=np.int64)
    roots = np.cumsum(sizes) - sizes

    def joined(name: str, dtype: type) -> np.ndarray:
        return np.concatenate([n[name] for n in nodes]).astype(dtype)

    has = set(nodes[0].dtype.names or ())
    misses, splits_sets = "missing_go_to_left" in has, "is_categorical" in has
    ctx.check_release(not misses, (0, 22), f"boosting nodes with{'' if misses else 'out'} missing_go_to_left")
    ctx.check_release(not splits_sets, (0, 24), f"boosting nodes with{'' if splits_sets else 'out'} is_categorical")
    leaf = joined("is_leaf", bool)
    shift = np.repeat(roots, sizes)
    nowhere = np.zeros(len(leaf), dtype=bool)
    in_set = joined("is_categorical", bool) & ~leaf if splits_sets else nowhere
    feature = np.where(leaf, -1, joined("feature_idx", np.int64))
    known = np.isin(feature, list(categories))
    if (in_set != known).any():
        raise ctx.unsupported("a split is categorical on a column that is not, or the other way round")
    none = np.zeros((0, 8), dtype=np.uint32)
    sets = [np.asarray(t.get("raw_left_cat_bitsets", none), dtype=np.uint32).reshape(-1, 8) for t in trees]
    first = np.repeat(np.cumsum([0] + [len(s) for s in sets])[:-1], sizes)
    return RawTrees(
        feature=feature,
        threshold=joined("num_threshold" if splits_sets else "threshold", np.float64),
        left=np.where(leaf, -1, joined("left", np.int64) + shift),
        right=np.where(leaf, -1, joined("right", np.int64) + shift),
        missing_left=joined("missing_go_to_left", bool) if misses else nowhere,
        values=joined("value", np.float64)[:, None],
        roots=roots,
        in_set=in_set,
        set_row=joined("bitset_idx", np.int64) + first if splits_sets else None,
        sets=np.concatenate(sets) if in_set.any() else no_sets(),
    )
