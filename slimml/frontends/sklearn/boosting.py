"""GradientBoostingClassifier and GradientBoostingRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import labels
from slimml.frontends.sklearn.forest_arrays import RawTrees, ranked_forest
from slimml.frontends.sklearn.linear import classifier
from slimml.frontends.sklearn.trees import raw_trees
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, Complement, IsPositive, Sigmoid, Softmax
from slimml.ir.ops.numeric import Multiply

_MODULES = ("sklearn.ensemble._gb", "sklearn.ensemble.gradient_boosting")
_EPS = np.finfo(np.float64).eps


@lowers(*(f"{m}.GradientBoostingRegressor" for m in _MODULES))
def boosting_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every loss; an `init` that is an estimator of one's own is refused."""
    total = _raw_predictions(est, x, lambda: _initial_value(est, ctx), ctx)
    return Model((Output("predict", (total,), "vector"),))


@lowers(*(f"{m}.GradientBoostingClassifier" for m in _MODULES))
def boosting_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every loss, two and more classes; an `init` that is an estimator of one's own is refused."""
    classes = labels(est.classes_, ctx)
    exponential = est.loss == "exponential"
    total = _raw_predictions(est, x, lambda: _initial_link(est, exponential, ctx), ctx)
    if total.type.width > 1:
        choice: Node = ArgMax(inputs=(total,), origin=ctx.where)
        return classifier(classes, total, choice, Softmax(inputs=(total,), origin=ctx.where))
    choice = IsPositive(inputs=(total,), or_zero=True, origin=ctx.where)
    return classifier(classes, total, choice, logistic(total, ctx, factor=2.0 if exponential else 1.0))


def logistic(total: Node, ctx: Lowerer, factor: float = 1.0) -> Node:
    """(1 - p, p) with p = expit(factor * total): the inverse link of the binary losses."""
    if factor != 1.0:  # HalfLogitLink, of the exponential loss
        total = Multiply(inputs=(total,), value=np.array([factor]), origin=ctx.where)
    chance = Sigmoid(inputs=(total,), origin=ctx.where)
    return Complement(inputs=(chance,), origin=ctx.where)


def _raw_predictions(est: Record, x: Source, initial: Any, ctx: Lowerer) -> Node:
    """init + learning_rate * leaf, stage by stage, class by class (predict_stages of _gradient_boosting.pyx)."""
    ctx.check_width(est, x)
    stages = np.asarray(est.estimators_, dtype=object)
    if stages.ndim != 2:
        raise ctx.unsupported(f"estimators_ of shape {stages.shape}")
    outputs = stages.shape[1]
    # The finite check runs on float32 values, as the original validates with dtype=float32.
    block = ctx.float32(x, finite="all")
    raw = raw_trees(stages.ravel().tolist(), [1], block.type.width, ctx)
    # The original multiplies leaf by leaf while it adds; the product has the same bits when it is made here.
    scaled = raw.values * float(est.learning_rate)
    base = np.zeros(outputs) if _is_zero(est) else np.broadcast_to(initial(), (outputs,)).astype(np.float64)
    targets = np.tile(np.arange(outputs), len(stages))
    raw = RawTrees(raw.feature, raw.threshold, raw.left, raw.right, raw.missing_left, scaled, raw.roots)
    return ranked_forest(block, raw, base=base, targets=targets, origin=ctx.where)


def _is_zero(est: Record) -> bool:
    return isinstance(est.init_, str) and est.init_ == "zero"


def _dummy(est: Record, name: str, ctx: Lowerer) -> Record:
    init = est.init_
    if not isinstance(init, Record) or init.path != f"sklearn.dummy.{name}":
        kind = init.path if isinstance(init, Record) else repr(init)
        raise ctx.unsupported(f"init={kind} is not handled")
    return init


def _initial_value(est: Record, ctx: Lowerer) -> np.ndarray:
    constant = np.asarray(_dummy(est, "DummyRegressor", ctx).constant_, dtype=np.float64)
    return constant.ravel()


def _initial_link(est: Record, exponential: bool, ctx: Lowerer) -> np.ndarray:
    """The link of the prior, as _init_raw_predictions of ensemble/_gb.py computes it, with the same functions."""
    from scipy.special import logit

    init = _dummy(est, "DummyClassifier", ctx)
    if init.strategy != "prior":
        raise ctx.unsupported(f"init=DummyClassifier(strategy={init.strategy!r}) is not handled")
    prior = np.clip(np.asarray(init.class_prior_, dtype=np.float64), _EPS, 1 - _EPS)
    if len(prior) == 2:
        link = np.asarray(logit(prior[1:]))
        return 0.5 * link if exponential else link
    # MultinomialLogit.link: log(p / geometric mean), the mean as scipy.stats.gmean takes it.
    mean = np.exp(np.mean(np.log(prior[None, :]), axis=1))
    return np.asarray(np.log(prior[None, :] / mean[:, None])[0])
