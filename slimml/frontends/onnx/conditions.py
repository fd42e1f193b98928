"""Comparisons with constants, and what is made of them: numbers, fillings, one-hot columns.

A comparison stays a Condition until something reads it, because what reads it tells what it means: `x` where it is not
missing and a constant elsewhere is an imputer, a share of a row's sum where that is not 0 a normalizer.
"""

from __future__ import annotations

import numpy as np

from slimml.frontends.onnx.matching import counts_of, key, ranked
from slimml.frontends.onnx.values import (
    MISSING_TEXTS,
    NAN,
    Condition,
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
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.numeric import Clip, FillMissing
from slimml.ir.ops.ranks import Rank

_SIDES = {"Greater": ("above", False), "Less": ("below", False), "GreaterOrEqual": ("above", True),
          "LessOrEqual": ("below", True)}  # fmt: skip


@operator("", "IsNaN")
def is_nan(step: Step) -> tuple[Value]:
    """Where a number is missing."""
    step.same_floats()
    return (Condition("missing", step.tensor()),)


@operator("", "Not")
def negation(step: Step) -> tuple[Value]:
    """The other side of a comparison; NaN is on it."""
    given = step.condition()
    return (Condition(given.test, given.tensor, given.value, not given.negated),)


@operator("", "Equal")
def equal(step: Step) -> tuple[Value]:
    """Where cells, or sums of rows, are a constant."""
    first = step.given[0]
    if isinstance(first, Tensor) and len(step.given) > 1 and step.given[1] is first:
        return (Condition("itself", first),)
    value = step.constant(1)
    if isinstance(first, RowSum):
        if value.size != 1 or value.reshape(-1)[0] != 0 or first.empty is not None:
            raise step.unsupported("the sum of a row with another number than 0")
        return (Condition("empty", Tensor(first.node)),)
    found = step.tensor()
    if value.ndim == 2 and value.shape[0] == 1:
        value = value[0]
    width = found.node.type.width
    if width == 1 and value.ndim == 1 and value.size > 1 and value.dtype.kind == "f" and found.node.type.numeric:
        return (Matches(found.node, tuple(key(v, i, value[:i]) for i, v in enumerate(value.tolist()))),)
    if found.table is not None or found.axes != 2 or value.ndim > 1 or value.size not in (1, width):
        raise step.unsupported("labels, or columns with constants of another number")
    if (value.dtype.kind == "O") == found.node.type.numeric:
        raise step.unsupported("numbers with strings")
    return (Condition("equal", found, value),)


@operator("", "Greater", "Less", "GreaterOrEqual", "LessOrEqual")
def ordered(step: Step) -> tuple[Value]:
    """Where numbers lie on one side of a constant. The negation of the other side would take NaN along."""
    node, value = step.same_floats(), step.constant(1)
    test, reached = _SIDES[step.onnx.op]
    if step.onnx.op == "Greater" and node.type.width == 1 and value.shape == (1, value.size) and value.size > 1:
        return (counts_of(step, node, value[0]),)
    value = one_each(step, value, node.type.width, node.type.dtype, "a constant")
    if np.isnan(value).any() or (reached and (value == (-np.inf if test == "above" else np.inf)).any()):
        raise step.unsupported("with what every number reaches")
    if reached:
        # x >= c is x > the number below c.
        value = np.nextafter(value, value.dtype.type(-np.inf if test == "above" else np.inf))
    return (Condition(test, step.tensor(), value.astype(node.type.dtype)),)


@operator("", "Where")
def where(step: Step) -> tuple[Value]:
    """A constant where a condition holds, and else the very block that it is asked of."""
    given = step.condition()
    then, other = (step.given[i] if i < len(step.given) else None for i in (1, 2))
    if given.negated:
        then, other = other, then
    if isinstance(other, Counts):
        return (ranked(step, given, then, other),)
    if given.test == "empty" and isinstance(then, np.ndarray) and then.size == 1:
        return (_where_empty(step, given.tensor.node, float(then.reshape(-1)[0]), other),)
    if not isinstance(other, Tensor) or not isinstance(then, np.ndarray) or other.node is not given.tensor.node:
        raise step.unsupported("of anything but a constant in place of some values of a block")
    return (Tensor(_replaced(step, given, then)),)


def _replaced(step: Step, given: Condition, then: np.ndarray) -> Node:
    """A constant in place of what a condition holds for."""
    node, value = given.tensor.node, given.value
    if given.test == "missing":
        return _filled(step, node, NAN, then)
    if given.test == "equal" and value is not None and value.size == 1:
        sentinel = value.reshape(-1)[0]
        if isinstance(sentinel, str) and sentinel in MISSING_TEXTS:
            node = _filled(step, node, MISSING_TEXTS[sentinel], then)
        return _filled(step, node, sentinel if isinstance(sentinel, str) else float(sentinel), then)
    ranks = isinstance(node, Cast) and isinstance(node.inputs[0], Rank)
    if given.test == "below" and ranks and value is not None and not value.any():
        # The only rank below 0 is that of what is missing.
        return _filled(step, node, -1.0, then)
    if given.test in ("above", "below") and then.size == 1:
        return _clipped(step, given, float(then.reshape(-1)[0]))
    raise step.unsupported(f"a constant where values are {given.test}")


def _filled(step: Step, node: Node, sentinel: object, then: np.ndarray) -> Node:
    width = node.type.width
    if node.type.numeric:
        fill = tuple(one_each(step, then, width, node.type.dtype, "a constant").tolist())
    elif then.dtype.kind == "O" and then.size == 1:
        fill = (then.reshape(-1)[0],) * width
    else:
        raise step.unsupported("strings and numbers")
    return FillMissing(inputs=(node,), sentinel=sentinel, fill=fill, origin=step.ctx.where)


def _where_empty(step: Step, node: Node, then: float, other: Value | None) -> Value:
    """What stands for a row, or for its sum, where that sum is 0."""
    if isinstance(other, RowSum) and other.node is node and other.empty is None:
        return RowSum(node, then)
    if isinstance(other, Tensor) and other.node is node and then == 1:
        return EvenRow(node)
    raise step.unsupported("of rows whose sum is 0 anything but that row and its sum")


def _clipped(step: Step, given: Condition, fill: float) -> Node:
    """A bound in place of what lies beyond it: NaN stays."""
    node, value = given.tensor.node, given.value
    if value is None or len(np.unique(value)) != 1:
        raise step.unsupported("bounds that are not those of a block")
    end = float(value[0])
    # Where x <= low gives low, or x < low does: the same.
    if fill not in (end, float(np.nextafter(value[:1], -np.inf if given.test == "below" else np.inf)[0])):
        raise step.unsupported("a constant that is no bound")
    low, high = (fill, np.inf) if given.test == "below" else (-np.inf, fill)
    return Clip(inputs=(node,), low=low, high=high, origin=step.ctx.where)
