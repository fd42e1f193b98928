"""Gaussian processes that classify: the Laplace approximation of two classes, and what is made of it for more."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.arithmetic import NOTHING
from slimml.frontends.sklearn.fields import dense_matrix, labels, vector
from slimml.frontends.sklearn.kernel_models import kernel_diagonal, process_kernel
from slimml.frontends.sklearn.members import answer, has, member
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import Complement, IsPositive
from slimml.ir.ops.kernels import LatentChance
from slimml.ir.ops.models import Linear, ScaledSquares
from slimml.ir.ops.numeric import Add, Multiply


@lowers(*moved("sklearn.gaussian_process._gpc", "GaussianProcessClassifier"))
def gaussian_process_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Two classes, or more by one against the rest or against one another; kernels that are stationary."""
    ctx.check_width(est, x)
    classes = labels(est.classes_, ctx)
    inside = member(est.base_estimator_, x, "base_estimator_", ctx)
    said = answer(inside, "predict", ctx)
    if len(said.labels) != 1 or not np.array_equal(said.labels[0], classes):
        raise ctx.unsupported("an approximation of other classes than its own")
    outputs = [said]
    if has(inside, "predict_proba") and (len(classes) == 2 or est.get("multi_class") == "one_vs_rest"):
        outputs.append(answer(inside, "predict_proba", ctx))
    return Model(tuple(outputs), (classes,))


@lowers(*moved("sklearn.gaussian_process._gpc", "_BinaryGaussianProcessClassifierLaplace"))
def laplace_approximation(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """What a Gaussian process of two classes holds inside."""
    classes = labels(est.classes_, ctx)
    points, block = dense_matrix(est, "X_train_", ctx), ctx.floats(x, finite="all")
    count = len(points)
    if points.shape[1] != block.type.width or len(classes) != 2 or not count:
        raise ctx.unsupported(f"X_train_ {points.shape} for {block.type.width} columns, and {len(classes)} classes")
    weights = vector(est, "y_train_", ctx, count) - vector(est, "pi_", ctx, count)
    kernel = process_kernel(est.kernel_, block, points, ctx)
    mean = Linear(inputs=(kernel,), weights=weights[None, :].copy(), bias=np.array([NOTHING]), origin=ctx.where)
    spread = _variance(est, kernel, count, ctx)
    chance = Complement(inputs=(LatentChance(inputs=(mean, spread), origin=ctx.where),), origin=ctx.where)
    first = IsPositive(inputs=(mean,), origin=ctx.where)
    outputs = (Output("predict", (first,), "vector", (_chosen(classes),)), Output("predict_proba", (chance,), "matrix"))
    return Model(outputs, (classes,))


def _chosen(classes: np.ndarray) -> np.ndarray:
    """Both classes in the dtype that numpy.where makes of them: objects that are strings become strings."""
    return np.asarray(np.where([False, True], classes[1], classes[0]))


def _variance(est: Record, kernel: Node, count: int, ctx: Lowerer) -> Node:
    """k(x, x) - |L**-1 W**0.5 k(x)|**2"""
    from scipy.linalg import solve_triangular

    lower, scale = dense_matrix(est, "L_", ctx), vector(est, "W_sr_", ctx, count)
    if lower.shape != (count, count) or not np.isfinite(lower).all() or not lower.diagonal().all():
        raise ctx.unsupported(f"L_ {lower.shape} for {count} training rows")
    turned = np.ascontiguousarray(solve_triangular(lower, np.diag(scale), lower=True))
    solved = Linear(inputs=(kernel,), weights=turned, bias=np.full(count, NOTHING), origin=ctx.where)
    none, one = np.zeros((1, count)), np.ones((1, count))
    squares = ScaledSquares(inputs=(solved,), centers=none, scales=one, origin=ctx.where)
    opposite = Multiply(inputs=(squares,), value=np.array([-1.0]), origin=ctx.where)
    own = np.array([kernel_diagonal(est.kernel_, ctx)])
    return Add(inputs=(opposite,), value=own, origin=ctx.where)
