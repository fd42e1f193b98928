"""Scalers. Same arithmetic, same order, same dtype as the original: it divides, so the graph divides."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import inverts, lowers, moved
from slimml.frontends.sklearn.arithmetic import as_dtype, in_place
from slimml.frontends.sklearn.fields import floats_of, vector
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.numeric import Add, Clip, Divide, Multiply, Subtract
from slimml.ir.ops.text import UnitRows


@lowers("sklearn.preprocessing._data.StandardScaler", "sklearn.preprocessing.data.StandardScaler")
def standard_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """With and without mean and deviation; sparse rows are multiplied by reciprocals, as in the original."""
    block = _numbers(est, x, ctx)
    if est.with_mean:
        block = _centred(block, _fitted(est, "mean_", block, ctx), ctx)
    if est.with_std and est.scale_ is not None:
        block = _divided(block, _fitted(est, "scale_", block, ctx), ctx)
    return block


@lowers("sklearn.preprocessing._data.RobustScaler", "sklearn.preprocessing.data.RobustScaler")
def robust_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """With and without centre and scale."""
    block = _numbers(est, x, ctx)
    if est.with_centering:
        block = _centred(block, _fitted(est, "center_", block, ctx), ctx)
    if est.with_scaling:
        block = _divided(block, _fitted(est, "scale_", block, ctx), ctx)
    return block


@lowers("sklearn.preprocessing._data.MaxAbsScaler", "sklearn.preprocessing.data.MaxAbsScaler")
def max_abs_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """With and without `clip`."""
    block = _numbers(est, x, ctx)
    block = _divided(block, _fitted(est, "scale_", block, ctx), ctx)
    if est.get("clip"):  # since 1.8
        block = Clip(inputs=(block,), low=-1.0, high=1.0, origin=ctx.where)
    return block


@lowers("sklearn.preprocessing._data.MinMaxScaler", "sklearn.preprocessing.data.MinMaxScaler")
def min_max_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any range, with and without `clip`."""
    ctx.check_width(est, x)
    # Refuses csr in the original, so a csr block never comes in.
    block = ctx.floats(x, finite="missing", narrow=True)
    block = in_place(Multiply, block, _fitted(est, "scale_", block, ctx), ctx)
    block = in_place(Add, block, _fitted(est, "min_", block, ctx), ctx)
    if est.get("clip"):
        low, high = est.feature_range
        block = Clip(inputs=(block,), low=float(low), high=float(high), origin=ctx.where)
    return block


@lowers(*moved("sklearn.preprocessing._data", "Normalizer"))
def normalizer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every norm, on dense and on sparse blocks."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all", csr=True, narrow=True)
    if est.norm not in ("l1", "l2", "max"):
        raise ctx.unsupported(f"norm={est.norm!r:.40} is not handled")
    # Since 1.0 a dense row that is nearly 0 counts as 0 (https://github.com/scikit-learn/scikit-learn/pull/19527).
    near = block.type.layout == "dense" and ctx.version >= (1, 0)
    least = 10 * float(np.finfo(block.type.dtype).eps) if near else 0.0
    return UnitRows(inputs=(block,), norm=est.norm, least=least, origin=ctx.where)


# ------------------------------------------------------------------------------------------------------------ inverses


@inverts(*moved("sklearn.preprocessing._data", "StandardScaler"))
def standard_scaler_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    block = scaled(est, x, ctx)
    if est.with_std and est.scale_ is not None:
        block = in_place(Multiply, block, _fitted(est, "scale_", block, ctx), ctx)
    return in_place(Add, block, _fitted(est, "mean_", block, ctx), ctx) if est.with_mean else block


@inverts(*moved("sklearn.preprocessing._data", "RobustScaler"))
def robust_scaler_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    block = scaled(est, x, ctx)
    if est.with_scaling:
        block = in_place(Multiply, block, _fitted(est, "scale_", block, ctx), ctx)
    return in_place(Add, block, _fitted(est, "center_", block, ctx), ctx) if est.with_centering else block


@inverts(*moved("sklearn.preprocessing._data", "MaxAbsScaler"))
def max_abs_scaler_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    block = scaled(est, x, ctx)
    return in_place(Multiply, block, _fitted(est, "scale_", block, ctx), ctx)


@inverts(*moved("sklearn.preprocessing._data", "MinMaxScaler"))
def min_max_scaler_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    block = scaled(est, x, ctx)
    block = in_place(Subtract, block, _fitted(est, "min_", block, ctx), ctx)
    return in_place(Divide, block, _fitted(est, "scale_", block, ctx), ctx)


def scaled(est: Record, x: Node, ctx: Lowerer, *, missing: bool = True) -> Node:
    """What stands for transformed values: floats, float32 too; infinities are refused, and NaN if not `missing`."""
    ctx.check_width(est, x)
    if x.type.layout != "dense":
        raise ctx.unsupported(f"inverse_transform of {est.name} on sparse rows is not handled")
    block = x if x.type.dtype == "float32" else as_dtype(x, np.dtype(np.float64), ctx)
    return ctx.guard(block, "missing" if missing else "all")


# -------------------------------------------------------------------------------------------------------------- parts


def _numbers(est: Record, x: Source, ctx: Lowerer) -> Node:
    ctx.check_width(est, x)
    return ctx.floats(x, finite="missing", csr=True, narrow=True)


def _fitted(est: Record, name: str, block: Node, ctx: Lowerer) -> np.ndarray:
    vector(est, name, ctx, block.type.width)
    value = floats_of(est, name, block, ctx)
    # Since 1.8 this one alone casts what it was fitted to before it computes.
    early = est.name == "StandardScaler" and ctx.version >= (1, 8) and block.type.layout == "dense"
    return value.astype(block.type.dtype) if early else value


def _centred(block: Node, mean: np.ndarray, ctx: Lowerer) -> Node:
    if block.type.layout == "csr":
        raise ctx.unsupported("the original does not centre sparse input")
    return in_place(Subtract, block, mean, ctx)


def _divided(block: Node, scale: np.ndarray, ctx: Lowerer) -> Node:
    if block.type.layout == "csr":
        # On sparse input the original multiplies by the reciprocal (sparsefuncs.inplace_column_scale), which rounds
        # differently in about a third of all cells.
        with np.errstate(divide="ignore"):
            return in_place(Multiply, block, 1.0 / scale, ctx)
    return in_place(Divide, block, scale, ctx)
