"""Linear and quadratic discriminant analysis."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.arithmetic import NOTHING, as_dtype, product
from slimml.frontends.sklearn.fields import est_array, floats_of, labels, vector
from slimml.frontends.sklearn.linear import linear
from slimml.frontends.sklearn.linear_classifiers import choice
from slimml.frontends.sklearn.members import beside, columns
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, Complement, Exp, Log, LogSoftmax, NormalizeRows, Sigmoid, Softmax
from slimml.ir.ops.models import Linear, ScaledSquares
from slimml.ir.ops.numeric import Add, FillMissing, Multiply, Subtract, Sum


@lowers("sklearn.discriminant_analysis.LinearDiscriminantAnalysis")
def linear_discriminant_analysis(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every solver, two classes or more; `transform` of those that have one."""
    classes = labels(est.classes_, ctx)
    if len(classes) < 2:
        raise ctx.unsupported("one class, of which the original has no probabilities")
    decision = linear(est, x, ctx)
    chances = _chances(decision, len(classes), ctx)
    outputs = [
        Output("predict", (choice(decision, classes, ctx),), "vector", (classes,)),
        Output("predict_proba", (chances,), "matrix"),
        Output("predict_log_proba", (_log(chances, ctx),), "matrix"),
        Output("decision_function", (decision,), "vector" if decision.type.width == 1 else "matrix"),
    ]
    if est.solver != "lsqr":
        outputs.append(Output("transform", (_projected(est, x, ctx),), "matrix"))
    return Model(tuple(outputs), (classes,))


@lowers("sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis")
def quadratic_discriminant_analysis(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every solver, two classes or more."""
    ctx.check_width(est, x)
    classes = labels(est.classes_, ctx)
    block = ctx.floats(x, finite="all")
    means = np.ascontiguousarray(est_array(est, "means_", ctx), dtype=np.float64)
    if means.shape != (len(classes), block.type.width):
        raise ctx.unsupported(f"means_ {means.shape} do not fit {len(classes)} classes of {block.type.width} columns")
    scalings = [np.asarray(s, dtype=np.float64) for s in est.scalings_]
    rotations = [np.asarray(r, dtype=np.float64) for r in est.rotations_]
    if len(scalings) != len(classes) or len(rotations) != len(classes):
        raise ctx.unsupported("a class without a rotation")
    norms = [_norm(block, *own, ctx) for own in zip(means, rotations, scalings, strict=True)]
    spread = np.array([np.sum(np.log(s)) for s in scalings])
    joint: Node = Add(inputs=(beside(norms, ctx),), value=spread, origin=ctx.where)
    joint = Multiply(inputs=(joint,), value=np.full(len(classes), -0.5), origin=ctx.where)
    with np.errstate(divide="ignore"):
        prior = np.log(vector(est, "priors_", ctx, len(classes)))
    return Model(posterior(Add(inputs=(joint,), value=prior, origin=ctx.where), classes, ctx), (classes,))


def posterior(joint: Node, classes: np.ndarray, ctx: Lowerer) -> tuple[Output, ...]:
    """What DiscriminantAnalysisPredictionMixin answers, from a logarithm for each class.

    The mixin appears in 1.6; before, probabilities are those of a softmax, and its logarithms may be infinite.
    """
    if ctx.version >= (1, 6):
        logs: Node = LogSoftmax(inputs=(joint,), shifted=True, origin=ctx.where)
        chances: Node = Exp(inputs=(logs,), origin=ctx.where)
    else:
        chances = Softmax(inputs=(joint,), origin=ctx.where)
        logs = Log(inputs=(chances,), origin=ctx.where)
    decision = joint
    if len(classes) == 2:
        first = Multiply(inputs=(columns(joint, [0], ctx),), value=np.array([-1.0]), origin=ctx.where)
        decision = Sum(inputs=(columns(joint, [1], ctx), first), origin=ctx.where)
    return (
        Output("predict", (ArgMax(inputs=(joint,), origin=ctx.where),), "vector", (classes,)),
        Output("predict_proba", (chances,), "matrix"),
        Output("predict_log_proba", (logs,), "matrix"),
        Output("decision_function", (decision,), "vector" if len(classes) == 2 else "matrix"),
    )


def _chances(decision: Node, count: int, ctx: Lowerer) -> Node:
    """A softmax; before 0.21 of three classes and more a sigmoid each, normalized."""
    if count > 2 and ctx.version >= (0, 21):
        return Softmax(inputs=(decision,), origin=ctx.where)
    chance = Sigmoid(inputs=(decision,), origin=ctx.where)
    return (Complement if count == 2 else NormalizeRows)(inputs=(chance,), origin=ctx.where)


def _log(chances: Node, ctx: Lowerer) -> Node:
    """Logarithms, from 0.24 on of the smallest normal number where a probability is 0."""
    if ctx.version >= (0, 24):
        least = float(np.finfo(chances.type.dtype).smallest_normal)
        fill = (least,) * chances.type.width
        chances = FillMissing(inputs=(chances,), sentinel=0.0, fill=fill, origin=ctx.where)
    return Log(inputs=(chances,), origin=ctx.where)


def _projected(est: Record, x: Source, ctx: Lowerer) -> Node:
    """(x - xbar) @ scalings; the eigen solver has no xbar."""
    block = ctx.floats(x, finite="all", narrow=True)
    scalings, count = floats_of(est, "scalings_", block, ctx), int(est._max_components)
    if scalings.ndim != 2 or len(scalings) != block.type.width or count < 0:
        raise ctx.unsupported(f"scalings_ {scalings.shape} do not fit {block.type.width} columns")
    if est.solver == "svd":
        center = floats_of(est, "xbar_", block, ctx)
        if center.shape != (block.type.width,):
            raise ctx.unsupported(f"xbar_ {center.shape} does not fit {block.type.width} columns")
        wide = np.result_type(np.dtype(block.type.dtype), center.dtype)
        block = Subtract(inputs=(as_dtype(block, wide, ctx),), value=center.astype(wide), origin=ctx.where)
    out = product(block, scalings.T, np.full(scalings.shape[1], NOTHING, dtype=scalings.dtype), ctx)
    return columns(out, range(min(count, out.type.width)), ctx)


def _norm(block: Node, mean: np.ndarray, rotation: np.ndarray, scaling: np.ndarray, ctx: Lowerer) -> Node:
    """The squared length of a row, seen from the mean of a class along its axes."""
    if rotation.shape != (block.type.width, len(scaling)):
        raise ctx.unsupported(f"a rotation {rotation.shape} does not fit {block.type.width} columns")
    centred = Subtract(inputs=(block,), value=mean, origin=ctx.where)
    weights = np.ascontiguousarray((rotation * (scaling**-0.5)).T)
    turned = Linear(inputs=(centred,), weights=weights, bias=np.full(len(weights), NOTHING), origin=ctx.where)
    none, one = np.zeros((1, len(weights))), np.ones((1, len(weights)))
    return ScaledSquares(inputs=(turned,), centers=none, scales=one, origin=ctx.where)
