"""Naive Bayes: multinomial, complement, Bernoulli, Gaussian, categorical."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import est_array, labels, vector
from slimml.frontends.sklearn.forest_arrays import RawTrees, ranked_forest
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, Exp, LogSoftmax
from slimml.ir.ops.models import Linear, ScaledSquares
from slimml.ir.ops.numeric import Add, Binarize, Guard, Multiply
from slimml.schema import ZERO

# What addition leaves every number as it is with, -0.0 included.
_NOTHING = -0.0


@lowers("sklearn.naive_bayes.MultinomialNB")
def multinomial_nb(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Dense and sparse counts."""
    weights = _matrix(est, "feature_log_prob_", ctx)
    return _classifier(est, _linear(est, x, weights, vector(est, "class_log_prior_", ctx), ctx), ctx)


@lowers("sklearn.naive_bayes.ComplementNB")
def complement_nb(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Dense and sparse counts, normalized or not."""
    weights = _matrix(est, "feature_log_prob_", ctx)
    prior = vector(est, "class_log_prior_", ctx)
    bias = prior if len(prior) == 1 else np.full(len(prior), _NOTHING)
    return _classifier(est, _linear(est, x, weights, bias, ctx), ctx)


@lowers("sklearn.naive_bayes.BernoulliNB")
def bernoulli_nb(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """With any threshold or none."""
    log_prob = _matrix(est, "feature_log_prob_", ctx)
    # As BernoulliNB._joint_log_likelihood has it, for every call alike.
    with np.errstate(divide="ignore", invalid="ignore"):
        absent = np.log(1 - np.exp(log_prob))
        weights, bias = log_prob - absent, vector(est, "class_log_prior_", ctx) + absent.sum(axis=1)
    threshold = None if est.binarize is None else float(est.binarize)
    return _classifier(est, _linear(est, x, weights, bias, ctx, threshold), ctx)


@lowers("sklearn.naive_bayes.GaussianNB")
def gaussian_nb(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Joint likelihoods in the original's order of operations."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all")
    centers = _matrix(est, "theta_", ctx)
    scales = _matrix(est, "var_" if est.has("var_") else "sigma_", ctx)  # renamed in 1.0
    if not centers.shape == scales.shape == (len(labels(est.classes_, ctx)), block.type.width):
        raise ctx.unsupported(f"theta_ {centers.shape} and var_ {scales.shape} do not fit {block.type.width} columns")
    with np.errstate(divide="ignore", invalid="ignore"):
        prior = np.log(vector(est, "class_prior_", ctx, len(centers)))
        spread = np.array([-0.5 * np.sum(np.log(2.0 * np.pi * scale)) for scale in scales])
    squares: Node = ScaledSquares(inputs=(block,), centers=centers, scales=scales, origin=ctx.where)
    squares = Multiply(inputs=(squares,), value=np.full(len(centers), -0.5), origin=ctx.where)
    squares = Add(inputs=(squares,), value=spread, origin=ctx.where)
    return _classifier(est, Add(inputs=(squares,), value=prior, origin=ctx.where), ctx)


@lowers("sklearn.naive_bayes.CategoricalNB")
def categorical_nb(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """A sum over the columns of one table entry each: a forest of a tree per column, bit for bit."""
    ctx.check_width(est, x)
    block = ctx.floats(x)
    prior = vector(est, "class_log_prior_", ctx)
    tables = [np.asarray(t, dtype=np.float64) for t in est.feature_log_prob_]
    if len(tables) != block.type.width or any(t.ndim != 2 or len(t) != len(prior) or not t.size for t in tables):
        raise ctx.unsupported("feature_log_prob_ does not have a table of every class per column")
    # Numbers are cut off to whole ones, which are then positions: anything else raises in the original.
    low = np.full(len(tables), np.nextafter(-1.0, 0.0))
    high = np.array([np.nextafter(float(t.shape[1]), 0.0) for t in tables])
    missing = np.zeros(len(tables), dtype=bool)
    block = Guard(inputs=(block,), low=low, high=high, missing=missing, origin=ctx.where)
    total = ranked_forest(block, _trees(tables), base=np.zeros(len(prior)), origin=ctx.where)
    return _classifier(est, Add(inputs=(total,), value=prior, origin=ctx.where), ctx)


def _classifier(est: Record, joint: Node, ctx: Lowerer) -> Model:
    classes = labels(est.classes_, ctx)
    if joint.type.width != len(classes):
        raise ctx.unsupported(f"{joint.type.width} rows of probabilities for {len(classes)} classes")
    logs = LogSoftmax(inputs=(joint,), origin=ctx.where)
    outputs = [
        Output("predict", (ArgMax(inputs=(joint,), origin=ctx.where),), "vector", (classes,)),
        Output("predict_proba", (Exp(inputs=(logs,), origin=ctx.where),), "matrix"),
        Output("predict_log_proba", (logs,), "matrix"),
    ]
    if ctx.version >= (1, 2):
        outputs.append(Output("predict_joint_log_proba", (joint,), "matrix"))
    return Model(tuple(outputs), (classes,))


def _matrix(est: Record, name: str, ctx: Lowerer) -> np.ndarray:
    value = np.ascontiguousarray(est_array(est, name, ctx), dtype=np.float64)
    if value.ndim != 2:
        raise ctx.unsupported(f"{est.name}.{name} has shape {value.shape}, expected a matrix")
    return value


def _linear(
    est: Record, x: Source, weights: np.ndarray, bias: np.ndarray, ctx: Lowerer, threshold: float | None = None
) -> Node:
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all", csr=True, sparse=ZERO)
    if weights.shape != (len(bias), block.type.width):
        raise ctx.unsupported(f"feature_log_prob_ {weights.shape} does not fit {block.type.width} columns")
    if threshold is not None:
        block = Binarize(inputs=(block,), threshold=threshold, origin=ctx.where)
    return Linear(inputs=(block,), weights=weights, bias=bias, origin=ctx.where)


def _trees(tables: list[np.ndarray]) -> RawTrees:
    """A balanced tree per column, with a leaf for every category."""
    feature: list[int] = []
    left: list[int] = []
    right: list[int] = []
    roots: list[int] = []
    threshold, values = [], []
    for column, table in enumerate(tables):
        roots.append(len(feature))
        spans = [(0, table.shape[1])]
        for start, stop in spans:
            middle = (start + stop) // 2
            leaf = stop - start == 1
            feature.append(-1 if leaf else column)
            threshold.append(0.0 if leaf else np.nextafter(float(middle), -np.inf))
            values.append(table[:, start])
            left.append(-1 if leaf else roots[-1] + len(spans))
            right.append(-1 if leaf else roots[-1] + len(spans) + 1)
            spans += [] if leaf else [(start, middle), (middle, stop)]
    return RawTrees(
        feature=np.array(feature, dtype=np.int64),
        threshold=np.array(threshold),
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        missing_left=np.zeros(len(feature), dtype=bool),
        values=np.array(values),
        roots=np.array(roots, dtype=np.int64),
    )
