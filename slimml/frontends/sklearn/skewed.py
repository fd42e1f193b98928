"""What makes a skewed column normal or uniform: PowerTransformer, QuantileTransformer."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import inverts, lowers, moved
from slimml.frontends.sklearn.fields import est_array
from slimml.frontends.sklearn.members import as_type
from slimml.frontends.sklearn.scale import scaled
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.normal import ndtri
from slimml.ir.ops.curves import (
    BOX_COX,
    BOX_COX_BACK,
    BOX_COX_BACK_POWER,
    YEO_JOHNSON,
    YEO_JOHNSON_BACK,
    YEO_JOHNSON_POWER,
    PowerCurve,
    QuantileBack,
    QuantileCurve,
)
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.numeric import Clip, Guard

_LEAST = 5e-324
# How near to an end of what was seen a value counts as that end (BOUNDS_THRESHOLD of _data.py).
_MARGIN = 1e-7


@lowers(*moved("sklearn.preprocessing._data", "PowerTransformer"))
def power_transformer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Yeo-Johnson and Box-Cox, with and without `standardize`."""
    ctx.check_width(est, x)
    _check_method(est, ctx)
    # Since 1.7 the curve of Yeo and Johnson is scipy's (https://github.com/scikit-learn/scikit-learn/pull/31227).
    old = ctx.version < (1, 7)
    # What numpy of that time made of float32 and a float64 exponent, the file does not say.
    block = ctx.floats(x, finite="missing", narrow=not old or est.method == "box-cox")
    lambdas = _lambdas(est, block, ctx)
    if est.method == "box-cox":
        kind, block = BOX_COX, _positive(block, ctx)
    else:
        kind = YEO_JOHNSON_POWER if old else YEO_JOHNSON
    curve = PowerCurve(inputs=(block,), kind=kind, lambdas=lambdas, origin=ctx.where)
    return ctx.transform(est._scaler, curve, "_scaler") if est.standardize else curve


@inverts(*moved("sklearn.preprocessing._data", "PowerTransformer"))
def power_transformer_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    _check_method(est, ctx)
    block = scaled(est, x, ctx)
    lambdas = _lambdas(est, block, ctx)
    if str(lambdas.dtype) != block.type.dtype == "float32" and ctx.version < (1, 7):
        raise ctx.unsupported("float32 with lambdas_ in float64, of which numpy 1 and 2 make different things")
    if est.standardize:
        block = ctx.inverse(est._scaler, block, "_scaler")
    kind = YEO_JOHNSON_BACK
    if est.method == "box-cox":  # scipy's since 1.6 (https://github.com/scikit-learn/scikit-learn/pull/27875)
        kind = BOX_COX_BACK if ctx.version >= (1, 6) else BOX_COX_BACK_POWER
    return PowerCurve(inputs=(block,), kind=kind, lambdas=lambdas, origin=ctx.where)


def _check_method(est: Record, ctx: Lowerer) -> None:
    if est.method not in ("yeo-johnson", "box-cox"):
        raise ctx.unsupported(f"method={est.method!r:.40} is not handled")


def _lambdas(est: Record, block: Node, ctx: Lowerer) -> np.ndarray:
    lambdas = est_array(est, "lambdas_", ctx)
    if lambdas.shape != (block.type.width,) or lambdas.dtype.kind != "f":
        raise ctx.unsupported(f"lambdas_ of shape {lambdas.shape} do not fit {block.type.width} columns")
    return lambdas if lambdas.dtype in (np.float32, np.float64) else lambdas.astype(np.float64)


def _positive(block: Node, ctx: Lowerer) -> Node:
    width = block.type.width
    most, missing = np.full(width, np.inf), np.ones(width, dtype=bool)
    return Guard(inputs=(block,), low=np.full(width, _LEAST), high=most, missing=missing, origin=ctx.where)


@lowers(*moved("sklearn.preprocessing._data", "QuantileTransformer"))
def quantile_transformer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Uniform and normal, on dense and on sparse blocks."""
    ctx.check_width(est, x)
    normal = _is_normal(est, ctx)
    # Missing values are handed on since 0.20.
    block = ctx.floats(x, finite="missing" if ctx.version >= (0, 20) else "all", csr=True, narrow=True)
    if block.type.layout == "csr" and not est.ignore_implicit_zeros:
        block = _not_negative(block, ctx)
    table, references, margin = _quantiles(est, block, ctx)
    out: Node = QuantileCurve(inputs=(block,), quantiles=table, references=references, margin=margin, origin=ctx.where)
    low = _MARGIN - np.spacing(1)
    ends = np.array([low, 1 - low])
    if normal:
        out = Apply(inputs=(out,), function="ndtri", origin=ctx.where)
        ends = ndtri(ends)
    return Clip(inputs=(out,), low=float(ends[0]), high=float(ends[1]), origin=ctx.where) if margin else out


@inverts(*moved("sklearn.preprocessing._data", "QuantileTransformer"))
def quantile_transformer_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    block = scaled(est, x, ctx, missing=ctx.version >= (0, 20))
    dtype = block.type.dtype
    table, references, margin = _quantiles(est, block, ctx)
    # Whatever comes in, scipy's and numpy's functions compute in double.
    block = as_type("float64", block, ctx)
    if _is_normal(est, ctx):
        block = Apply(inputs=(block,), function="ndtr", origin=ctx.where)
    back = QuantileBack(inputs=(block,), quantiles=table, references=references, margin=margin, origin=ctx.where)
    return as_type(dtype, back, ctx)


def _is_normal(est: Record, ctx: Lowerer) -> bool:
    if est.output_distribution not in ("normal", "uniform"):
        raise ctx.unsupported(f"output_distribution={est.output_distribution!r:.40} is not handled")
    return bool(est.output_distribution == "normal")


def _quantiles(est: Record, block: Node, ctx: Lowerer) -> tuple[np.ndarray, np.ndarray, float]:
    """A row of quantiles per column, the shares that they are of, and how near to an end counts as the end."""
    quantiles = np.array(est_array(est, "quantiles_", ctx), dtype=np.float64).T
    references = np.array(est_array(est, "references_", ctx), dtype=np.float64)
    if quantiles.shape != (block.type.width, len(references)) or (np.diff(quantiles) < 0).any():
        raise ctx.unsupported(f"quantiles_ of shape {quantiles.shape} do not fit, or do not rise")
    # Until 0.21 the ends of a uniform output were those of a normal one
    # (https://github.com/scikit-learn/scikit-learn/pull/12827).
    cut = _is_normal(est, ctx) or ctx.version < (0, 21)
    return np.ascontiguousarray(quantiles), references, _MARGIN if cut else 0.0


def _not_negative(block: Node, ctx: Lowerer) -> Node:
    width = block.type.width
    low, most = np.zeros(width), np.full(width, np.inf)
    return Guard(inputs=(block,), low=low, high=most, missing=np.ones(width, dtype=bool), origin=ctx.where)
