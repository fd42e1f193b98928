"""Linear(Linear(x)) -> Linear(x), also where the inner one is a part of a Concat; and so for sums of pairs of classes.

    (x @ V.T + c) @ W.T + b  =  x @ (W @ V).T + (W @ c + b)

Projections (PCA, SVD) in front of a linear model, layers without an activation, and support vectors behind a linear
kernel: where it takes no more multiplications than before.

Rounding: the sum has other terms, but |W @ V| <= |W| @ |V|, so that they are not larger than those that the two sums
rounded. The products are added up in extended precision, as there may be thousands of them for one weight.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.kernels import PairSums
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Guard
from slimml.options import Exactness
from slimml.passes import fold_affine_into_linear
from slimml.passes.base import Outcome, Pass, Skip
from slimml.passes.comparing import COMPARED, compared
from slimml.passes.fold_affine_into_linear import joined, parts_of

# Beyond it products with ordinary numbers are subnormal.
_LEAST = 2.0**-640


def run(graph: Graph) -> Outcome:
    """Multiply out pairs of linear models, from the inputs on."""
    fired, skipped, kept = 0, Counter[str](), compared(graph)
    nodes = graph.nodes()
    readers = Counter(x for n in nodes for x in {*n.inputs}) + Counter(n for o in graph.outputs for n in o.nodes)
    shared = {n for n in nodes if readers[n] > 1}
    mapping: dict[Node, Node] = {}
    for node in nodes:
        inputs = tuple(mapping[x] for x in node.inputs)
        moved = node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else replace(node, inputs=inputs)
        mapping[node] = moved
        if not isinstance(moved, Linear | PairSums):
            continue
        result = rule(moved, {mapping[n] for n in shared if n in mapping})
        if result is not None and node in kept:
            result = Skip(COMPARED)
        if isinstance(result, Skip):
            skipped[result.reason] += 1
        elif result is not None:
            mapping[node], fired = _settled(result), fired + 1
    return Outcome(graph.with_nodes(mapping), fired, skipped)


PASS = Pass("fold-linear-into-linear", Exactness.ROUNDING, run)


def rule(node: Linear | PairSums, shared: set[Node]) -> Linear | Skip | None:
    """The model on what the models in front of it read; `shared` nodes are computed in any case."""
    parts = parts_of(node.inputs[0])
    inner = [_inner(p) for p in parts]
    if not any(inner):
        return _guarded(parts)
    if any(i is not None and i.type.dtype != "float64" for i in inner):
        return Skip("a sum in float32 is left as it is")
    weights = node.weights() if isinstance(node, PairSums) else node.weights
    pieces, bias, bare, start = [], node.bias.astype(np.longdouble), [], 0
    for part, own in zip(parts, inner, strict=True):
        outer = weights[:, start : start + part.type.width]
        start += part.type.width
        if own is None or not _pays(outer, own, part in shared or own in shared, alone=len(parts) == 1):
            pieces.append(outer)
            bare.append(part)
            continue
        index = part.index if isinstance(part, Select) else slice(None)
        wide = outer.astype(np.longdouble)
        if _loses_digits(wide, own.weights[index]):
            return Skip("a folded weight is too small a number to keep all of its digits")
        pieces.append((wide @ own.weights[index]).astype(np.float64))
        bias += wide @ own.bias[index]
        bare.append(own.inputs[0])
    if all(a is b for a, b in zip(parts, bare, strict=True)):
        return Skip("multiplied out, two sums would take more multiplications")
    made, offset = np.concatenate(pieces, axis=1), bias.astype(np.float64)
    if not (np.isfinite(made).all() and np.isfinite(offset).all()):
        return Skip("a folded weight is not finite")
    return Linear(inputs=(joined(node.inputs[0], bare),), weights=made, bias=offset, origin=node.origin)


def _loses_digits(outer: np.ndarray, inner: np.ndarray) -> bool:
    """Whether a product of the two is made of terms whose rounding, at the least numbers, is not small beside them."""
    size = np.abs(outer) @ np.abs(inner)
    return bool(((size > 0) & (size < _LEAST)).any())


def _inner(part: Node) -> Linear | None:
    if isinstance(part, Select):
        part = part.inputs[0]
    return part if isinstance(part, Linear) else None


def _pays(outer: np.ndarray, own: Linear, shared: bool, *, alone: bool) -> bool:
    """Whether it takes no more multiplications; a sparse block may not be written out to stand beside dense ones."""
    if not alone and own.source.layout == "csr":
        return False
    before = outer.size + (0 if shared else own.weights.size)
    return len(outer) * own.source.width <= before


def _guarded(parts: list[Node]) -> Skip | None:
    for part in parts:
        while isinstance(part, Select | Concat):
            part = part.inputs[0]
        if isinstance(part, Guard) and isinstance(part.inputs[0], Linear):
            return Skip("rows are refused where the sum in front overflows")
    return None


def _settled(node: Linear) -> Linear:
    """Without the affine maps that the inner model kept, where these terms do not cancel."""
    while isinstance(made := fold_affine_into_linear.rule(node), Linear):
        node = made
    return node
