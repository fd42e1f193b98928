"""Linear models: every regressor that is one product, and LogisticRegression."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.arithmetic import product
from slimml.frontends.sklearn.fields import est_array, floats_of, labels
from slimml.frontends.sklearn.members import answer, member
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat
from slimml.ir.ops.heads import ArgMax, Complement, IsPositive, Log, NormalizeRows, Sigmoid, Softmax
from slimml.ir.ops.numeric import Multiply
from slimml.schema import ZERO


# How they were fitted is of no account: all predict with LinearModel._decision_function.
@lowers(
    *moved("sklearn.linear_model._base", "LinearRegression"),
    *moved("sklearn.linear_model._ridge", "Ridge", "RidgeCV"),
    *moved("sklearn.linear_model._coordinate_descent", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"),
    *moved("sklearn.linear_model._coordinate_descent", "MultiTaskLasso", "MultiTaskLassoCV"),
    *moved("sklearn.linear_model._coordinate_descent", "MultiTaskElasticNet", "MultiTaskElasticNetCV"),
    *moved("sklearn.linear_model._least_angle", "Lars", "LarsCV", "LassoLars", "LassoLarsCV", "LassoLarsIC"),
    *moved("sklearn.linear_model._omp", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV"),
    *moved("sklearn.linear_model._bayes", "BayesianRidge", "ARDRegression"),
    *moved("sklearn.linear_model._huber", "HuberRegressor"),
    *moved("sklearn.linear_model._theil_sen", "TheilSenRegressor"),
    "sklearn.linear_model._quantile.QuantileRegressor",
)
def linear_regression(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One product of the row and `coef_`, plus `intercept_`, however they were fitted."""
    value = linear(est, x, ctx)
    return regressor(value, ctx, flat=est_array(est, "coef_", ctx).ndim == 1)


@lowers(
    *moved("sklearn.linear_model._stochastic_gradient", "SGDRegressor"),
    *moved("sklearn.linear_model._passive_aggressive", "PassiveAggressiveRegressor"),
)
def sgd_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One product of the row and `coef_`, plus `intercept_`."""
    return regressor(linear(est, x, ctx), ctx)


@lowers(*moved("sklearn.linear_model._ransac", "RANSACRegressor"))
def ransac_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The regressor that it settled on."""
    ctx.check_width(est, x)
    return Model((answer(member(est.estimator_, x, "estimator_", ctx), "predict", ctx),))


@lowers(*moved("sklearn.linear_model._logistic", "LogisticRegression", "LogisticRegressionCV"))
def logistic_regression(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Binary, one-vs-rest and multinomial, by what the release that wrote it means by its options."""
    classes = labels(est.classes_, ctx)
    decision = linear(est, x, ctx)
    binary = len(classes) == 2
    if decision.type.width != (1 if binary else len(classes)):
        raise ctx.unsupported(f"{decision.type.width} rows of coef_ for {len(classes)} classes")
    if _one_vs_rest(est, len(classes), ctx):
        chance = Sigmoid(inputs=(decision,), origin=ctx.where)
        share = Complement if binary else NormalizeRows
        probability: Node = share(inputs=(chance,), origin=ctx.where)
    else:
        scores = _both_signs(decision, ctx) if binary else decision
        probability = Softmax(inputs=(scores,), origin=ctx.where)
    choice = IsPositive if binary else ArgMax
    return classifier(classes, decision, choice(inputs=(decision,), origin=ctx.where), probability)


def linear(est: Record, x: Source, ctx: Lowerer) -> Node:
    """X @ coef_.T + intercept_, as LinearModel._decision_function has it."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all", csr=True, sparse=ZERO, narrow=True)
    weights = np.atleast_2d(floats_of(est, "coef_", block, ctx))
    bias = floats_of(est, "intercept_", block, ctx).ravel()
    if weights.ndim != 2 or weights.shape[1] != block.type.width or len(bias) not in (1, len(weights)):
        raise ctx.unsupported(
            f"coef_ {weights.shape} and intercept_ {bias.shape} do not fit {block.type.width} columns"
        )
    return product(block, weights, np.broadcast_to(bias, (len(weights),)).copy(), ctx)


def regressor(value: Node, ctx: Lowerer, *, flat: bool = True, scores: str = "vector") -> Model:
    """The outputs of scikit-learn's regressors: predict, which before 0.19 had the name decision_function too.

    `scores`: the form of the latter where `flat` is that of the former.
    """
    outputs = [Output("predict", (value,), "vector" if flat else "matrix")]
    if (0, 0) < ctx.version < (0, 19):
        outputs.append(Output("decision_function", (value,), scores if flat else "matrix"))
    return Model(tuple(outputs))


def classifier(
    classes: np.ndarray, decision: Node | None, choice: Node, probability: Node | None, *, log: bool = True
) -> Model:
    """The outputs that scikit-learn's classifiers have: predict, and what there is of the other three.

    `log`: whether the class has a predict_log_proba.
    """
    outputs = [Output("predict", (choice,), "vector", (classes,))]
    if probability is not None:
        outputs += [Output("predict_proba", (probability,), "matrix")]
    if probability is not None and log:
        logarithm = Log(inputs=(probability,), origin=probability.origin)
        outputs += [Output("predict_log_proba", (logarithm,), "matrix")]
    if decision is not None:
        outputs += [Output("decision_function", (decision,), "vector" if decision.type.width == 1 else "matrix")]
    return Model(tuple(outputs), (classes,))


def _one_vs_rest(est: Record, classes: int, ctx: Lowerer) -> bool:
    """Whether probabilities are one-vs-rest; else softmax. `multi_class` goes in 1.8, "auto" is the default from 0.22.

    From 1.8 on two classes are always one sigmoid, more are softmax (linear_model/_logistic.py, predict_proba).
    """
    if not est.has("multi_class"):
        return classes == 2
    rule = est.multi_class
    if classes == 2 and (0, 0) < ctx.version < (0, 20):
        return True  # multinomial ones too: https://github.com/scikit-learn/scikit-learn/pull/9939
    if rule in ("ovr", "warn"):
        return True
    return rule in ("auto", "deprecated") and (classes == 2 or est.get("solver") == "liblinear")


def _both_signs(decision: Node, ctx: Lowerer) -> Node:
    negative = Multiply(inputs=(decision,), value=np.array([-1.0], dtype=decision.type.dtype), origin=ctx.where)
    return Concat(inputs=(negative, decision), origin=ctx.where)
