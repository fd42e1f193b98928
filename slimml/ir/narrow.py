"""The part of a graph that computes a few columns of a node.

A probe asks of the six numbers of a table what stands behind a hundred one-hot columns; it need not compute those.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Dense, Select
from slimml.ir.ops.curves import PowerCurve, QuantileBack, QuantileCurve
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.numeric import (
    Add,
    Affine,
    Binarize,
    Clip,
    Divide,
    FillMissing,
    Guard,
    IsMissing,
    Multiply,
    Nudge,
    Subtract,
)

# Column j of what they make is made of column j of what they read.
COLUMN_BY_COLUMN = (
    *(Add, Subtract, Multiply, Divide, Affine, FillMissing, Guard, Cast, Clip, IsMissing, Dense, Apply),
    *(PowerCurve, QuantileCurve, QuantileBack, Binarize, Nudge),
)


def part_of(concat: Concat, column: int) -> tuple[Node, int]:
    """The block that holds a column of a Concat, and the column's place in it."""
    for part in concat.inputs:
        if column < part.type.width:
            return part, column
        column -= part.type.width
    raise IndexError(column)


def origin_of(node: Node, column: int) -> tuple[Node, int]:
    """The same column before what only picks columns and puts blocks side by side."""
    while isinstance(node, Select | Concat):
        if isinstance(node, Select):
            column, node = int(node.index[column]), node.inputs[0]
        else:
            node, column = part_of(node, column)
    return node, column


def narrowed(node: Node, columns: np.ndarray) -> Node:
    """A node that computes those columns of `node`, in that order, from as few columns as may be."""
    if isinstance(node, Select):
        return narrowed(node.inputs[0], node.index[columns])
    if isinstance(node, Concat) and len(columns):  # no columns at all are of no block
        return _beside(node, columns)
    if not isinstance(node, COLUMN_BY_COLUMN):
        return Select(inputs=(node,), index=columns)
    return sliced(node, columns, narrowed(node.inputs[0], columns))


def sliced(node: Node, columns: np.ndarray, source: Node) -> Node:
    """One of COLUMN_BY_COLUMN on `source`, which holds those columns of what it reads."""
    inputs = (source,)
    if isinstance(node, Add | Subtract | Multiply | Divide):
        return replace(node, inputs=inputs, value=node.value[columns])
    if isinstance(node, Affine):
        return replace(node, inputs=inputs, scale=node.scale[columns], shift=node.shift[columns])
    if isinstance(node, PowerCurve):
        return replace(node, inputs=inputs, lambdas=node.lambdas[columns])
    if isinstance(node, QuantileCurve | QuantileBack):
        return replace(node, inputs=inputs, quantiles=node.quantiles[columns])
    if isinstance(node, FillMissing):
        return replace(node, inputs=inputs, fill=tuple(node.fill[c] for c in columns.tolist()))
    if isinstance(node, Guard):
        low, high, missing = node.low[columns], node.high[columns], node.missing[columns]
        return replace(node, inputs=inputs, low=low, high=high, missing=missing, names=())
    return replace(node, inputs=inputs)


def _beside(node: Concat, columns: np.ndarray) -> Node:
    ends = np.cumsum([x.type.width for x in node.inputs])
    block = np.searchsorted(ends, columns, side="right")
    parts, order = [], []
    for b in np.unique(block).tolist():
        at = np.flatnonzero(block == b)
        start = int(ends[b]) - node.inputs[b].type.width
        part = narrowed(node.inputs[b], columns[at] - start)
        # Without its neighbours a block would keep its own dtype.
        parts.append(part if part.type.dtype == node.type.dtype else Cast(inputs=(part,), dtype=node.type.dtype))
        order.append(at)
    whole = replace(node, inputs=tuple(parts))
    back = np.argsort(np.concatenate(order)).astype(np.int64)
    return whole if np.array_equal(back, np.arange(len(back))) else Select(inputs=(whole,), index=back)
