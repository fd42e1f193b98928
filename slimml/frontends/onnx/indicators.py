"""Comparisons as numbers: 1 where they hold, 0 elsewhere."""

from __future__ import annotations

import math

import numpy as np

from slimml.frontends.onnx.values import (
    MISSING_TEXTS,
    NAN,
    Condition,
    Step,
    as_dtype,
)
from slimml.ir.node import Node
from slimml.ir.ops.categories import OneHot, Recode
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.heads import IsPositive
from slimml.ir.ops.numeric import Add, Binarize, IsMissing, Multiply
from slimml.ir.types import DType


def as_numbers(step: Step, given: Condition, dtype: DType) -> Node:
    """1 where a condition holds and 0 elsewhere."""
    node, origin = given.tensor.node, step.ctx.where
    if given.test == "missing":
        made: Node = IsMissing(inputs=(node,), sentinel=NAN, origin=origin)
    elif given.test == "equal":
        made = _equals(step, given, dtype)
    elif given.test in ("above", "below"):
        made = _beyond(step, given)
    else:
        raise step.unsupported("whether rows are empty, as numbers")
    made = as_dtype(made, dtype, step.ctx)
    if not given.negated:
        return made
    if dtype not in ("float32", "float64"):
        raise step.unsupported("the negation of a condition as integers")
    ones = np.ones(made.type.width, dtype=dtype)
    return Add(inputs=(Multiply(inputs=(made,), value=-ones, origin=origin),), value=ones, origin=origin)


def _beyond(step: Step, given: Condition) -> Node:
    node, value, origin = given.tensor.node, given.value, step.ctx.where
    assert value is not None  # comparisons have one
    if given.test == "below":
        node = Multiply(inputs=(node,), value=np.full(node.type.width, -1, dtype=value.dtype), origin=origin)
        value = -value
    if not value.any():
        return IsPositive(inputs=(node,), origin=origin)
    tiny = np.nextafter(value.dtype.type(0), value.dtype.type(-1))
    if (value == tiny).all():
        return IsPositive(inputs=(node,), or_zero=True, origin=origin)
    if len(np.unique(value)) == 1:
        return Binarize(inputs=(node,), threshold=float(value[0]), origin=origin)
    columns = [Select(inputs=(node,), index=np.array([c]), origin=origin) for c in range(node.type.width)]
    parts = [Binarize(inputs=(x,), threshold=float(t), origin=origin) for x, t in zip(columns, value, strict=True)]
    return Concat(inputs=tuple(parts), origin=origin)


def _equals(step: Step, given: Condition, dtype: DType) -> Node:
    found, value, origin = given.tensor, given.value, step.ctx.where
    assert value is not None  # comparisons have one
    if isinstance(found.node, Recode) and found.node.values.dtype.kind in "iu":
        return _coded(found.node, np.broadcast_to(value, (found.node.type.width,)), dtype, origin)
    if value.size != 1:
        raise step.unsupported("each column with a constant of its own")
    sentinel = value.reshape(-1)[0]
    if isinstance(sentinel, str):
        if sentinel in MISSING_TEXTS:
            raise step.unsupported(f"whether strings are {sentinel!r}, which missing ones turn into")
        return IsMissing(inputs=(found.node,), sentinel=sentinel, origin=origin)
    if math.isnan(float(sentinel)):
        raise step.unsupported("with NaN, which nothing equals")
    return IsMissing(inputs=(found.node,), sentinel=float(sentinel), origin=origin)


def _coded(node: Recode, wanted: np.ndarray, dtype: DType, origin: str) -> Node:
    """Which columns of numbers by code are a constant, by the codes alone; groups of one-hot columns where they are."""
    source, pick = node.inputs[0], np.arange(node.type.width)
    if isinstance(source, Select):
        pick = source.index
        source = source.inputs[0]
    edges = np.flatnonzero(np.diff(pick)) + 1
    owners, sizes = pick[np.r_[0, edges]], np.diff(np.r_[0, edges, len(pick)])
    within = np.arange(len(pick)) - np.repeat(np.r_[0, edges], sizes)
    tables = [node.values[a:b] for a, b in zip(node.offsets[:-1], node.offsets[1:], strict=True)]
    firsts = np.r_[0, edges]
    fits = all(len(tables[f]) >= n and tables[f].max() < n for f, n in zip(firsts, sizes, strict=True))
    if fits and np.array_equal(within, wanted) and np.array_equal(owners, np.arange(source.type.width)):
        own = [np.maximum(tables[f], -1) for f in firsts]
        offsets = np.cumsum([0, *map(len, own)]).astype(np.int64)
        return OneHot(
            inputs=(source,), targets=np.concatenate(own).astype(np.int32), offsets=offsets,
            sizes=sizes.astype(np.int64), dtype=dtype if dtype != "int32" else "int64", origin=origin,
        )  # fmt: skip
    values = np.concatenate([(t == w).astype(np.float64) for t, w in zip(tables, wanted.tolist(), strict=True)])
    return Recode(inputs=node.inputs, values=values, offsets=node.offsets, origin=origin)
