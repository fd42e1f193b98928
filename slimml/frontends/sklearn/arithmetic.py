"""Arithmetic of rows and fitted arrays of two dtypes, as numpy promotes them (see `Lowerer.floats`)."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowerer
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Add, Divide, Multiply, Subtract
from slimml.ir.types import DType

# What addition leaves every number as it is with, -0.0 included.
NOTHING = -0.0

_WithVector = type[Add] | type[Subtract] | type[Multiply] | type[Divide]


def as_dtype(block: Node, dtype: np.dtype, ctx: Lowerer) -> Node:
    """The block in a dtype of floats."""
    name: DType = "float32" if dtype == np.float32 else "float64"
    return block if block.type.dtype == name else Cast(inputs=(block,), dtype=name, origin=ctx.where)


def in_place(op: _WithVector, block: Node, value: np.ndarray, ctx: Lowerer) -> Node:
    """`block op= value`: computed in the dtype of both, and put back in the block's own."""
    own = np.dtype(block.type.dtype)
    wide = np.result_type(own, value.dtype)
    made = op(inputs=(as_dtype(block, wide, ctx),), value=value.astype(wide), origin=ctx.where)
    return as_dtype(made, own, ctx)


def product(block: Node, weights: np.ndarray, bias: np.ndarray, ctx: Lowerer) -> Node:
    """`block @ weights.T + bias`, each operation in the dtype of its operands; a bias of float64 widens the sum."""
    dtype = np.result_type(np.dtype(block.type.dtype), weights.dtype)
    apart = np.result_type(dtype, bias.dtype) != dtype
    own = np.full(len(bias), NOTHING) if apart else bias
    block = as_dtype(block, dtype, ctx)
    weights = np.ascontiguousarray(weights, dtype=dtype)
    out: Node = Linear(inputs=(block,), weights=weights, bias=own.astype(dtype), origin=ctx.where)
    if apart:
        out = Add(inputs=(as_dtype(out, bias.dtype, ctx),), value=bias, origin=ctx.where)
    return out
