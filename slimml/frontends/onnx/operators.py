"""What operators mean: one function for each, a table of which the graph is walked with."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from slimml.frontends.onnx.scores import by_largest, class_table, largest, logistic, transform_of, transformed
from slimml.frontends.onnx.conditions import as_matches, as_numbers, matched
from slimml.frontends.onnx.values import DTYPES, ML, Codes, Condition, Counts, Matches, RowSum, Step, Tensor, Value, as_dtype, one_each, operator
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Select
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.heads import Exp, Log, NormalizeRows, Sigmoid, Softmax, Tanh
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Add, Binarize, Divide, FillMissing, Guard, Multiply, Subtract, Sum
from slimml.ir.ops.text import UnitRows

_Out = tuple[Value, ...]
_STRING = 8
_ELEMENTWISE: dict[str, Any] = {"Exp": Exp, "Log": Log, "Tanh": Tanh}
_FUNCTIONS = {"Abs": "absolute", "Sqrt": "sqrt", "Floor": "floor", "Ceil": "ceil"}
_ARITHMETIC: dict[str, Any] = {"Add": Add, "Sub": Subtract, "Mul": Multiply, "Div": Divide}
_NORMS = {"L1": "l1", "L2": "l2"}


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
    """Rows stay rows: a vector, one table, or groups side by side."""
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
    if step.same_floats() is not by.node or by.empty not in (None, 1.0):
        raise step.unsupported("by the sum of another row")
    empty = "missing" if by.empty is None else "kept"
    return NormalizeRows(inputs=(by.node,), empty=empty, origin=step.ctx.where)


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
    given = Guard(
        inputs=(node,), low=-ends, high=ends, missing=np.zeros(len(ends), dtype=bool), origin=step.ctx.where
    )
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


@operator(ML, "OneHotEncoder")
def one_hot(step: Step) -> _Out:
    """A column for each category; what is none of them gives zeros, or is refused."""
    value, known = step.tensor(), _keys(step, ("cats_strings", "cats_int64s"))
    if value.axes > 2 or value.table is not None or value.node.type.width != 1:
        raise step.unsupported("of several columns at once")
    _check_kind(step, value, known)
    cells, places = _as_read(known)
    refuse = not step.whole("zeros", 1)
    codes = Lookup(inputs=(value.node,), tables=(cells,), refuse=(refuse,), origin=step.ctx.where)
    targets = np.append(places, np.int32(-1))
    offsets, sizes = np.array([0, len(targets)], dtype=np.int64), np.array([len(known)], dtype=np.int64)
    node = OneHot(
        inputs=(codes,), targets=targets, offsets=offsets, sizes=sizes, dtype="float32", origin=step.ctx.where
    )
    return (Tensor(node, value.axes + 1),)


@operator(ML, "LabelEncoder")
def label_encoder(step: Step) -> _Out:
    """A number for each key."""
    value, known = step.tensor(), _keys(step, ("keys_strings", "keys_int64s"))
    if value.table is not None or value.axes > 2:
        raise step.unsupported("of labels that a model answers")
    _check_kind(step, value, known)
    floats, whole = step.numbers("values_floats"), step.numbers("values_int64s", "i")
    rest: Any = step.get("default_float", -0.0) if floats is not None else step.get("default_int64", -1)
    values = floats if floats is not None else whole
    step.get("default_string")
    if values is None or len(values) != len(known) or not isinstance(rest, int | float):
        raise step.unsupported("values that are no numbers")
    width, origin = value.node.type.width, step.ctx.where
    if values.dtype.kind == "i" and np.array_equal(values, np.arange(len(known))) and rest == len(known):
        return (_positions(step, value, known),)
    cells, places = _as_read(known)
    codes = Lookup(inputs=(value.node,), tables=(cells,) * width, refuse=(False,) * width, origin=origin)
    each = np.append(values[places], np.array([rest], dtype=values.dtype))
    offsets = np.arange(width + 1, dtype=np.int64) * len(each)
    node = Recode(inputs=(codes,), values=np.tile(each, width), offsets=offsets, origin=origin)
    return (Tensor(node, value.axes),)


def _positions(step: Step, value: Tensor, known: tuple[object, ...]) -> Tensor:
    """The position of each cell among the keys, their number where it is none of them."""
    cells, places = _as_read(known)
    width, origin = value.node.type.width, step.ctx.where
    node: Node = Lookup(inputs=(value.node,), tables=(known,) * width, refuse=(False,) * width, origin=origin)
    if len(cells) > len(known):
        # Missing cells are strings here: the first key that they meet takes them.
        filled = value.node
        for cell, place in zip(cells[len(known) :], places[len(known) :].tolist(), strict=True):
            filled = FillMissing(inputs=(filled,), sentinel=cell, fill=(known[place],) * width, origin=origin)
        node = Lookup(inputs=(filled,), tables=(known,) * width, refuse=(False,) * width, origin=origin)
    shift = np.zeros(width, dtype=np.int64)
    return Tensor(Cast(inputs=(node,), dtype="int64", origin=origin), value.axes, codes=Codes(node, shift))


def _keys(step: Step, names: tuple[str, str]) -> tuple[object, ...]:
    """Categories: strings, or integers."""
    words, whole = step.strings(names[0]), step.numbers(names[1], "i")
    known: tuple[object, ...] = tuple(words or (whole.tolist() if whole is not None else ()))
    if not known or len(set(known)) < len(known):
        raise step.unsupported("no categories, or one of them twice")
    return known


def _as_read(known: tuple[object, ...]) -> tuple[tuple[object, ...], np.ndarray]:
    """What the cells of a column may be, and the position in `known` of each.

    A tensor of strings is made of str(cell), so that a missing value meets the category "nan" or "None".
    """
    missing = [(value, known.index(str(value))) for value in (math.nan, None) if str(value) in known]
    places = [*range(len(known)), *(at for _, at in missing)]
    return (*known, *(value for value, _ in missing)), np.array(places, dtype=np.int32)


def _check_kind(step: Step, value: Tensor, known: tuple[object, ...]) -> None:
    """Strings are looked up among strings, integers among integers."""
    dtype = value.node.type.dtype
    if (dtype == "object") != isinstance(known[0], str) or dtype.startswith("float"):
        raise step.unsupported(f"{dtype} among categories of another kind")
