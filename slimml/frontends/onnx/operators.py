"""Linear models and the steps before them, as ai.onnx.ml has them."""

from __future__ import annotations

import math

import numpy as np

from slimml.frontends.onnx.scores import by_largest, class_table, transform_of, transformed
from slimml.frontends.onnx.values import (
    ML,
    Step,
    Tensor,
    Value,
    one_each,
    operator,
)
from slimml.ir.node import Node
from slimml.ir.ops.columns import Select
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Binarize, FillMissing, Guard, Multiply, Subtract
from slimml.ir.ops.text import UnitRows

_Out = tuple[Value, ...]
_NORMS = {"L1": "l1", "L2": "l2"}


def _linear(step: Step, count: int | None) -> Node:
    """The sums of a linear model: float32 coefficients, one row for each output."""
    x, weights = step.floats(), step.numbers("coefficients")
    given = step.numbers("intercepts")
    if weights is None or not len(weights) or len(weights) % x.type.width:
        raise step.unsupported("coefficients that do not fit the columns")
    matrix = weights.reshape(-1, x.type.width).astype(np.float32)
    bias = np.zeros(len(matrix), dtype=np.float32) if given is None or not len(given) else given.astype(np.float32)
    if len(bias) != len(matrix) or (count is not None and len(matrix) != count):
        raise step.unsupported("coefficients, intercepts and outputs of different numbers")
    return Linear(inputs=(x,), weights=matrix, bias=bias, origin=step.ctx.where)


@operator(ML, "LinearClassifier")
def linear_classifier(step: Step) -> _Out:
    """A sum for each class."""
    table, name = class_table(step, "classlabels_ints"), transform_of(step)
    step.get("multi_class")
    if len(table) < 2:
        raise step.unsupported("a single class")
    return by_largest(_linear(step, len(table)), table, name, step.ctx.where)


@operator(ML, "LinearRegressor")
def linear_regressor(step: Step) -> _Out:
    """A sum for each target."""
    name, count = transform_of(step), step.whole("targets", 1)
    if name != "NONE":
        raise step.unsupported(f"post_transform {name}")
    return (Tensor(transformed(_linear(step, count), name, step.ctx.where)),)


@operator(ML, "Scaler")
def scaler(step: Step) -> _Out:
    """(x - offset) * scale"""
    x = step.floats()
    offset, scale = step.numbers("offset"), step.numbers("scale")
    if offset is None or scale is None:
        raise step.unsupported("no offset or no scale")
    moved = Subtract(
        inputs=(x,), value=one_each(step, offset, x.type.width, "float32", "offset"), origin=step.ctx.where
    )
    value = one_each(step, scale, x.type.width, "float32", "scale")
    return (Tensor(Multiply(inputs=(moved,), value=value, origin=step.ctx.where)),)


@operator(ML, "Normalizer")
def normalizer(step: Step) -> _Out:
    """Rows divided by their L1 or L2 norm."""
    norm = step.word("norm", "MAX")
    if norm not in _NORMS:
        raise step.unsupported(f"norm {norm!r:.40}")
    return (Tensor(UnitRows(inputs=(step.floats(),), norm=_NORMS[norm], origin=step.ctx.where)),)


@operator(ML, "Binarizer")
def binarizer(step: Step) -> _Out:
    """1 above the threshold; a missing value is refused."""
    threshold = step.get("threshold", 0.0)
    if type(threshold) is not float or not math.isfinite(threshold):
        raise step.unsupported("a threshold that is no number")
    node = step.same_floats()
    ends = np.full(node.type.width, np.inf)
    given = Guard(inputs=(node,), low=-ends, high=ends, missing=np.zeros(len(ends), dtype=bool), origin=step.ctx.where)
    return (Tensor(Binarize(inputs=(given,), threshold=threshold, origin=step.ctx.where)),)


@operator(ML, "Imputer")
def imputer(step: Step) -> _Out:
    """Values in place of those that are missing."""
    node, fill = step.same_floats(), step.numbers("imputed_value_floats")
    sentinel = step.get("replaced_value_float", 0.0)
    if fill is None or not len(fill) or type(sentinel) is not float:
        raise step.unsupported("no floats to fill in")
    values = tuple(one_each(step, fill, node.type.width, node.type.dtype, "imputed_value_floats").tolist())
    return (Tensor(FillMissing(inputs=(node,), sentinel=sentinel, fill=values, origin=step.ctx.where)),)


@operator(ML, "ArrayFeatureExtractor")
def extracted(step: Step) -> _Out:
    """Columns at constant places; or labels of a constant at places that are computed."""
    if isinstance(step.given[0], np.ndarray):
        labels, found = step.constant(0).reshape(-1), step.tensor(1)
        if found.table is not None or found.node.type.dtype != "int64" or found.node.type.width != 1:
            raise step.unsupported("a constant at places that are no integers")
        (domain,) = found.node.type.domains
        if not (0 <= domain.low and domain.high < len(labels)) or labels.dtype.kind not in "iO":
            raise step.unsupported("a constant at places that it may not have")
        return (Tensor(found.node, 2, labels.astype(str) if labels.dtype.kind == "O" else labels),)
    value, index = step.tensor(), step.constant(1).reshape(-1)
    if value.axes != 2 or value.table is not None or index.dtype.kind not in "iu" or not len(index):
        raise step.unsupported("columns that are no places in a table")
    if index.min() < 0 or index.max() >= value.node.type.width:
        raise step.unsupported("columns that are not there")
    return (Tensor(Select(inputs=(value.node,), index=index.astype(np.int64), origin=step.ctx.where)),)
