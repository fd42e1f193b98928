"""Booster, LGBMRegressor, LGBMRanker and LGBMClassifier."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lightgbm.columns import features
from slimml.frontends.lightgbm.trees import lower_trees, rounds_of
from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import labels
from slimml.ingest.lightgbm import PARSED, ModelText
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, Complement, Exp, Sigmoid, SignedSquare, Softmax, Softplus
from slimml.ir.ops.numeric import Divide, Guard, Multiply

_RANKING = ("lambdarank", "rank_xendcg")
_NO_OBJECTIVE = ("none", "null", "custom", "na")
_ROOTED = ("regression", "regression_l1", "quantile", "mape", "fair")  # `sqrt` behind one: trained on the root
_LOG_LINK = ("poisson", "gamma", "tweedie")
_CROSS_ENTROPY, _CROSS_ENTROPY_LAMBDA = ("cross_entropy", "xentropy"), ("cross_entropy_lambda", "xentlambda")
# Before 3.3 cross_entropy_lambda rounded 1 + exp(x) before its logarithm. Before 4.5, which a text tells from 4.6 on, a
# classifier of two classes took every objective for binary; before 3.0 one of the user's own too.
_FIRST_LOG1P, _FIRST_TWO_OF_MANY, _FIRST_CUSTOM = (3, 3), (4, 6), (3, 0)
# sklearn.py: _MULTICLASS_OBJECTIVES
_MULTICLASS = ("multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr")


@lowers("lightgbm.basic.Booster")
def booster(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every boosting type, linear trees, categories; from text files and from pickles."""
    _, answer = _predictions(est, x, ctx)
    return Model((_answer("predict", answer),))


@lowers("lightgbm.sklearn.LGBMRegressor", "lightgbm.sklearn.LGBMRanker", "lightgbm.sklearn.LGBMModel")
def regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every objective, early stopping, linear trees, categories."""
    _refuse_options(est, ctx)
    return booster(_booster(est, ctx), x, ctx)


@lowers("lightgbm.sklearn.LGBMClassifier")
def classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Two and more classes, early stopping, linear trees, categories."""
    _refuse_options(est, ctx)
    classes = labels(est._classes, ctx)
    inner = _booster(est, ctx)
    total, answer = _predictions(inner, x, ctx)
    release = inner.fields[PARSED].release
    # decision_function appears in 4.7, and this with it.
    sums = (_answer("decision_function", total),) if "_fitted_with_feature_names" in est.fields else ()
    if not isinstance(est._objective, str):
        if release < _FIRST_CUSTOM:
            raise ctx.unsupported("a classifier with an objective of the user's own, of LightGBM before 3.0")
        # All methods answer the sums.
        return Model((_answer("predict", answer), _answer("predict_proba", answer), *sums), (classes,))
    if len(classes) <= 2 and est._objective in _MULTICLASS and release < _FIRST_TWO_OF_MANY:
        raise ctx.unsupported(
            f"objective={est._objective!r} with {len(classes)} classes: LightGBM before 4.5 answers it in a wrong "
            "shape, and the file does not say whether it is of a later release"
        )
    if len(classes) <= 2 and est._objective not in _MULTICLASS:
        answer = Complement(inputs=(answer,), origin=ctx.where)
    choice, table = answer, classes
    if len(classes) == 1 and answer.type.width == 2:
        # A label encoder that knows one class has no name for another (ValueError of its inverse_transform).
        choice, table = _at_most_half(answer, ctx), np.resize(classes, 2)
    elif len(classes) != answer.type.width:
        raise ctx.unsupported(f"{len(classes)} classes and {answer.type.width} probabilities")
    choice = ArgMax(inputs=(choice,), origin=ctx.where)
    named = (Output("predict", (choice,), "vector", (table,)), Output("predict_proba", (answer,), "matrix"))
    return Model((*named, *sums), (classes,))


def _at_most_half(chances: Node, ctx: Lowerer) -> Node:
    """The two chances, with rows refused whose second one is the larger."""
    low, high = np.full(2, -np.inf), np.array([np.inf, 0.5])
    return Guard(inputs=(chances,), low=low, high=high, missing=np.ones(2, dtype=bool), origin=ctx.where)


def _booster(est: Record, ctx: Lowerer) -> Record:
    inner = est._Booster
    if not isinstance(inner, Record) or inner.path != "lightgbm.basic.Booster":
        raise ctx.unsupported(f"{est.name} holds no Booster: it was never fitted")
    return inner


def _refuse_options(est: Record, ctx: Lowerer) -> None:
    # Of a wrapper's parameters, which it all hands to the prediction, one alone changes answers.
    if est.get("pred_early_stop", False) or est.get("predict_disable_shape_check", False):
        raise ctx.unsupported("pred_early_stop and predict_disable_shape_check are not handled")


def _predictions(est: Record, x: Source, ctx: Lowerer) -> tuple[Node, Node]:
    """The sums of a Booster's leaves (GBDT::PredictRaw), and what becomes of them (GBDT::Predict)."""
    model = est.get(PARSED)
    if not isinstance(model, ModelText):
        raise ctx.unsupported("a Booster without a model")
    iterations = _iterations(est, ctx)
    sparse = isinstance(x, Node) and x.type.layout == "csr"
    total = lower_trees(model, iterations, features(est, model, x, ctx), ctx, sparse=sparse)
    answer = total
    if model.averaged:
        count = np.full(model.outputs, float(rounds_of(model, iterations)))
        answer = Divide(inputs=(total,), value=count, origin=ctx.where)
    return total, _converted(model, answer, ctx)


def _iterations(est: Record, ctx: Lowerer) -> int:
    """Booster.predict stops at the best iteration, where early stopping found one."""
    best = est.get("best_iteration", -1)
    if not isinstance(best, int | np.integer):
        raise ctx.unsupported(f"best_iteration={best!r:.60}")
    return int(best)


def _answer(name: str, node: Node) -> Output:
    return Output(name, (node,), "vector" if node.type.width == 1 else "matrix")


def _converted(model: ModelText, total: Node, ctx: Lowerer) -> Node:
    """ConvertOutput of the objective, with the same functions of the C library."""
    objective = model.objective
    name = objective[0] if objective else "none"
    if name in _LOG_LINK:
        return Exp(inputs=(total,), serial=True, origin=ctx.where)
    if name in ("binary", "multiclassova"):
        factor = _parameter(objective, "sigmoid", ctx)
        scaled = Multiply(inputs=(total,), value=np.full(total.type.width, factor), origin=ctx.where)
        return Sigmoid(inputs=(total if factor == 1.0 else scaled,), origin=ctx.where)
    if name == "multiclass":
        return Softmax(inputs=(total,), serial=True, origin=ctx.where)
    if name in _CROSS_ENTROPY:
        return Sigmoid(inputs=(total,), origin=ctx.where)
    if name in _CROSS_ENTROPY_LAMBDA:
        return Softplus(inputs=(total,), plain=model.release < _FIRST_LOG1P, origin=ctx.where)
    if name in _ROOTED and "sqrt" in objective:
        return SignedSquare(inputs=(total,), origin=ctx.where)
    if name in (*_ROOTED, "huber", *_RANKING, *_NO_OBJECTIVE):
        return total
    raise ctx.unsupported(f"objective {name!r:.60} is not handled")


def _parameter(words: tuple[str, ...], name: str, ctx: Lowerer) -> float:
    """The number behind `name:` among the words of an objective."""
    for word in words[1:]:
        key, _, value = word.partition(":")
        if key == name:
            try:
                return float(value)
            except ValueError:
                break
    raise ctx.unsupported(f"objective {' '.join(words):.60} without a {name}")
