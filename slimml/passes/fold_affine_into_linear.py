"""Linear(Affine(x)) -> Linear(x), also where the Affine is one part of a Concat, or columns are picked from it.

    (x * a + s) @ W.T + b  =  x @ (a * W).T + (W @ s + b)

A product alone, as the weights of terms of text are, is such a map too; a norm behind it is not linear.

Rounding: the sum has other terms, so last bits may differ. They must not be larger ones that cancel: x - m is exact
near m, x * w - m * w is as far off as m * w is large.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Affine, Multiply
from slimml.ir.ops.text import UnitRows
from slimml.options import Exactness
from slimml.passes.base import Outcome, Pass, Skip
from slimml.passes.comparing import COMPARED, compared
from slimml.passes.fuse_affine import MAX_SHIFT, TOO_FAR, keeps_digits


def run(graph: Graph) -> Outcome:
    """Fold the affine maps that each Linear reads into its weights and bias."""
    fired, skipped, kept = 0, Counter[str](), compared(graph)
    mapping: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple(mapping[x] for x in node.inputs)
        moved = node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else replace(node, inputs=inputs)
        while isinstance(moved, Linear):
            result = rule(moved)
            if result is None:
                break
            if node in kept or isinstance(result, Skip):
                skipped[result.reason if isinstance(result, Skip) else COMPARED] += 1
                break
            moved, fired = result, fired + 1
        mapping[node] = moved
    return Outcome(graph.with_nodes(mapping), fired, skipped)


PASS = Pass("fold-affine-into-linear", Exactness.ROUNDING, run)


def rule(node: Linear) -> Linear | Skip | None:
    """The model without the affine maps right in front of it."""
    parts = parts_of(node.inputs[0])
    maps = [_map(p) for p in parts]
    if not any(maps):
        return _normed(parts)
    if not all(keeps_digits(own.scale) for own in maps if own is not None):
        return Skip(TOO_FAR)
    weights, bias, start = node.weights.copy(), node.bias.copy(), 0
    moved, known = np.zeros(len(bias)), np.abs(bias)
    for part, own in zip(parts, maps, strict=True):
        at = slice(start, start + part.type.width)
        start += part.type.width
        if own is not None:
            moved += np.abs(weights[:, at]) @ np.abs(own.shift)
            # A column that is scaled is of the size of its scale, hence about 1; of any other nothing is known.
            known += np.abs(weights[:, at]) @ (own.scale != 1.0)
            bias += weights[:, at] @ own.shift
            weights[:, at] *= own.scale
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        return Skip("a folded weight is not finite")
    if (moved > MAX_SHIFT * known).any():
        return Skip("a column lies far from zero, where the folded terms would cancel")
    if _underflows(node.weights, weights):
        return Skip("a folded weight is too small a number to keep all of its digits")
    bare = [part if own is None else own.source for part, own in zip(parts, maps, strict=True)]
    return replace(node, inputs=(joined(node.inputs[0], bare),), weights=weights, bias=bias)


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """source * scale + shift"""

    source: Node
    scale: np.ndarray
    shift: np.ndarray


def _map(part: Node) -> _Map | None:
    if isinstance(part, Affine):
        return _Map(part.inputs[0], part.scale, part.shift)
    if isinstance(part, Multiply) and part.type.dtype == "float64":
        return _Map(part.inputs[0], part.value, np.zeros(part.type.width))
    if isinstance(part, Select):
        own = _map(part.inputs[0])
        return own and _Map(replace(part, inputs=(own.source,)), own.scale[part.index], own.shift[part.index])
    return None


def parts_of(block: Node) -> list[Node]:
    """The blocks that a block of float64 is made of side by side."""
    if not isinstance(block, Concat):
        return [block]
    return [p for x in block.inputs for p in (parts_of(x) if _within(x, block) else [x])]


def _within(x: Node, block: Concat) -> bool:
    """Whether the blocks of one Concat may be those of the one around it."""
    same = x.type.dtype == block.type.dtype and x.type.layout == block.type.layout
    return isinstance(x, Concat) and same


def joined(block: Node, parts: list[Node]) -> Node:
    """The block made of other parts."""
    return replace(block, inputs=tuple(parts)) if isinstance(block, Concat) else parts[0]


def _normed(parts: list[Node]) -> Skip | None:
    if any(isinstance(p, UnitRows) and _map(p.inputs[0]) for p in parts):
        return Skip("the norm of a row reads the terms as they are weighted")
    return None


def _underflows(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether folding made a subnormal number, or zero, of a weight: its relative error is then no rounding."""
    return bool(((np.abs(after) < np.finfo(np.float64).tiny) & (before != 0) & (after != before)).any())
