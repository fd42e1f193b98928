"""Bagging: the mean of members that each read some of the columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import labels
from slimml.frontends.sklearn.forest_arrays import ranked_forest
from slimml.frontends.sklearn.members import answer, as_type, has, member
from slimml.frontends.sklearn.subsets import (
    are_trees,
    check_columns,
    columns_of_members,
    guarded,
    select,
    tree_counts,
    trees_of,
    width_of,
)
from slimml.frontends.sklearn.trees import accepts_missing
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot
from slimml.ir.ops.columns import Concat, Constant, Select
from slimml.ir.ops.heads import ArgMax, Log, LogAddExp, LogMean
from slimml.ir.ops.numeric import Divide, Subtract, Sum
from slimml.schema import ZERO


@lowers(*moved("sklearn.ensemble._bagging", "BaggingClassifier"))
def bagging_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Members of any supported kind, on all or some columns; added in their order, as with `n_jobs=1`."""
    ctx.check_width(est, x)
    classes = labels(est.classes_, ctx)
    fitted, columns = _fitted(est, ctx)
    models: list[Model] = []
    if are_trees(fitted):
        total = _forest(fitted, columns, x, [_known(m, len(classes), ctx) for m in fitted], len(classes), ctx)
    else:
        models = _members(fitted, columns, x, ctx)
        total = Sum(inputs=tuple(_share(m, len(classes), ctx) for m in models), origin=ctx.where)
    chance = _mean(total, len(fitted), ctx)
    adds_logs = not models or all(has(m, "predict_log_proba") for m in models)
    # The original adds the members' logarithms up, where they have some (_parallel_predict_log_proba).
    if not adds_logs:
        log: Node = Log(inputs=(chance,), origin=ctx.where)
    elif models:
        log = _log_mean(models, len(classes), ctx)
    else:  # of trees, whose shares are no smaller than their logarithms tell
        log = LogMean(inputs=(chance,), terms=len(fitted), origin=ctx.where)
    outputs = [
        Output("predict", (ArgMax(inputs=(chance,), origin=ctx.where),), "vector", (classes,)),
        Output("predict_proba", (chance,), "matrix"),
        Output("predict_log_proba", (log,), "matrix"),
    ]
    return Model((*outputs, *_decision(models, ctx)), (classes,))


@lowers(*moved("sklearn.ensemble._bagging", "BaggingRegressor"))
def bagging_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Members of any supported kind, on all or some columns; added in their order, as with `n_jobs=1`."""
    ctx.check_width(est, x)
    fitted, columns = _fitted(est, ctx)
    if are_trees(fitted):
        outputs = len(tree_counts(fitted[0], ctx))
        total = _forest(fitted, columns, x, [np.arange(outputs)] * len(fitted), outputs, ctx)
        form = "vector" if outputs == 1 else "matrix"
    else:
        answers = [answer(m, "predict", ctx) for m in _members(fitted, columns, x, ctx)]
        total = Sum(inputs=tuple(a.nodes[0] for a in answers), origin=ctx.where)
        form = answers[0].form
    return Model((Output("predict", (_mean(total, len(fitted), ctx),), form),))


def _fitted(est: Record, ctx: Lowerer) -> tuple[list[Any], list[np.ndarray]]:
    """The members, and the columns that each reads. (`n_estimators` of them: what the original runs through.)"""
    count = est.n_estimators
    fitted = list(est.estimators_)
    if not isinstance(count, int | np.integer) or not 0 < count <= len(fitted):
        raise ctx.unsupported(f"n_estimators={count!r:.40} and {len(fitted)} fitted members")
    return fitted[:count], columns_of_members(est, int(count), ctx)


def _forest(
    fitted: list[Record], columns: list[np.ndarray], x: Source, places: list[np.ndarray], width: int, ctx: Lowerer
) -> Node:
    """The sum of the leaves of all trees, in their order; `places`: which of the outputs each tree's values are."""
    for own in columns:
        check_columns(own, width_of(x), ctx)
    x = _checked(x, ctx)
    # What no tree reads may hold anything.
    used = np.unique(np.concatenate(columns))
    block, place = guarded(x, used, accepts_missing(fitted[0], x, ctx), ctx)
    place_of = dict(zip(map(id, fitted), places, strict=True))

    def values(tree: Record, leaves: np.ndarray) -> np.ndarray:
        wide = np.zeros((len(leaves), width))
        wide[:, place_of[id(tree)]] = leaves
        return wide

    raw = trees_of(fitted, [place[own] for own in columns], values, block.type.width, ctx)
    return ranked_forest(block, raw, base=np.zeros(width), origin=ctx.where)


def _checked(x: Source, ctx: Lowerer) -> Source:
    """The rows, of which the ensemble itself refuses what is not finite before 0.20."""
    return ctx.floats(x, finite="all", csr=True, sparse=ZERO, narrow=True) if ctx.version < (0, 20) else x


def _known(tree: Record, count: int, ctx: Lowerer) -> np.ndarray:
    """The positions among the ensemble's classes that a member was fitted on."""
    return _positions(labels(tree.classes_, ctx), count, ctx)


def _positions(own: np.ndarray, count: int, ctx: Lowerer) -> np.ndarray:
    known = own.dtype.kind in "iu" and len(own) and 0 <= own.min() and own.max() < count
    if not known or len(np.unique(own)) != len(own):
        raise ctx.unsupported(f"a member was fitted on the classes {own.tolist()!r:.60}, not on positions in classes_")
    return np.asarray(own)


def _members(fitted: list[Any], columns: list[np.ndarray], x: Source, ctx: Lowerer) -> list[Model]:
    x, models = _checked(x, ctx), []
    for i, (one, own) in enumerate(zip(fitted, columns, strict=True)):
        check_columns(own, width_of(x), ctx)
        models.append(member(one, select(x, own, ctx), f"estimators_[{i}]", ctx))
    return models


def _share(model: Model, count: int, ctx: Lowerer) -> Node:
    """A member's probabilities among the ensemble's classes, or its vote where it has none (float64)."""
    said = answer(model, "predict", ctx)
    own = _positions(said.labels[0], count, ctx)
    if not has(model, "predict_proba"):
        return _vote(said.nodes[0], own, count, ctx)
    return _spread(answer(model, "predict_proba", ctx).nodes[0], own, count, 0.0, ctx)


def _log_mean(models: list[Model], count: int, ctx: Lowerer) -> Node:
    """The logarithm of the mean of the members' probabilities, of their own logarithms."""
    logs = []
    for model in models:
        own = _positions(answer(model, "predict", ctx).labels[0], count, ctx)
        logs.append(_spread(answer(model, "predict_log_proba", ctx).nodes[0], own, count, -np.inf, ctx))
    total = LogAddExp(inputs=tuple(logs), origin=ctx.where)
    return Subtract(inputs=(total,), value=np.full(count, np.log(len(models))), origin=ctx.where)


def _spread(block: Node, own: np.ndarray, count: int, none: float, ctx: Lowerer) -> Node:
    """A member's columns among those of all classes, and `none` for the classes that it does not know (float64)."""
    block = as_type("float64", block, ctx)
    if np.array_equal(own, np.arange(count)):
        return block
    zero = Constant(inputs=(block,), value=np.full(1, none), origin=ctx.where)
    index = np.full(count, len(own), dtype=np.int64)
    index[own] = np.arange(len(own))
    both = Concat(inputs=(block, zero), origin=ctx.where)
    return Select(inputs=(both,), index=index, origin=ctx.where)


def _vote(choice: Node, own: np.ndarray, count: int, ctx: Lowerer) -> Node:
    codes = Lookup(inputs=(choice,), tables=(tuple(range(len(own))),), refuse=(False,), origin=ctx.where)
    target = np.append(own, [-1] * (count + 1 - len(own))).astype(np.int32)
    sizes, offsets = np.array([count]), np.array([0, count + 1])
    return OneHot(inputs=(codes,), targets=target, offsets=offsets, sizes=sizes, layout="dense", origin=ctx.where)


def _decision(models: list[Model], ctx: Lowerer) -> list[Output]:
    """decision_function, where the members have one (of one width: else the original cannot add them)."""
    if not models or not has(models[0], "decision_function"):
        return []
    answers = [answer(m, "decision_function", ctx) for m in models]
    if len({a.nodes[0].type.width for a in answers}) > 1:
        return []
    total = Sum(inputs=tuple(a.nodes[0] for a in answers), origin=ctx.where)
    return [Output("decision_function", (_mean(total, len(models), ctx),), answers[0].form)]


def _mean(total: Node, count: int, ctx: Lowerer) -> Node:
    return Divide(inputs=(total,), value=np.full(total.type.width, count, dtype=total.type.dtype), origin=ctx.where)
