"""Support vector machines: libsvm's (SVC, NuSVC, SVR, NuSVR, OneClassSVM) and liblinear's (LinearSVC, LinearSVR).

libsvm's sums are those of sklearn/svm/src/libsvm/svm.cpp, svm_predict_values: a kernel value for each support vector,
then one sum for each pair of classes, whose signs vote.
"""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import dense_matrix, est_array, labels, vector
from slimml.frontends.sklearn.linear import classifier, linear, regressor
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Select
from slimml.ir.ops.heads import ArgMax, Exp, IsPositive, Tanh
from slimml.ir.ops.kernels import MAX_CLASSES, MAX_DEGREE, PairCoupling, PairSums, PairVotes, Power, SquaredDistances
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Add, Multiply
from slimml.schema import REFUSED, ZERO


@lowers("sklearn.svm._classes.LinearSVC", "sklearn.svm.classes.LinearSVC")
def linear_svc(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One product per class."""
    classes = labels(est.classes_, ctx)
    decision = linear(est, x, ctx)
    binary = len(classes) == 2
    if decision.type.width != (1 if binary else len(classes)):
        raise ctx.unsupported(f"{decision.type.width} rows of coef_ for {len(classes)} classes")
    choice = IsPositive if binary else ArgMax
    return classifier(classes, decision, choice(inputs=(decision,), origin=ctx.where), None)


@lowers("sklearn.svm._classes.LinearSVR", "sklearn.svm.classes.LinearSVR")
def linear_svr(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One product."""
    return regressor(linear(est, x, ctx), ctx)


@lowers("sklearn.svm._classes.SVC", "sklearn.svm.classes.SVC",
        "sklearn.svm._classes.NuSVC", "sklearn.svm.classes.NuSVC")  # fmt: skip
def svc(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every kernel by name, one-vs-one and one-vs-rest, probabilities, broken ties; a kernel function is refused.
    (Decisions one-vs-rest of three classes and more are not answered before 0.21: they depend on the other rows.)
    """
    classes = labels(est.classes_, ctx)
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise ctx.unsupported(f"{len(classes)} classes")
    sums = _pair_sums(est, _kernel(est, x, ctx), len(classes), ctx)
    shape = est.get("decision_function_shape", "ovr")
    decision: Node | None
    scores = decision = _votes(sums, len(classes), shape == "ovr" and len(classes) > 2, ctx)
    if shape == "ovr" and len(classes) > 2 and ctx.version < (0, 21):
        decision = None  # scaled by the largest of its batch (utils/multiclass.py, _ovr_decision_function)
    if len(classes) == 2:
        decision = Multiply(inputs=(sums,), value=np.array([-1.0]), origin=ctx.where)
    elif shape != "ovr":
        decision = sums
    if est.get("break_ties"):
        if shape != "ovr":
            raise ctx.unsupported("break_ties beside decision_function_shape='ovo': the original cannot predict")
    else:
        scores = _votes(sums, len(classes), False, ctx)
    choice = ArgMax(inputs=(scores,), origin=ctx.where)
    return classifier(classes, decision, choice, _probability(est, sums, ctx))


@lowers("sklearn.svm._classes.SVR", "sklearn.svm.classes.SVR",
        "sklearn.svm._classes.NuSVR", "sklearn.svm.classes.NuSVR")  # fmt: skip
def svr(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every kernel by name; a kernel function is refused."""
    return regressor(_sum(est, x, ctx), ctx, scores="matrix")


@lowers("sklearn.svm._classes.OneClassSVM", "sklearn.svm.classes.OneClassSVM")
def one_class_svm(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every kernel by name; a kernel function is refused."""
    decision = _sum(est, x, ctx)
    inlier = IsPositive(inputs=(decision,), origin=ctx.where)
    older = not est.has("offset_")  # score_samples appears with it, and decisions are flat
    ctx.check_release(older, (0, 20), f"a OneClassSVM with{'out' if older else ''} offset_")
    outputs = [
        Output("predict", (inlier,), "vector", (np.array([-1, 1]),)),
        Output("decision_function", (decision,), "matrix" if older else "vector"),
    ]
    if not older:
        score = Add(inputs=(decision,), value=vector(est, "offset_", ctx, 1), origin=ctx.where)
        outputs.append(Output("score_samples", (score,), "vector"))
    return Model(tuple(outputs))


def _kernel(est: Record, x: Source, ctx: Lowerer) -> Node:
    """k(x, v) for every support vector v: Kernel::k_function."""
    ctx.check_width(est, x)
    if isinstance(x, Node) and x.type.layout == "csr" and not est.get("_sparse"):
        raise ctx.unsupported("sparse rows for a machine that was fitted on dense ones, which the original refuses")
    kernel = est.kernel
    if not isinstance(kernel, str):
        raise ctx.unsupported("a kernel that is a function of the user's own")
    block = ctx.floats(x, finite="all", sparse=ZERO if est.get("_sparse") else REFUSED)
    if kernel == "precomputed":
        support = est_array(est, "support_", ctx).astype(np.int64)
        if support.ndim != 1 or (len(support) and not 0 <= support.min() <= support.max() < block.type.width):
            raise ctx.unsupported("support_ names rows that the kernel does not have")
        return Select(inputs=(block,), index=support, origin=ctx.where)
    points = dense_matrix(est, "support_vectors_", ctx)
    if points.shape[1] != block.type.width and len(points):
        raise ctx.unsupported(f"support vectors of {points.shape[1]} columns for rows of {block.type.width}")
    points = points.reshape(len(points), block.type.width)
    gamma = float(est.get("_gamma", 0.0))
    if kernel == "rbf":
        apart = SquaredDistances(inputs=(block,), points=points, origin=ctx.where)
        return Exp(inputs=(_times(apart, -gamma, ctx),), origin=ctx.where)
    product: Node = Linear(inputs=(block,), weights=points, bias=np.zeros(len(points)), origin=ctx.where)
    if kernel == "linear":
        return product
    if kernel not in ("poly", "sigmoid"):
        raise ctx.unsupported(f"the kernel {kernel!r:.40}")
    moved = np.full(len(points), float(est.coef0))
    product = Add(inputs=(_times(product, gamma, ctx),), value=moved, origin=ctx.where)
    if kernel == "sigmoid":
        return Tanh(inputs=(product,), origin=ctx.where)
    degree = est.degree
    if isinstance(degree, bool) or not isinstance(degree, int | np.integer) or not 0 <= degree <= MAX_DEGREE:
        raise ctx.unsupported(f"a polynomial kernel of degree {degree!r:.20}")
    return Power(inputs=(product,), degree=int(degree), origin=ctx.where)


def _times(x: Node, factor: float, ctx: Lowerer) -> Node:
    return Multiply(inputs=(x,), value=np.full(x.type.width, factor), origin=ctx.where)


def _pair_sums(est: Record, kernel: Node, classes: int, ctx: Lowerer) -> Node:
    """libsvm's decision values, one for each pair of classes."""
    coef, bias = _coefficients(est, kernel.type.width, ctx)
    counts = np.asarray(est_array(est, "_n_support" if est.has("_n_support") else "n_support_", ctx), dtype=np.int64)
    pairs = classes * (classes - 1) // 2
    fits = counts.shape == (classes,) and (counts >= 0).all() and counts.sum() == kernel.type.width
    if not fits or len(coef) != classes - 1 or len(bias) != pairs:
        raise ctx.unsupported("its numbers of support vectors, coefficients and classes disagree")
    if classes == 2:
        return Linear(inputs=(kernel,), weights=coef, bias=bias, origin=ctx.where)
    return PairSums(inputs=(kernel,), coef=coef, counts=counts, bias=bias, origin=ctx.where)


def _sum(est: Record, x: Source, ctx: Lowerer) -> Node:
    """The one sum of a regressor or of a one-class machine."""
    kernel = _kernel(est, x, ctx)
    coef, bias = _coefficients(est, kernel.type.width, ctx)
    if len(coef) != 1 or len(bias) != 1:
        raise ctx.unsupported(f"{len(coef)} rows of coefficients and {len(bias)} intercepts where there should be one")
    return Linear(inputs=(kernel,), weights=coef, bias=bias, origin=ctx.where)


def _coefficients(est: Record, width: int, ctx: Lowerer) -> tuple[np.ndarray, np.ndarray]:
    """libsvm's own coefficients (rows, width) and intercepts; the public ones have the other sign for two classes."""
    coef = dense_matrix(est, "_dual_coef_" if est.has("_dual_coef_") else "dual_coef_", ctx)
    bias = vector(est, "_intercept_" if est.has("_intercept_") else "intercept_", ctx)
    if coef.shape[1] != width:
        raise ctx.unsupported(f"coefficients of {coef.shape[1]} support vectors, of which there are {width}")
    return coef, bias


def _votes(sums: Node, classes: int, confident: bool, ctx: Lowerer) -> Node:
    return PairVotes(inputs=(sums,), classes=classes, confident=confident, origin=ctx.where)


def _probability(est: Record, sums: Node, ctx: Lowerer) -> Node | None:
    """Platt's sigmoids, coupled; None where the machine was fitted without, or says that it does not answer them."""
    slopes = "_probA" if est.has("_probA") else "probA_"
    if est.get("probability") in (False, "deprecated") or not est.has(slopes) or not np.size(est.get(slopes)):
        return None
    slope, shift = (vector(est, name, ctx, sums.type.width) for name in (slopes, slopes.replace("A", "B")))
    return PairCoupling(inputs=(sums,), slope=slope, shift=shift, origin=ctx.where)
