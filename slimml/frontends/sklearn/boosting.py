"""GradientBoostingClassifier and GradientBoostingRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import est_array, labels, vector
from slimml.frontends.sklearn.forest_arrays import RawTrees, ranked_forest
from slimml.frontends.sklearn.linear import classifier, regressor
from slimml.frontends.sklearn.trees import raw_trees
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, Complement, IsPositive, Sigmoid, Softmax
from slimml.ir.ops.numeric import Multiply

_MODULES = ("sklearn.ensemble._gb", "sklearn.ensemble.gradient_boosting")
# What the first estimators of releases before 0.21 predict, all of which are constants.
_CONSTANTS = {"MeanEstimator": "mean", "QuantileEstimator": "quantile", "LogOddsEstimator": "prior"}
_CONSTANTS |= {"ScaledLogOddsEstimator": "prior", "PriorProbabilityEstimator": "priors"}


@lowers(*(f"{m}.GradientBoostingRegressor" for m in _MODULES))
def boosting_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every loss; an `init` that is an estimator of one's own is refused."""
    _own_loss(est, ctx)
    return regressor(_raw_predictions(est, x, lambda: _initial_value(est, ctx), ctx), ctx)


@lowers(*(f"{m}.GradientBoostingClassifier" for m in _MODULES))
def boosting_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every loss, two and more classes; an `init` that is an estimator of one's own is refused."""
    classes = labels(est.classes_, ctx)
    exponential, own = est.loss == "exponential", _own_loss(est, ctx)
    total = _raw_predictions(est, x, lambda: _initial_link(est, exponential, own, ctx), ctx)
    if total.type.width > 1:
        chances: Node = Softmax(inputs=(total,), origin=ctx.where)
        choice: Node = ArgMax(inputs=(chances if own else total,), origin=ctx.where)
        return classifier(classes, total, choice, chances)
    chances = logistic(total, ctx, factor=2.0 if exponential else 1.0)
    if own and not exponential:
        choice = ArgMax(inputs=(chances,), origin=ctx.where)
    else:
        choice = IsPositive(inputs=(total,), or_zero=True, origin=ctx.where)
    return classifier(classes, total, choice, chances)


def _own_loss(est: Record, ctx: Lowerer) -> bool:
    """Whether the loss is one of those that sklearn.ensemble had of its own before 1.4.

    Its deviances chose the class by the probabilities, and the exponential loss by the score as all do since.
    """
    loss = est.get("_loss", est.get("loss_"))  # renamed in 1.1
    if not isinstance(loss, Record):
        raise ctx.unsupported(f"{est.name} without the loss that it was fitted with")
    own = loss.module.startswith("sklearn.ensemble.")
    ctx.check_release(own, (1, 4), f"a loss {loss.path}")
    return own


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
    init = est.init_
    return init == "zero" if isinstance(init, str) else isinstance(init, Record) and init.name == "ZeroEstimator"


def _dummy(est: Record, name: str, ctx: Lowerer) -> Record:
    init = est.init_
    if not isinstance(init, Record) or init.path != f"sklearn.dummy.{name}":
        kind = init.path if isinstance(init, Record) else repr(init)
        raise ctx.unsupported(f"init={kind} is not handled")
    ctx.check_release(False, (0, 21), f"init={init.path}")
    return init


def _constant(est: Record, ctx: Lowerer) -> np.ndarray | None:
    """What a first estimator of a release before 0.21 says of every row; None where it is another."""
    init = est.init_
    attribute = _CONSTANTS.get(init.name) if isinstance(init, Record) and init.module == _MODULES[1] else None
    if attribute is None:
        return None
    ctx.check_release(True, (0, 21), f"init={init.path}")
    return np.asarray(est_array(init, attribute, ctx), dtype=np.float64).ravel()


def _initial_value(est: Record, ctx: Lowerer) -> np.ndarray:
    said = _constant(est, ctx)
    if said is not None:
        return said
    return np.asarray(est_array(_dummy(est, "DummyRegressor", ctx), "constant_", ctx), dtype=np.float64).ravel()


def _initial_link(est: Record, exponential: bool, own: bool, ctx: Lowerer) -> np.ndarray:
    """The link of the prior, as _init_raw_predictions of ensemble/_gb.py computes it, with the same functions."""
    from scipy.special import logit

    said = _constant(est, ctx)
    if said is not None:
        return said
    init = _dummy(est, "DummyClassifier", ctx)
    if init.strategy != "prior":
        raise ctx.unsupported(f"init=DummyClassifier(strategy={init.strategy!r}) is not handled")
    # https://github.com/scikit-learn/scikit-learn/pull/31575
    eps = float(np.finfo(np.float32 if ctx.version < (1, 8) else np.float64).eps)
    prior = np.clip(vector(init, "class_prior_", ctx), eps, 1 - eps)
    if len(prior) == 2:
        link = np.log(prior[1:] / (1 - prior[1:])) if own else np.asarray(logit(prior[1:]))
        return 0.5 * link if exponential else link
    if own:
        return np.asarray(np.log(prior))
    # MultinomialLogit.link: log(p / geometric mean), the mean as scipy.stats.gmean takes it.
    mean = np.exp(np.mean(np.log(prior[None, :]), axis=1))
    return np.asarray(np.log(prior[None, :] / mean[:, None])[0])
