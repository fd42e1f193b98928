"""Scalers. Same arithmetic, same order, same dtype as the original: it divides, so the graph divides."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import vector
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.numeric import Add, Clip, Divide, Multiply, Subtract


@lowers("sklearn.preprocessing._data.StandardScaler", "sklearn.preprocessing.data.StandardScaler")
def standard_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    block = _numbers(est, x, ctx)
    if est.with_mean:
        block = _centred(block, vector(est, "mean_", ctx, block.type.width), ctx)
    if est.with_std and est.scale_ is not None:
        block = _divided(block, vector(est, "scale_", ctx, block.type.width), ctx)
    return block


@lowers("sklearn.preprocessing._data.RobustScaler", "sklearn.preprocessing.data.RobustScaler")
def robust_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    block = _numbers(est, x, ctx)
    if est.with_centering:
        block = _centred(block, vector(est, "center_", ctx, block.type.width), ctx)
    if est.with_scaling:
        block = _divided(block, vector(est, "scale_", ctx, block.type.width), ctx)
    return block


@lowers("sklearn.preprocessing._data.MaxAbsScaler", "sklearn.preprocessing.data.MaxAbsScaler")
def max_abs_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    block = _numbers(est, x, ctx)
    block = _divided(block, vector(est, "scale_", ctx, block.type.width), ctx)
    if est.get("clip"):  # since 1.8
        block = Clip(inputs=(block,), low=-1.0, high=1.0, origin=ctx.where)
    return block


@lowers("sklearn.preprocessing._data.MinMaxScaler", "sklearn.preprocessing.data.MinMaxScaler")
def min_max_scaler(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="missing")  # refuses csr in the original, so a csr block never comes in
    width = block.type.width
    block = Multiply(inputs=(block,), value=vector(est, "scale_", ctx, width), origin=ctx.where)
    block = Add(inputs=(block,), value=vector(est, "min_", ctx, width), origin=ctx.where)
    if est.get("clip"):
        low, high = est.feature_range
        block = Clip(inputs=(block,), low=float(low), high=float(high), origin=ctx.where)
    return block


def _numbers(est: Record, x: Source, ctx: Lowerer) -> Node:
    ctx.check_width(est, x)
    return ctx.floats(x, finite="missing", csr=True)


def _centred(block: Node, mean: np.ndarray, ctx: Lowerer) -> Node:
    if block.type.layout == "csr":
        raise ctx.unsupported("the original does not centre sparse input")
    return Subtract(inputs=(block,), value=mean, origin=ctx.where)


def _divided(block: Node, scale: np.ndarray, ctx: Lowerer) -> Node:
    if block.type.layout == "csr":
        # On sparse input the original multiplies by the reciprocal (sparsefuncs.inplace_column_scale), which rounds
        # differently in about a third of all cells.
        with np.errstate(divide="ignore"):
            return Multiply(inputs=(block,), value=1.0 / scale, origin=ctx.where)
    return Divide(inputs=(block,), value=scale, origin=ctx.where)
