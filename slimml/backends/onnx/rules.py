"""Each op on numbers in ONNX's operators, by its class. A csr block is written out: dense here.

Arithmetic is elementwise IEEE 754 in the dtype of the block, so bit for bit numpy's; sums of products and exponentials
are not (`ROUNDING_OPS`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from slimml.backends.onnx import curves, forest, functions
from slimml.backends.onnx.program import Program
from slimml.backends.onnx.protobuf import ELEMENT
from slimml.backends.onnx.ranks import ranked
from slimml.ir.forest import MISSING
from slimml.ir.node import Node
from slimml.ir.ops import columns, heads, kernels, models, numeric
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.curves import PowerCurve
from slimml.ir.ops.functions import FUNCTIONS, Apply
from slimml.ir.ops.products import COLUMN, ONE, Products
from slimml.ir.ops.ranks import Rank
from slimml.ir.ops.text import UnitRows

# What onnxruntime answers in other last bits than numpy and the C library do.
SUMS = (models.Linear, models.LinearTable, kernels.SquaredDistances, kernels.ExpandedDistances, kernels.PairSums)
ROUNDING_OPS = (
    *(
        heads.Sigmoid,
        heads.Exp,
        heads.Log,
        heads.LogMean,
        heads.LogAddExp,
        heads.Tanh,
        heads.Softmax,
        heads.NormalizeRows,
    ),
    *(UnitRows, PowerCurve),
    *SUMS,
)

Rule = Callable[["Scope", Any], str]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule writes to, and the tensors of the nodes so far."""

    program: Program
    tensors: dict[Node, str]

    def op(self, type: str, *inputs: str, **attributes: Any) -> str:
        """Append an operator."""
        return self.program.op(type, *inputs, **attributes)

    def const(self, value: Any, dtype: str | None = None) -> str:
        """A constant tensor."""
        return self.program.constant(np.asarray(value, dtype=dtype))

    def x(self, node: Node) -> str:
        """The tensor of the node's only input."""
        return self.tensors[node.inputs[0]]

    def cast(self, name: str, source: str, target: str) -> str:
        """The tensor in another dtype; itself where it has it."""
        return name if source == target else self.op("Cast", name, to=ELEMENT[target])


def expressible(node: Node) -> bool:
    """Whether there is a rule for a node on dense numbers."""
    numbers = all(x.type.numeric for x in node.inputs) and node.type.numeric
    if isinstance(node, columns.Dense) and isnan(node.absent) and node.source.layout == "csr":
        return False  # here a csr block has forgotten which of its zeros were stored
    if isinstance(node, numeric.IsMissing | numeric.FillMissing):
        return numbers and (node.sentinel is None or isinstance(node.sentinel, int | float))
    if isinstance(node, Rank):
        return node.source.dtype.startswith("float") and node.source.layout == "dense" and node.type.width > 0
    if isinstance(node, UnitRows | Products):
        return node.source.layout == "dense" and min(node.source.width, node.type.width) > 0
    if isinstance(node, PowerCurve):
        return curves.expressible(node)
    if isinstance(node, Apply):
        return node.function in functions.EMITTED
    return numbers and type(node) in RULES


def rounds(node: Node) -> bool:
    """Whether onnxruntime answers a node in other last bits than numpy does."""
    return isinstance(node, ROUNDING_OPS) or (isinstance(node, Apply) and not FUNCTIONS[node.function].exact)


def lower(scope: Scope, node: Node) -> None:
    """Append what computes a node."""
    scope.tensors[node] = RULES[type(node)](scope, node)


def _select(scope: Scope, node: columns.Select) -> str:
    return scope.op("Gather", scope.x(node), scope.const(node.index), axis=1)


def _concat(scope: Scope, node: columns.Concat) -> str:
    parts = [scope.cast(scope.tensors[x], x.type.dtype, node.type.dtype) for x in node.inputs if x.type.width]
    return scope.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _cast(scope: Scope, node: columns.Cast) -> str:
    return scope.cast(scope.x(node), node.source.dtype, node.dtype)


def _same(scope: Scope, node: Node) -> str:
    return scope.x(node)


def _constant(scope: Scope, node: columns.Constant) -> str:
    rows = scope.op("Shape", scope.x(node), start=0, end=1)
    shape = scope.op("Concat", rows, scope.const([len(node.value)], "int64"), axis=0)
    return scope.op("Expand", scope.const(node.value[None, :]), shape)


def _with_vector(operator: str) -> Rule:
    return lambda scope, node: scope.op(operator, scope.x(node), scope.const(node.value))


def _nudge(scope: Scope, node: numeric.Nudge) -> str:
    x, dtype = scope.x(node), node.type.dtype
    part = scope.op("Mul", scope.op("Abs", x), scope.const(node.scale, dtype))
    return scope.op("Add", x, scope.op("Add", part, scope.const(node.shift, dtype)))


def _sum(scope: Scope, node: numeric.Sum) -> str:
    total = scope.const(0.0, node.type.dtype)
    for x in node.inputs:
        total = scope.op("Add", total, scope.tensors[x])
    return total


def _affine(scope: Scope, node: numeric.Affine) -> str:
    return scope.op("Add", scope.op("Mul", scope.x(node), scope.const(node.scale)), scope.const(node.shift))


def _clip(scope: Scope, node: numeric.Clip) -> str:
    # Not ONNX's Clip, which leaves open what becomes of NaN.
    x, low, high = scope.x(node), scope.const(node.low, node.type.dtype), scope.const(node.high, node.type.dtype)
    raised = scope.op("Where", scope.op("LessOrEqual", x, low), low, x)
    return scope.op("Where", scope.op("GreaterOrEqual", raised, high), high, raised)


def _missing(scope: Scope, node: numeric.IsMissing | numeric.FillMissing) -> str:
    x, dtype, sentinel = scope.x(node), node.source.dtype, node.sentinel
    if isinstance(sentinel, float) and isnan(sentinel) and dtype.startswith("float"):
        return scope.op("IsNaN", x)
    if sentinel is None or sentinel != sentinel:
        return scope.op("Less", scope.cast(x, dtype, "float64"), scope.const(-np.inf))  # never
    common = dtype if dtype.startswith("float") else "float64"
    return scope.op("Equal", scope.cast(x, dtype, common), scope.const(sentinel, common))


def _fill(scope: Scope, node: numeric.FillMissing) -> str:
    fill = scope.const(list(node.fill), node.type.dtype)
    return scope.op("Where", _missing(scope, node), fill, scope.x(node))


def _where_missing(scope: Scope, node: numeric.WhereMissing) -> str:
    gaps, block = (scope.tensors[x] for x in node.inputs)
    return scope.op("Where", scope.op("IsNaN", gaps), block, gaps)


def _rank(scope: Scope, node: Rank) -> str:
    wide, columns = scope.cast(scope.x(node), node.source.dtype, "float64"), range(node.type.width)
    found = ranked(scope.program, node, wide, columns, [(c, float(MISSING)) for c in columns])
    return scope.cast(found, "float64", "int32")


def _recode(scope: Scope, node: Recode) -> str:
    at = scope.op("Add", scope.x(node), scope.const(node.offsets[:-1], "int32"))
    return scope.op("Gather", scope.const(node.values), at)


def _one_hot(scope: Scope, node: OneHot) -> str:
    at = scope.op("Add", scope.x(node), scope.const(node.offsets[:-1], "int32"))
    target = scope.op("Gather", scope.const(node.targets), at)
    owner = np.repeat(np.arange(len(node.sizes)), node.sizes)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(node.sizes) - node.sizes, node.sizes)
    spread = scope.op("Gather", target, scope.const(owner, "int64"), axis=1)
    return scope.cast(scope.op("Equal", spread, scope.const(within, "int32")), "bool", node.type.dtype)


def _number_lookup(scope: Scope, node: Lookup) -> str:
    x, dtype, codes = scope.x(node), node.source.dtype, []
    wide = scope.cast(x, dtype, "float64")
    for c, table in enumerate(node.tables):
        column = scope.op("Gather", wide, scope.const([c], "int64"), axis=1)
        codes.append(scope.cast(number_codes(scope, column, table), "int64", "int32"))
    return scope.op("Concat", *codes, axis=1) if len(codes) > 1 else codes[0]


def number_codes(scope: Scope, column: str, table: tuple[object, ...]) -> str:
    """The codes of a column [n, 1] of doubles in a table, int64 [n, 1]: the first entry that equals, else the end."""
    keys = np.array([v if isinstance(v, int | float) else np.nan for v in table], dtype=np.float64)
    hit = scope.op("Equal", column, scope.const(keys[None, :]))
    if any(isinstance(v, float) and isnan(v) for v in table):
        is_nan = scope.const(np.array([[isinstance(v, float) and isnan(v) for v in table]]))
        hit = scope.op("Or", hit, scope.op("And", scope.op("IsNaN", column), is_nan))
    always = scope.op("Equal", column, column)
    always = scope.op("Or", always, scope.op("Not", always))
    every = scope.op("Concat", hit, always, axis=1)
    return scope.op("ArgMax", scope.op("Cast", every, to=ELEMENT["int32"]), axis=1, keepdims=1)


def _linear(scope: Scope, node: models.Linear) -> str:
    product = scope.op("MatMul", scope.x(node), scope.const(np.ascontiguousarray(node.weights.T)))
    return scope.op("Add", product, scope.const(node.bias))


def _linear_table(scope: Scope, node: models.LinearTable) -> str:
    total = scope.const(node.bias)
    if node.numbers:
        x = scope.tensors[node.numbers]
        if len(node.gaps):
            missing = np.zeros(node.weights.shape[::-1])
            missing[node.gaps] = node.missing.T
            own = np.isin(np.arange(len(missing)), node.gaps)
            absent = scope.op("And", scope.op("IsNaN", x), scope.const(own))
            x = scope.op("Where", absent, scope.const(0.0), x)
            absent = scope.op("Cast", absent, to=ELEMENT["float64"])
            total = scope.op("Add", scope.op("MatMul", absent, scope.const(missing)), total)
        product = scope.op("MatMul", x, scope.const(np.ascontiguousarray(node.weights.T)))
        total = scope.op("Add", product, total)
    if node.codes:
        codes = scope.tensors[node.codes]
        at = scope.op("Add", codes, scope.const(node.offsets[:-1], "int32"))
        if any(d.missing for d in node.codes.type.domains):
            absent = scope.op("Less", codes, scope.const(0, "int32"))
            at = scope.op("Where", absent, scope.const(node.offsets[1:] - 1, "int32"), at)
        rows = scope.op("Gather", scope.const(node.table), at)
        total = scope.op("Add", scope.op("ReduceSum", rows, scope.const([1], "int64"), keepdims=0), total)
    return total


def _squared_distances(scope: Scope, node: kernels.SquaredDistances) -> str:
    row = scope.op("Reshape", scope.x(node), scope.const([-1, 1, node.source.width], "int64"))
    apart = scope.op("Sub", row, scope.const(node.points))
    return scope.op("ReduceSum", scope.op("Mul", apart, apart), scope.const([2], "int64"), keepdims=0)


def _expanded_distances(scope: Scope, node: kernels.ExpandedDistances) -> str:
    x, zero = scope.x(node), scope.const(0.0)
    own = scope.op("ReduceSum", scope.op("Mul", x, x), scope.const([1], "int64"), keepdims=1)
    product = scope.op("MatMul", x, scope.const(np.ascontiguousarray(-2.0 * node.points.T)))
    lengths = scope.const(np.einsum("ij,ij->i", node.points, node.points))
    total = scope.op("Add", scope.op("Add", own, product), lengths)
    return scope.op("Where", scope.op("Greater", total, zero), total, zero)


def _power(scope: Scope, node: kernels.Power) -> str:
    # The same multiplications in the same order as kernels.power.
    result, factor, degree = scope.op("Mul", scope.x(node), scope.const(0.0)), scope.x(node), node.degree
    result = scope.const(1.0) if degree else scope.op("Add", result, scope.const(1.0))
    while degree:
        if degree & 1:
            result = scope.op("Mul", result, factor)
        degree >>= 1
        factor = scope.op("Mul", factor, factor) if degree else factor
    return result


def _pair_sums(scope: Scope, node: kernels.PairSums) -> str:
    product = scope.op("MatMul", scope.x(node), scope.const(np.ascontiguousarray(node.weights().T)))
    return scope.op("Add", product, scope.const(node.bias))


def _pair_votes(scope: Scope, node: kernels.PairVotes) -> str:
    first, second = np.triu_indices(node.classes, 1)
    sides = np.zeros((len(first), node.classes))
    sides[range(len(first)), first], sides[range(len(first)), second] = 1.0, -1.0
    x, zero = scope.x(node), scope.const(0.0)
    won = scope.op("Not", scope.op("Less", x, zero)) if node.confident else scope.op("Greater", x, zero)
    won = scope.op("MatMul", scope.op("Cast", won, to=ELEMENT["float64"]), scope.const(sides))
    votes = scope.op("Add", won, scope.const((sides < 0).sum(axis=0), "float64"))
    if not node.confident:
        return votes
    total = scope.op("MatMul", x, scope.const(sides))
    divisor = scope.op("Mul", scope.op("Add", scope.op("Abs", total), scope.const(1.0)), scope.const(3.0))
    return scope.op("Add", votes, scope.op("Div", total, divisor))


def _tanh(scope: Scope, node: Node) -> str:
    return scope.op("Tanh", scope.x(node))


def _apply(scope: Scope, node: Apply) -> str:
    return functions.EMITTED[node.function](scope, scope.x(node), node.type.dtype)


def _binarize(scope: Scope, node: numeric.Binarize) -> str:
    above = scope.op("Greater", scope.x(node), scope.const(node.threshold, node.type.dtype))
    return scope.cast(above, "bool", node.type.dtype)


def _unit_rows(scope: Scope, node: UnitRows) -> str:
    x, dtype = scope.x(node), node.type.dtype
    terms = scope.op("Mul", x, x) if node.norm == "l2" else scope.op("Abs", x)
    over = "ReduceMax" if node.norm == "max" else "ReduceSum"
    norm = scope.op(over, terms, scope.const([1], "int64"), keepdims=1)
    norm = scope.op("Sqrt", norm) if node.norm == "l2" else norm
    nothing = scope.op("Equal", norm, scope.const(0.0, dtype))
    nothing = scope.op("Or", nothing, scope.op("Less", norm, scope.const(node.least, dtype)))
    return scope.op("Div", x, scope.op("Where", nothing, scope.const(1.0, dtype), norm))


def _products(scope: Scope, node: Products) -> str:
    x, known = scope.x(node), ""
    for start, stop in node.runs():
        run = np.arange(start, stop)
        parent = node.parent[run]
        ones, own, deeper = run[parent == ONE], run[parent == COLUMN], run[parent >= 0]
        parts = [_ones(scope, node, x)] * len(ones)
        if len(own):
            parts.append(scope.op("Gather", x, scope.const(node.column[own]), axis=1))
        if len(deeper):
            left = scope.op("Gather", known, scope.const(node.parent[deeper]), axis=1)
            parts.append(scope.op("Mul", left, scope.op("Gather", x, scope.const(node.column[deeper]), axis=1)))
        made = scope.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        order = np.argsort(np.concatenate([ones, own, deeper]))
        if not np.array_equal(order, np.arange(len(order))):
            made = scope.op("Gather", made, scope.const(order.astype(np.int64)), axis=1)
        known = scope.op("Concat", known, made, axis=1) if known else made
    return known


def _ones(scope: Scope, node: Products, x: str) -> str:
    """A column of ones, whatever is in the rows."""
    one = scope.const(1.0, node.type.dtype)
    first = scope.op("IsNaN", scope.op("Gather", x, scope.const([0], "int64"), axis=1))
    return scope.op("Where", first, one, one)


def _forest(scope: Scope, node: models.Forest) -> str:
    return forest.emit(scope.program, node, scope.tensors.__getitem__)


def _sigmoid(scope: Scope, node: Node) -> str:
    raised, one = scope.op("Exp", scope.op("Neg", scope.x(node))), scope.const(1.0, node.type.dtype)
    return scope.op("Div", one, scope.op("Add", raised, one))


def _exp(scope: Scope, node: Node) -> str:
    return scope.op("Exp", scope.x(node))


def _log(scope: Scope, node: Node) -> str:
    return scope.op("Log", scope.x(node))


def _log_add_exp(scope: Scope, node: heads.LogAddExp) -> str:
    total = scope.tensors[node.inputs[0]]
    for x in node.inputs[1:]:
        total = _log_sum(scope, total, scope.tensors[x])
    return total


def _log_sum(scope: Scope, a: str, b: str) -> str:
    """The larger of both, plus log1p(exp(-|a - b|)); the same where they are (infinities have no difference)."""
    above = scope.op("GreaterOrEqual", a, b)
    high, low = scope.op("Where", above, a, b), scope.op("Where", above, b, a)
    apart = scope.op("Where", scope.op("Equal", a, b), scope.const(0.0), scope.op("Sub", low, high))
    more = functions.EMITTED["log1p"](scope, scope.op("Exp", apart), "float64")
    return scope.op("Add", high, more)


def _softmax(scope: Scope, node: Node) -> str:
    return scope.op("Softmax", scope.x(node), axis=1)


def _signed_square(scope: Scope, node: Node) -> str:
    return scope.op("Mul", scope.op("Abs", scope.x(node)), scope.x(node))


def _normalize(scope: Scope, node: heads.NormalizeRows) -> str:
    x, one = scope.x(node), scope.const(1.0)
    total = scope.op("ReduceSum", x, scope.const([1], "int64"), keepdims=1)
    if node.empty == "missing":
        return scope.op("Div", x, total)
    empty = scope.op("Equal", total, scope.const(0.0))
    if node.empty == "kept":
        return scope.op("Div", x, scope.op("Where", empty, one, total))
    divisor = scope.op("Where", empty, scope.const(float(node.type.width)), total)
    return scope.op("Div", scope.op("Where", empty, one, x), divisor)


def _confidence(scope: Scope, node: Node) -> str:
    x, dtype = scope.x(node), node.type.dtype
    size = scope.op("Add", scope.op("Abs", x), scope.const(1.0, dtype))
    return scope.op("Div", x, scope.op("Mul", size, scope.const(3.0, dtype)))


def _complement(scope: Scope, node: Node) -> str:
    one = scope.const(1.0, node.type.dtype)
    return scope.op("Concat", scope.op("Sub", one, scope.x(node)), scope.x(node), axis=1)


def _argmax(scope: Scope, node: Node) -> str:
    return scope.op("ArgMax", scope.x(node), axis=1, keepdims=1)


def _is_positive(scope: Scope, node: heads.IsPositive) -> str:
    operator = "GreaterOrEqual" if node.or_zero else "Greater"
    zero = scope.const(0.0, node.source.dtype)
    return scope.op("Cast", scope.op(operator, scope.x(node), zero), to=ELEMENT["int64"])


RULES: Mapping[type[Node], Rule] = {
    columns.Select: _select,
    columns.Concat: _concat,
    columns.Cast: _cast,
    columns.Dense: _same,
    columns.Constant: _constant,
    numeric.Add: _with_vector("Add"),
    numeric.Subtract: _with_vector("Sub"),
    numeric.Multiply: _with_vector("Mul"),
    numeric.Divide: _with_vector("Div"),
    numeric.Nudge: _nudge,
    numeric.Sum: _sum,
    numeric.Affine: _affine,
    numeric.Clip: _clip,
    numeric.Binarize: _binarize,
    Apply: _apply,
    PowerCurve: curves.power_curve,
    UnitRows: _unit_rows,
    Products: _products,
    numeric.IsMissing: _missing,
    numeric.FillMissing: _fill,
    numeric.WhereMissing: _where_missing,
    # An ONNX file cannot refuse a row; a candidate keeps its guards in the portable plan.
    numeric.Guard: _same,
    numeric.Inexact: _same,
    Rank: _rank,
    Lookup: _number_lookup,
    Recode: _recode,
    OneHot: _one_hot,
    models.Linear: _linear,
    models.LinearTable: _linear_table,
    models.Forest: _forest,
    kernels.SquaredDistances: _squared_distances,
    kernels.ExpandedDistances: _expanded_distances,
    kernels.Power: _power,
    kernels.PairSums: _pair_sums,
    kernels.PairVotes: _pair_votes,
    heads.Sigmoid: _sigmoid,
    heads.Exp: _exp,
    heads.Log: _log,
    heads.LogMean: _log,
    heads.LogAddExp: _log_add_exp,
    heads.ShareGuard: _same,
    heads.Tanh: _tanh,
    heads.Softmax: _softmax,
    heads.SignedSquare: _signed_square,
    heads.NormalizeRows: _normalize,
    heads.Complement: _complement,
    heads.Confidence: _confidence,
    heads.ArgMax: _argmax,
    heads.IsPositive: _is_positive,
}
