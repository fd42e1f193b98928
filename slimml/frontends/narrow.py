"""What a model means of float32 rows, where that is something else than of the same values in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from slimml.ir.graph import Graph, rebuilt
from slimml.ir.node import Node
from slimml.ir.ops import heads
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import FLOAT32, Cast, Concat, Constant, Dense, Input, Select
from slimml.ir.ops.curves import PowerCurve, QuantileBack, QuantileCurve
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import (
    Add,
    Binarize,
    Clip,
    Divide,
    FillMissing,
    Guard,
    IsMissing,
    Multiply,
    Subtract,
    Sum,
    WhereMissing,
)
from slimml.ir.ops.products import Products
from slimml.ir.ops.splines import Splines
from slimml.ir.ops.text import UnitRows
from slimml.ir.text import fingerprint

# Ops of which a second copy costs little. A model with trees, neighbours or terms would grow by all of them, so of
# those float32 rows are widened.
_SMALL = (
    *(Input, Select, Cast, Concat, Constant, Dense, Lookup, OneHot, Recode, Linear),
    *(Add, Clip, Divide, FillMissing, Guard, IsMissing, Multiply, Subtract, Sum, Apply),
    *(WhereMissing, PowerCurve, QuantileCurve, QuantileBack, Binarize, UnitRows, Products, Splines),
    *(heads.Sigmoid, heads.Exp, heads.Log, heads.Tanh, heads.Softmax, heads.NormalizeRows, heads.Complement),
    *(heads.ArgMax, heads.IsPositive, heads.LogMean, heads.LogAddExp, heads.ShareGuard, heads.WeightedMedian),
)
# Of quantiles a copy costs little only where they are few: 32 kB.
_MOST_QUANTILES = 1 << 12
# They hand values on as they are, in whatever dtype.
_MOVES = (Cast, Concat, Dense, Select)


def may_differ(wide: Graph) -> bool:
    """Whether a plan for float32 rows is worth looking for, `wide` being what is meant of float64 rows."""
    return all(isinstance(n, _SMALL) and not _long(n) for n in wide.nodes())


def _long(node: Node) -> bool:
    return isinstance(node, QuantileCurve | QuantileBack) and node.quantiles.size > _MOST_QUANTILES


def differs(wide: Graph, narrow: Graph) -> bool:
    """Whether `narrow`, the meaning of float32 rows, is another than `wide`, that of float64 rows."""
    if not may_differ(narrow) or not any(x.kind == FLOAT32 for x in narrow.inputs()):
        return False
    if [n.type.dtype for n in _ends(wide)] != [n.type.dtype for n in _ends(narrow)]:
        return True
    widened = _widened(narrow)
    return widened is None or fingerprint(widened) != fingerprint(_without_idle_casts(wide))


def beside(final: Graph, narrow: Graph) -> Graph:
    """`final` with the plan for float32 rows at its side, where that reads no column that `final` does without."""
    read = {i for i, c in enumerate(final.schema.columns) if c.read}
    if not {c for x in narrow.inputs() for c in x.columns} <= read:
        return final
    return replace(final, float32=replace(narrow, schema=final.schema))


def _ends(graph: Graph) -> Sequence[Node]:
    return [n for o in graph.outputs for n in o.nodes]


def _widened(graph: Graph) -> Graph | None:
    """The graph on float64 rows; None where a step then would compute in another dtype."""
    computes = False

    def rule(node: Node) -> Node:
        return replace(node, kind="number") if isinstance(node, Input) and node.kind == FLOAT32 else node

    for node in graph.nodes():
        inputs = node.inputs
        if not isinstance(node, _MOVES) and any(_raw(x) for x in inputs):
            computes = True
    return None if computes else _without_idle_casts(graph.map(rule))


def _raw(node: Node) -> bool:
    """Whether a block holds raw float32 columns that nothing has widened or rounded."""
    while isinstance(node, Select | Dense):
        node = node.inputs[0]
    if isinstance(node, Concat):
        return node.type.dtype == "float32" and any(_raw(x) for x in node.inputs)
    return isinstance(node, Input) and node.kind == FLOAT32


def _without_idle_casts(graph: Graph) -> Graph:
    def rule(node: Node) -> Node:
        return node.inputs[0] if isinstance(node, Cast) and node.source.dtype == node.dtype else node

    return graph.with_nodes(rebuilt(graph.nodes(), rule))
