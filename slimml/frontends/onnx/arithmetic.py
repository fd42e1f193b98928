"""Arithmetic with constants, functions number by number, products, and what a row has most of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from slimml.frontends.onnx.matching import matched
from slimml.frontends.onnx.scores import largest, logistic
from slimml.frontends.onnx.values import (
    Codes,
    Counts,
    EvenRow,
    Matches,
    RowSum,
    Step,
    Tensor,
    Value,
    one_each,
    operator,
)
from slimml.ir.node import Node
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.heads import Exp, Log, NormalizeRows, Sigmoid, Softmax, Tanh
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Add, Divide, Multiply, Subtract, Sum

_Out = tuple[Value, ...]
_ELEMENTWISE: dict[str, Any] = {"Exp": Exp, "Log": Log, "Tanh": Tanh}
_FUNCTIONS = {"Abs": "absolute", "Sqrt": "sqrt", "Floor": "floor", "Ceil": "ceil"}
_ARITHMETIC: dict[str, Any] = {"Add": Add, "Sub": Subtract, "Mul": Multiply, "Div": Divide}


@operator("", "Add", "Sub", "Mul", "Div")
def arithmetic(step: Step) -> _Out:
    """With a constant, one number or one for each column; the sum of two blocks; shares of the sum of a row."""
    op, origin = step.onnx.op, step.ctx.where
    make = _ARITHMETIC[op]
    if len(step.given) != 2:
        raise step.unsupported("of other than two inputs")
    if isinstance(step.given[0], np.ndarray):
        step.given = step.given[::-1]
        if op == "Sub":
            # c - x is -x + c, which is rounded as once.
            turned = step.same_floats()
            minus = np.full(turned.type.width, -1, dtype=turned.type.dtype)
            step.given = (Tensor(Multiply(inputs=(turned,), value=minus, origin=origin)), step.given[1])
            make = Add
        elif op == "Div":
            return (Tensor(_inverse(step)),)
    found, by = step.given
    if op == "Div" and isinstance(by, RowSum):
        return (Tensor(_shares(step, by)),)
    if op == "Add" and isinstance(found, Tensor) and isinstance(by, Tensor):
        return (Tensor(Sum(inputs=(step.same_floats(0), step.same_floats(1)), origin=origin)),)
    if op == "Add" and isinstance(found, Counts) and isinstance(by, np.ndarray):
        return (replace(found, shift=by.reshape(-1)),)
    if op == "Add" and isinstance(found, Tensor) and found.codes is not None:
        return (_moved(step, found, found.codes),)
    node = step.same_floats()
    other = step.constant(1)
    if other.ndim and other.shape[-1] != 1 and node.type.width == 1:
        raise step.unsupported("a column with a constant of several")
    value = one_each(step, other, node.type.width, node.type.dtype, "a constant")
    if make is Add and isinstance(node, Linear) and not node.bias.any():
        return (Tensor(replace(node, bias=value)),)
    return (Tensor(make(inputs=(node,), value=value, origin=step.ctx.where)),)


def _moved(step: Step, found: Tensor, codes: Codes) -> Tensor:
    """Positions in tables that stand one behind the other."""
    by = step.constant(1)
    width = codes.node.type.width
    if by.dtype.kind != "i" or by.ndim > 1 or by.size not in (1, width) or np.abs(by).max() > 1 << 30:
        raise step.unsupported("codes and what are no positions")
    value = np.broadcast_to(by.reshape(-1), (width,)).astype(np.int64)
    node = Add(inputs=(found.node,), value=value.astype(found.node.type.dtype), origin=step.ctx.where)
    return Tensor(node, found.axes, codes=Codes(codes.node, codes.shift + value))


def _inverse(step: Step) -> Node:
    """1 / x; of 1 + exp(-x) the sigmoid that it is."""
    node, one = step.same_floats(), step.constant(1)
    if one.size != 1 or one.reshape(-1)[0] != 1:
        raise step.unsupported("another number than 1 by what is computed")
    raised = node.inputs[0] if isinstance(node, Add) and (node.value == 1).all() else None
    turned = raised.inputs[0] if isinstance(raised, Exp) else None
    if isinstance(turned, Multiply) and (turned.value == -1).all():
        return Sigmoid(inputs=turned.inputs, origin=step.ctx.where)
    return Apply(inputs=(node,), function="reciprocal", origin=step.ctx.where)


def _shares(step: Step, by: RowSum) -> Node:
    """A row by its sum."""
    row, even = step.given[0], float(by.node.type.width)
    own = isinstance(row, Tensor | EvenRow) and row.node is by.node
    # What stands for the sum where that is 0, and whether the row is one of ones then.
    empty = {(None, False): "missing", (1.0, False): "kept", (even, True): "uniform"}
    how = empty.get((by.empty, isinstance(row, EvenRow)))
    if not own or how is None:
        raise step.unsupported("by the sum of another row")
    return NormalizeRows(inputs=(by.node,), empty=how, origin=step.ctx.where)


@operator("", "Neg")
def negative(step: Step) -> _Out:
    """-x, which is x times -1."""
    node = step.same_floats()
    minus = np.full(node.type.width, -1, dtype=node.type.dtype)
    return (Tensor(Multiply(inputs=(node,), value=minus, origin=step.ctx.where)),)


@operator("", "Abs", "Sqrt", "Floor", "Ceil")
def function(step: Step) -> _Out:
    """Functions that are rounded correctly everywhere."""
    name = _FUNCTIONS[step.onnx.op]
    return (Tensor(Apply(inputs=(step.same_floats(),), function=name, origin=step.ctx.where)),)


@operator("", "Sigmoid")
def sigmoid(step: Step) -> _Out:
    """As the classifiers' LOGISTIC."""
    return (Tensor(logistic(step.same_floats(), step.ctx.where)),)


@operator("", "Exp", "Log", "Tanh")
def elementwise(step: Step) -> _Out:
    """Number by number."""
    return (Tensor(_ELEMENTWISE[step.onnx.op](inputs=(step.same_floats(),), origin=step.ctx.where)),)


@operator("", "Softmax")
def softmax(step: Step) -> _Out:
    """Over the columns."""
    if step.whole("axis", -1) not in (-1, 1):
        raise step.unsupported("over rows")
    return (Tensor(Softmax(inputs=(step.same_floats(),), origin=step.ctx.where)),)


@operator("", "ArgMax")
def arg_max(step: Step) -> _Out:
    """The first column that is largest."""
    if step.whole("axis", 0) not in (-1, 1) or step.whole("select_last_index", 0):
        raise step.unsupported("over rows, or the last of several")
    axes = 2 if step.whole("keepdims", 1) else 1
    if isinstance(step.given[0], Matches):
        return (replace(matched(step, step.given[0]), axes=axes),)
    return (Tensor(largest(step.same_floats(), step.ctx.where), axes),)


@operator("", "MatMul", "Gemm")
def product(step: Step) -> _Out:
    """Rows times a constant matrix, plus a constant."""
    node, matrix, alone = step.same_floats(), step.constant(1), step.onnx.op == "MatMul"
    if not alone:
        if step.get("alpha", 1.0) != 1.0 or step.get("beta", 1.0) != 1.0 or step.whole("transA", 0):
            raise step.unsupported("factors, or a first matrix on its side")
        matrix = matrix.T if step.whole("transB", 0) else matrix
    if matrix.ndim != 2 or matrix.shape[0] != node.type.width or matrix.dtype != node.type.dtype or not matrix.size:
        raise step.unsupported(f"a matrix of the shape {list(matrix.shape)} for {node.type.width} columns")
    bias = np.zeros(matrix.shape[1], dtype=matrix.dtype)
    if not alone and len(step.given) > 2 and step.given[2] is not None:
        bias = one_each(step, step.constant(2), matrix.shape[1], node.type.dtype, "a constant")
    weights = np.ascontiguousarray(matrix.T)
    return (Tensor(Linear(inputs=(node,), weights=weights, bias=bias, origin=step.ctx.where)),)
