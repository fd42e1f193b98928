"""Sums over training rows of a kernel: kernel ridge regression, and the means of Gaussian processes."""

from __future__ import annotations

import math

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.arithmetic import NOTHING
from slimml.frontends.sklearn.fields import dense_matrix, est_array
from slimml.frontends.sklearn.members import beside, columns
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Constant
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.heads import Exp, Log, Tanh
from slimml.ir.ops.kernels import MAX_DEGREE, ExpandedDistances, Power, SquaredDistances
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Add, Divide, Multiply, Sum
from slimml.ir.ops.products import COLUMN, Products
from slimml.ir.ops.radius import WithinRadius
from slimml.ir.ops.text import UnitRows
from slimml.schema import REFUSED, ZERO

# A kernel is a block, a column for each training row, or one number for all.
Kernel = Node | float


@lowers("sklearn.kernel_ridge.KernelRidge")
def kernel_ridge(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The kernels linear, rbf, poly, sigmoid, laplacian, cosine and precomputed."""
    ctx.check_width(est, x)
    sparse = hasattr(est.X_fit_, "toarray")
    points = dense_matrix(est, "X_fit_", ctx)
    block = ctx.floats(x, finite="all", sparse=ZERO if sparse else REFUSED)
    weights = est_array(est, "dual_coef_", ctx)
    if points.shape[1] != block.type.width or weights.ndim not in (1, 2) or len(weights) != len(points):
        raise ctx.unsupported(f"X_fit_ {points.shape} and dual_coef_ {weights.shape} do not fit")
    kernel: Node = block
    if not isinstance(est.kernel, str) or est.kernel != "precomputed":
        kernel = _pairwise(est.kernel, est.gamma, est.degree, est.coef0, block, points, ctx)
    value = _weighted(kernel, weights, ctx)
    return Model((Output("predict", (value,), "vector" if weights.ndim == 1 else "matrix"),))


@lowers(*moved("sklearn.gaussian_process._gpr", "GaussianProcessRegressor"))
def gaussian_process_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The mean; sums, products and powers of every kernel but Matern's of other nu than 1/2, 3/2, 5/2 and infinity."""
    ctx.check_width(est, x)
    points = dense_matrix(est, "X_train_", ctx)
    block = ctx.floats(x, finite="all")
    weights = est_array(est, "alpha_", ctx)
    if points.shape[1] != block.type.width or weights.ndim not in (1, 2) or len(weights) != len(points):
        raise ctx.unsupported(f"X_train_ {points.shape} and alpha_ {weights.shape} do not fit")
    mean = _weighted(process_kernel(est.kernel_, block, points, ctx), weights, ctx)
    if est.has("_y_train_std"):  # appears in 0.23
        mean = Multiply(inputs=(mean,), value=_per_target(est, "_y_train_std", mean, ctx), origin=ctx.where)
    name = "_y_train_mean" if est.has("_y_train_mean") else "y_train_mean"  # until 0.19
    mean = Add(inputs=(mean,), value=_per_target(est, name, mean, ctx), origin=ctx.where)
    flat = weights.ndim == 1 or (weights.shape[1] == 1 and ctx.version >= (1, 1))
    return Model((Output("predict", (mean,), "vector" if flat else "matrix"),))


def _weighted(kernel: Node, weights: np.ndarray, ctx: Lowerer) -> Node:
    rows = np.ascontiguousarray(weights.reshape(len(weights), -1).T, dtype=np.float64)
    return Linear(inputs=(kernel,), weights=rows, bias=np.full(len(rows), NOTHING), origin=ctx.where)


def _per_target(est: Record, name: str, mean: Node, ctx: Lowerer) -> np.ndarray:
    value = np.asarray(est_array(est, name, ctx), dtype=np.float64).ravel()
    if len(value) not in (1, mean.type.width):
        raise ctx.unsupported(f"{name} of {len(value)} numbers for {mean.type.width} targets")
    return np.broadcast_to(value, (mean.type.width,)).copy()


# ----------------------------------------------------------------------------------------------------------- by name


def _pairwise(
    kernel: object, gamma: object, degree: object, coef0: object, block: Node, points: np.ndarray, ctx: Lowerer
) -> Node:
    """pairwise_kernels of metrics/pairwise.py."""
    share = 1.0 / block.type.width if gamma is None else _number(gamma, ctx)
    if not isinstance(kernel, str):
        raise ctx.unsupported("a kernel that is a function of the user's own")
    if kernel == "rbf":
        squares = ExpandedDistances(inputs=(block,), points=points, origin=ctx.where)
        return Exp(inputs=(_times(squares, -share, ctx),), origin=ctx.where)
    if kernel == "laplacian":
        apart = WithinRadius(
            inputs=(block,), points=points, metric="manhattan", p=1.0, method="direct", radius=np.inf, origin=ctx.where
        )
        return Exp(inputs=(_times(apart, -share, ctx),), origin=ctx.where)
    if kernel == "cosine":
        least = 10 * float(np.finfo(np.float64).eps) if ctx.version >= (1, 0) else 0.0
        unit = UnitRows(inputs=(block,), norm="l2", least=least, origin=ctx.where)
        norms = np.sqrt(np.einsum("ij,ij->i", points, points))
        return _product(unit, points / np.where((norms == 0) | (norms < least), 1.0, norms)[:, None], ctx)
    product = _product(block, points, ctx)
    if kernel == "linear":
        return product
    if kernel not in ("poly", "polynomial", "sigmoid"):
        raise ctx.unsupported(f"the kernel {kernel!r:.40}")
    shifted = _plus(_times(product, share, ctx), _number(coef0, ctx), ctx)
    return Tanh(inputs=(shifted,), origin=ctx.where) if kernel == "sigmoid" else _power(shifted, degree, ctx)


def _number(value: object, ctx: Lowerer) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ctx.unsupported(f"a parameter of its kernel is {value!r:.40}")
    return float(value)


def _product(block: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    return Linear(inputs=(block,), weights=points, bias=np.full(len(points), NOTHING), origin=ctx.where)


def _times(block: Node, factor: float, ctx: Lowerer) -> Node:
    return Multiply(inputs=(block,), value=np.full(block.type.width, factor), origin=ctx.where)


def _plus(block: Node, term: float, ctx: Lowerer) -> Node:
    return Add(inputs=(block,), value=np.full(block.type.width, term), origin=ctx.where)


def _power(block: Node, degree: object, ctx: Lowerer) -> Node:
    whole = isinstance(degree, int | float | np.number) and not isinstance(degree, bool) and float(degree).is_integer()
    if not whole or not 0 <= float(degree) <= MAX_DEGREE:  # type: ignore[arg-type]
        raise ctx.unsupported(f"a kernel to the power of {degree!r:.20}")
    return Power(inputs=(block,), degree=int(degree), origin=ctx.where)  # type: ignore[call-overload]


# --------------------------------------------------------------------------------------------------- Gaussian processes


def process_kernel(kernel: object, block: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    """A kernel of a Gaussian process between rows and training rows, (n, training rows)."""
    found = _process_kernel(kernel, block, points, ctx)
    if isinstance(found, float):
        return Constant(inputs=(block,), value=np.full(len(points), found), origin=ctx.where)
    return found


def kernel_diagonal(kernel: object, ctx: Lowerer) -> float:
    """What the kernel of a row with itself is, where that is the same for every row."""
    if not isinstance(kernel, Record) or kernel.module != "sklearn.gaussian_process.kernels":
        raise ctx.unsupported("a kernel that is not scikit-learn's own")
    if kernel.name in ("Sum", "Product"):
        one, other = (kernel_diagonal(k, ctx) for k in (kernel.k1, kernel.k2))
        return one + other if kernel.name == "Sum" else one * other
    if kernel.name == "Exponentiation":
        return float(kernel_diagonal(kernel.kernel, ctx) ** float(kernel.exponent))
    if kernel.name in ("RBF", "Matern", "RationalQuadratic", "ExpSineSquared"):
        return 1.0
    if kernel.name not in ("ConstantKernel", "WhiteKernel"):
        raise ctx.unsupported(f"the kernel {kernel.name} of a process that classifies")
    return float(kernel.constant_value if kernel.name == "ConstantKernel" else kernel.noise_level)


def _process_kernel(kernel: object, block: Node, points: np.ndarray, ctx: Lowerer) -> Kernel:
    """A kernel of sklearn/gaussian_process/kernels.py between rows and training rows."""
    module = "sklearn.gaussian_process.kernels"
    if not isinstance(kernel, Record) or kernel.module != module:
        raise ctx.unsupported("a kernel that is not scikit-learn's own")
    if kernel.name in ("Sum", "Product"):
        one, other = (_process_kernel(k, block, points, ctx) for k in (kernel.k1, kernel.k2))
        return (_sum if kernel.name == "Sum" else _times_each)(one, other, ctx)
    if kernel.name == "Exponentiation":
        base = _process_kernel(kernel.kernel, block, points, ctx)
        return base ** float(kernel.exponent) if isinstance(base, float) else _power(base, kernel.exponent, ctx)
    if kernel.name == "ConstantKernel":
        return float(kernel.constant_value)
    if kernel.name == "WhiteKernel":  # noise is of a row with itself alone
        return 0.0
    if kernel.name == "DotProduct":
        return _plus(_product(block, points, ctx), float(kernel.sigma_0) ** 2, ctx)
    if kernel.name == "PairwiseKernel":
        given = kernel.get("pairwise_kernels_kwargs") or {}
        if not isinstance(given, dict) or set(given) - {"degree", "coef0"}:
            raise ctx.unsupported("a PairwiseKernel with arguments of its own")
        return _pairwise(
            kernel.metric, kernel.gamma, given.get("degree", 3), given.get("coef0", 1), block, points, ctx)  # fmt: skip
    simple = {"RBF": _rbf, "Matern": _matern, "RationalQuadratic": _rational, "ExpSineSquared": _periodic}
    if kernel.name not in simple:
        raise ctx.unsupported(f"the kernel {kernel.name}")
    return simple[kernel.name](kernel, block, points, ctx)


def _sum(one: Kernel, other: Kernel, ctx: Lowerer) -> Kernel:
    if isinstance(one, float):
        one, other = other, one
    if isinstance(one, float):
        return one + float(other)  # type: ignore[arg-type]
    return _plus(one, other, ctx) if isinstance(other, float) else Sum(inputs=(one, other), origin=ctx.where)


def _times_each(one: Kernel, other: Kernel, ctx: Lowerer) -> Kernel:
    if isinstance(one, float):
        one, other = other, one
    if isinstance(one, float):
        return one * float(other)  # type: ignore[arg-type]
    if isinstance(other, float):
        return _times(one, other, ctx)
    width = one.type.width
    both = beside([one, other], ctx)
    # Every column of the first as a term, then each times its own of the second.
    parent = np.append(np.full(width, COLUMN), np.arange(width)).astype(np.int64)
    terms = Products(inputs=(both,), parent=parent, column=np.arange(2 * width), origin=ctx.where)
    return columns(terms, range(width, 2 * width), ctx)


def _squares(kernel: Record, block: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    """Squared distances in units of the length scale: one number, or one for each column."""
    scale = np.atleast_1d(np.asarray(est_array(kernel, "length_scale", ctx), dtype=np.float64))
    if scale.shape not in ((1,), (block.type.width,)):
        raise ctx.unsupported(f"a length_scale of {len(scale)} columns for {block.type.width}")
    scale = np.broadcast_to(scale, (block.type.width,)).copy()
    scaled = Divide(inputs=(block,), value=scale, origin=ctx.where)
    return SquaredDistances(inputs=(scaled,), points=np.ascontiguousarray(points / scale), origin=ctx.where)


def _rbf(kernel: Record, block: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    squares = _squares(kernel, block, points, ctx)
    return Exp(inputs=(_times(squares, -0.5, ctx),), origin=ctx.where)


def _matern(kernel: Record, block: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    squares, nu = _squares(kernel, block, points, ctx), float(kernel.nu)
    apart = Apply(inputs=(squares,), function="sqrt", origin=ctx.where)
    if nu == math.inf:
        square = Apply(inputs=(apart,), function="square", origin=ctx.where)
        return Exp(inputs=(_times(square, -0.5, ctx),), origin=ctx.where)
    if nu == 0.5:
        return Exp(inputs=(_times(apart, -1.0, ctx),), origin=ctx.where)
    if nu not in (1.5, 2.5):
        raise ctx.unsupported(f"Matern's kernel of nu={nu}")
    scaled = _times(apart, math.sqrt(2 * nu), ctx)
    factor = _plus(scaled, 1.0, ctx)
    if nu == 2.5:
        square = Apply(inputs=(scaled,), function="square", origin=ctx.where)
        third = Divide(inputs=(square,), value=np.full(square.type.width, 3.0), origin=ctx.where)
        factor = Sum(inputs=(factor, third), origin=ctx.where)
    fall = Exp(inputs=(_times(scaled, -1.0, ctx),), origin=ctx.where)
    made = _times_each(factor, fall, ctx)
    assert isinstance(made, Node)
    return made


def _rational(kernel: Record, block: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    """(1 + d**2 / (2 alpha l**2)) ** -alpha, as exp(-alpha log(...))."""
    alpha, scale = float(kernel.alpha), float(kernel.length_scale)
    squares = SquaredDistances(inputs=(block,), points=points, origin=ctx.where)
    share = Divide(inputs=(squares,), value=np.full(len(points), 2 * alpha * scale**2), origin=ctx.where)
    logs = Log(inputs=(_plus(share, 1.0, ctx),), origin=ctx.where)
    return Exp(inputs=(_times(logs, -alpha, ctx),), origin=ctx.where)


def _periodic(kernel: Record, block: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    """exp(-2 (sin(pi / p d) / l)**2)"""
    squares = SquaredDistances(inputs=(block,), points=points, origin=ctx.where)
    apart = Apply(inputs=(squares,), function="sqrt", origin=ctx.where)
    turned = Apply(inputs=(_times(apart, math.pi / float(kernel.periodicity), ctx),), function="sin", origin=ctx.where)
    share = Divide(inputs=(turned,), value=np.full(len(points), float(kernel.length_scale)), origin=ctx.where)
    square = Apply(inputs=(share,), function="square", origin=ctx.where)
    return Exp(inputs=(_times(square, -2.0, ctx),), origin=ctx.where)
