"""AdaBoost: votes of weighted members, or the median of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import labels, vector
from slimml.frontends.sklearn.forest_arrays import ranked_forest
from slimml.frontends.sklearn.linear import classifier
from slimml.frontends.sklearn.members import answer, as_type, beside, columns, member, one_number
from slimml.frontends.sklearn.subsets import Values, are_trees, largest_sums, tree_counts, trees_of
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, Recode
from slimml.ir.ops.heads import ArgMax, Exp, IsPositive, Log, NormalizeRows, Softmax, WeightedMedian
from slimml.ir.ops.numeric import Clip, Divide, Inexact, Multiply, Sum
from slimml.schema import ZERO

_EPS = float(np.finfo(np.float64).eps)


@lowers(*moved("sklearn.ensemble._weight_boosting", "AdaBoostClassifier"))
def ada_boost_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """SAMME and, of releases before 1.6, SAMME.R; members of any supported kind, two classes or more."""
    ctx.check_width(est, x)
    classes = labels(est.classes_, ctx)
    if len(classes) < 2:
        raise ctx.unsupported(f"{len(classes)} classes")
    weights = _weights(est, ctx)
    total = _mean(_sums(est, x, classes, weights, ctx), weights, ctx)
    if len(classes) > 2:
        choice: Node = ArgMax(inputs=(total,), origin=ctx.where)
        return classifier(classes, total, choice, _chances(est, x, total, classes, weights, ctx))
    # -votes for the first class + votes for the second
    sides = _times(total, np.array([-1.0, 1.0]), ctx)
    decision = Sum(inputs=tuple(columns(sides, [i], ctx) for i in range(2)), origin=ctx.where)
    choice = IsPositive(inputs=(decision,), origin=ctx.where)
    scores = beside([_times(decision, np.array([-1.0]), ctx), decision], ctx)
    chance = _chances(est, x, total, classes, weights, ctx, scores)
    return classifier(classes, decision, choice, chance)


@lowers(*moved("sklearn.ensemble._weight_boosting", "AdaBoostRegressor"))
def ada_boost_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The weighted median of members of any supported kind."""
    ctx.check_width(est, x)
    fitted, weights = list(est.estimators_), _weights(est, ctx)
    if are_trees(fitted) and all(tree_counts(m, ctx) == [1] for m in fitted):
        block = ctx.float32(x, finite="all")
        every = [np.arange(block.type.width)] * len(fitted)
        raw = trees_of(fitted, every, lambda _, leaves: leaves, block.type.width, ctx)
        # A column for each tree. -0.0 is what addition leaves every number as it is with.
        base, targets = np.full(len(fitted), -0.0), np.arange(len(fitted))
        said = ranked_forest(block, raw, base=base, targets=targets, origin=ctx.where)
    else:
        answers = [answer(m, "predict", ctx) for m in _members(fitted, x, ctx, narrow=True)]
        said = beside([one_number(a, ctx) for a in answers], ctx)
    median = WeightedMedian(inputs=(said,), weights=weights[: len(fitted)], origin=ctx.where)
    return Model((Output("predict", (median,), "vector"),))


def _weights(est: Record, ctx: Lowerer) -> np.ndarray:
    """The weights of the members; where boosting stopped early more zeros follow, which count in no sum."""
    weights = vector(est, "estimator_weights_", ctx)
    if not len(est.estimators_) or len(est.estimators_) > len(weights):
        raise ctx.unsupported(f"{len(weights)} weights for {len(est.estimators_)} members")
    return weights


def _sums(est: Record, x: Source, classes: np.ndarray, weights: np.ndarray, ctx: Lowerer) -> Node:
    """What the members say of each class, added up in their order; (n, classes)."""
    fitted, real = list(est.estimators_), _is_real(est, ctx)
    if are_trees(fitted):
        scale = dict(zip(map(id, fitted), weights.tolist(), strict=False))

        def values(tree: Record, leaves: np.ndarray) -> np.ndarray:
            if real:
                _require_all(tree.classes_, classes, ctx)
                return _real(leaves)
            own = labels(tree.classes_, ctx)[leaves.argmax(axis=1)]
            return np.where(own[:, None] == classes, *_votes(scale[id(tree)], len(classes), ctx))

        # A tree looks for the largest count, not for the largest fraction.
        return _tree_sums(fitted, values, len(classes), x, ctx, divide=real, logs=real)
    parts = []
    for model, weight in zip(_members(fitted, x, ctx), weights.tolist(), strict=False):
        if real:
            _require_all(answer(model, "predict", ctx).labels[0], classes, ctx)
            parts.append(_real_block(answer(model, "predict_proba", ctx).nodes[0], ctx))
        else:
            parts.append(_voted(answer(model, "predict", ctx), classes, _votes(weight, len(classes), ctx), ctx))
    return Sum(inputs=tuple(parts), origin=ctx.where)


def _tree_sums(
    fitted: Sequence[Record],
    values: Values,
    count: int,
    x: Source,
    ctx: Lowerer,
    *,
    divide: bool = True,
    logs: bool = False,
) -> Node:
    block = ctx.float32(x, finite="all")
    every = [np.arange(block.type.width)] * len(fitted)
    raw = trees_of(fitted, every, values, block.type.width, ctx, divide=divide)
    total = ranked_forest(block, raw, base=np.zeros(count), origin=ctx.where)
    return Inexact(inputs=(total,), reach=largest_sums(raw), origin=ctx.where) if logs else total


def _members(fitted: Sequence[Any], x: Source, ctx: Lowerer, *, narrow: bool = False) -> list[Model]:
    block = ctx.floats(x, finite="all", csr=True, sparse=ZERO, narrow=narrow)
    return [member(m, block, f"estimators_[{i}]", ctx) for i, m in enumerate(fitted)]


def _is_real(est: Record, ctx: Lowerer) -> bool:
    """Whether members say probabilities (SAMME.R, which goes in 1.6; `algorithm` itself goes in 1.8)."""
    algorithm = est.get("algorithm", "SAMME" if ctx.version >= (1, 8) else None)
    if algorithm not in ("SAMME", "SAMME.R", "deprecated") or (algorithm == "SAMME.R" and ctx.version >= (1, 6)):
        raise ctx.unsupported(f"algorithm={algorithm!r:.40} in a file of release {'.'.join(map(str, ctx.version))}")
    return bool(algorithm == "SAMME.R")


def _votes(weight: float, count: int, ctx: Lowerer) -> tuple[float, float]:
    """What a member adds to the class that it names, and to each other one; that is 0 before 1.3.1."""
    if ctx.version == (0, 0):
        raise ctx.unsupported("SAMME of an unknown release: what a vote adds to the other classes changed in 1.3.1")
    old = ctx.version < (1, 3) or ctx.versions[-1].startswith("1.3.0")
    return weight, 0.0 if old else -1 / (count - 1) * weight


def _real(chances: np.ndarray) -> np.ndarray:
    """_samme_proba of ensemble/_weight_boosting.py."""
    logs = np.log(np.clip(chances, _EPS, None))
    count = chances.shape[1]
    return np.asarray((count - 1) * (logs - (1.0 / count) * logs.sum(axis=1)[:, np.newaxis]))


def _real_block(chances: Node, ctx: Lowerer) -> Node:
    """The same of a member that is no tree."""
    chances = as_type("float64", chances, ctx)
    clipped = Clip(inputs=(chances,), low=_EPS, high=float("inf"), origin=ctx.where)
    logs = Log(inputs=(clipped,), origin=ctx.where)
    count = logs.type.width
    row = Sum(inputs=tuple(columns(logs, [i], ctx) for i in range(count)), origin=ctx.where)
    mean = columns(_times(row, np.array([-1.0 / count]), ctx), [0] * count, ctx)
    apart = Sum(inputs=(logs, mean), origin=ctx.where)
    return _times(apart, np.full(count, count - 1.0), ctx)


def _voted(output: Output, classes: np.ndarray, votes: tuple[float, float], ctx: Lowerer) -> Node:
    """votes[0] for the class that a member names, votes[1] for the others."""
    own = output.labels[0]
    every = columns(output.nodes[0], [0] * len(classes), ctx)
    table = tuple(range(len(own)))
    codes = Lookup(inputs=(every,), tables=(table,) * len(classes), refuse=(False,) * len(classes), origin=ctx.where)
    named = np.append(own, own[-1:])[None, :] == classes[:, None]
    offsets = np.arange(len(classes) + 1) * (len(own) + 1)
    return Recode(inputs=(codes,), values=np.where(named, *votes).ravel(), offsets=offsets, origin=ctx.where)


def _require_all(own: Any, classes: np.ndarray, ctx: Lowerer) -> None:
    if not np.array_equal(labels(own, ctx), classes):
        raise ctx.unsupported("a member that was not fitted on all classes")


def _mean(total: Node, weights: np.ndarray, ctx: Lowerer) -> Node:
    return Divide(inputs=(total,), value=np.full(total.type.width, weights.sum()), origin=ctx.where)


def _chances(
    est: Record,
    x: Source,
    total: Node,
    classes: np.ndarray,
    weights: np.ndarray,
    ctx: Lowerer,
    binary: Node | None = None,
) -> Node:
    """A softmax of the decision; before 0.22 of SAMME a weighted mean of the members' probabilities, raised."""
    if ctx.version >= (0, 22):
        scores = total if binary is None else binary
        divisor = float(len(classes) - 1) if binary is None else 2.0
        scores = Divide(inputs=(scores,), value=np.full(len(classes), divisor), origin=ctx.where)
        return Softmax(inputs=(scores,), origin=ctx.where)
    if not _is_real(est, ctx):
        total = _mean(_shares(est, x, classes, weights, ctx), weights, ctx)
    raised = Exp(inputs=(_times(total, np.full(len(classes), 1.0 / (len(classes) - 1)), ctx),), origin=ctx.where)
    return NormalizeRows(inputs=(raised,), origin=ctx.where)


def _shares(est: Record, x: Source, classes: np.ndarray, weights: np.ndarray, ctx: Lowerer) -> Node:
    """The members' probabilities times their weights, added up in their order."""
    fitted = list(est.estimators_)
    if are_trees(fitted):
        scale = dict(zip(map(id, fitted), weights.tolist(), strict=False))

        def values(tree: Record, leaves: np.ndarray) -> np.ndarray:
            _require_all(tree.classes_, classes, ctx)
            return np.asarray(leaves * scale[id(tree)])

        return _tree_sums(fitted, values, len(classes), x, ctx)
    models = _members(fitted, x, ctx)
    for model in models:
        _require_all(answer(model, "predict", ctx).labels[0], classes, ctx)
    blocks = [as_type("float64", answer(m, "predict_proba", ctx).nodes[0], ctx) for m in models]
    pairs = zip(blocks, weights.tolist(), strict=False)
    return Sum(inputs=tuple(_times(b, np.full(len(classes), w), ctx) for b, w in pairs), origin=ctx.where)


def _times(block: Node, value: np.ndarray, ctx: Lowerer) -> Node:
    return Multiply(inputs=(block,), value=value, origin=ctx.where)
