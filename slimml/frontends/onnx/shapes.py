"""What passes values on, in another type or shape."""

from __future__ import annotations

import numpy as np

from slimml.frontends.onnx.indicators import as_numbers
from slimml.frontends.onnx.matching import as_matches
from slimml.frontends.onnx.scores import class_table
from slimml.frontends.onnx.values import (
    DTYPES,
    ML,
    Codes,
    Condition,
    Counts,
    Matches,
    RowSum,
    Step,
    Tensor,
    Value,
    as_dtype,
    operator,
)
from slimml.ir.ops.columns import Concat
from slimml.ir.ops.models import Linear

_Out = tuple[Value, ...]
_STRING = 8


@operator(ML, "ZipMap")
def dictionaries(step: Step) -> _Out:
    """The same numbers, a dictionary for each row."""
    keys = class_table(step, "classlabels_int64s")
    node = step.floats()
    if len(keys) != node.type.width:
        raise step.unsupported(f"{len(keys)} keys for {node.type.width} columns")
    return (Tensor(node, keys=keys),)


@operator("", "Identity")
def passed_on(step: Step) -> _Out:
    """What comes in."""
    value = step.given[0] if step.given else None
    if value is None:
        raise step.unsupported("no input")
    return (value,)


@operator("", "Constant")
def constant(step: Step) -> _Out:
    """A tensor, a number or a list of numbers."""
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        value = step.get(name)
        if isinstance(value, np.ndarray | int | float):
            return (np.asarray(value, dtype=np.float32 if isinstance(value, float) else None),)
    raise step.unsupported("a constant of no known kind")


@operator("", "Cast")
def cast(step: Step) -> _Out:
    """Numbers to another dtype; labels stay what they are, or turn into integers."""
    to, value = step.whole("to", 0), step.given[0] if step.given else None
    step.get("saturate")
    step.get("round_mode")
    if to != _STRING and to not in DTYPES:
        raise step.unsupported(f"to the element type {to}")
    dtype = DTYPES.get(to)
    if isinstance(value, np.ndarray) and dtype and value.dtype.kind in "fiub":
        return (value.astype(dtype),)
    if isinstance(value, Matches | Counts) and dtype:
        return (value,)
    if isinstance(value, Condition) and dtype:
        return (Tensor(as_numbers(step, value, dtype)),)
    found = step.tensor()
    if found.codes is not None and dtype in ("int32", "int64"):
        return (found,)
    if found.forest is not None and dtype == "int64":
        return (found,)
    if found.table is not None:
        kind = "iu" if dtype in ("int64", "int32") else "U" if to == _STRING else ""
        if found.table.dtype.kind not in kind or not kind:
            raise step.unsupported(f"labels to the element type {to}")
        return (Tensor(found.node, found.axes, found.table.astype(dtype) if dtype else found.table),)
    if not found.node.type.numeric:
        if to == _STRING:
            return (found,)
        raise step.unsupported("strings to numbers")
    if dtype is None:
        raise step.unsupported("numbers to strings")
    if dtype.startswith("int") and found.node.type.dtype.startswith("float"):
        raise step.unsupported("floats to integers")
    return (Tensor(as_dtype(found.node, dtype, step.ctx), found.axes),)


@operator("", "Concat")
def concat(step: Step) -> _Out:
    """Blocks side by side."""
    axis = step.whole("axis", 0)
    if axis == 1 and isinstance(step.given[-1], Condition | Counts):
        return (_compared(step),)
    blocks = [step.tensor(i) for i in range(len(step.given))]
    axes = {b.axes for b in blocks}
    if any(b.table is not None for b in blocks) or len(axes) != 1 or axis not in (-1, max(axes) - 1) or axes == {1}:
        raise step.unsupported("of anything but tables, or of rows")
    if len({b.node.type.dtype for b in blocks}) != 1:
        raise step.unsupported("of several element types")
    if len(blocks) == 1:
        return (blocks[0],)
    nodes, codes = tuple(b.node for b in blocks), [b.codes for b in blocks if b.codes is not None]
    joined = Concat(inputs=nodes, origin=step.ctx.where)
    if len(codes) < len(blocks):
        return (Tensor(joined, axes.pop()),)
    whole = Concat(inputs=tuple(c.node for c in codes), origin=step.ctx.where)
    return (Tensor(joined, axes.pop(), codes=Codes(whole, np.concatenate([c.shift for c in codes]))),)


def _compared(step: Step) -> Value:
    """Keys with one that always holds behind them; counts of several columns."""
    first, last = as_matches(step.given[0]), step.given[-1]
    if isinstance(last, Condition):
        same = isinstance(first, Matches) and first.node is last.tensor.node and not first.closed
        if len(step.given) != 2 or last.test != "always" or not isinstance(first, Matches) or not same:
            raise step.unsupported("of comparisons")
        return Matches(first.node, first.keys, closed=True)
    counts = [c for c in step.given if isinstance(c, Counts)]
    if len(counts) < len(step.given) or any(c.node is not last.node or c.tables for c in counts):  # type: ignore[union-attr]
        raise step.unsupported("of counts and something else")
    return Counts(counts[0].node, tuple(c.columns[0] for c in counts), tuple(c.cuts[0] for c in counts))


@operator("", "Reshape", "Flatten")
def reshape(step: Step) -> _Out:
    """Rows stay rows: a vector, one table, or groups side by side; the sum of a row is a column."""
    if isinstance(step.given[0], RowSum) and step.given[0].empty is None:
        node = step.given[0].node
        ones, none = np.ones((1, node.type.width), dtype=node.type.dtype), np.zeros(1, dtype=node.type.dtype)
        total = Linear(inputs=(node,), weights=ones, bias=none, origin=step.ctx.where)
        step.given = (Tensor(total), *step.given[1:])
    value = step.tensor()
    if step.onnx.op == "Flatten":
        if step.whole("axis", 1) != 1:
            raise step.unsupported("an axis other than 1")
        return (Tensor(value.node, 2, value.table),)
    step.get("allowzero")
    shape, columns = step.constant(1).reshape(-1).tolist(), value.node.type.width
    if shape in ([-1], [-1, 1]) and columns == 1:
        return (Tensor(value.node, len(shape), value.table),)
    if shape in ([-1, columns], [0, columns], [0, -1]):
        return (Tensor(value.node, 2, value.table),)
    raise step.unsupported(f"to the shape {shape[:8]} of {columns} columns")


@operator("", "Squeeze")
def squeeze(step: Step) -> _Out:
    """A table of one column as a vector."""
    value, axes = step.tensor(), step.numbers("axes", "i")
    axes = step.constant(1).reshape(-1) if axes is None else axes
    if value.axes != 2 or value.node.type.width != 1 or axes.tolist() not in ([1], [-1]):
        raise step.unsupported("of anything but a single column")
    return (Tensor(value.node, 1, value.table),)
