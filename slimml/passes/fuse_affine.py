"""Subtract, Divide, Multiply, Add in a row -> one Affine.

    (x - m) / s  =  x * (1 / s) + (-m / s)

Rounding: the product and the sum round elsewhere. So this must never stand in front of something that compares: a
Rank would see other values and rows would go another way. It fires only where all that reads the result is a Linear
(through Concat and Select, which compute nothing) whose sums no later Rank reads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Add, Affine, Divide, Multiply, Subtract
from slimml.options import Exactness
from slimml.passes.base import Outcome, Pass, Skip
from slimml.passes.comparing import compared

_STEPS = (Add, Subtract, Multiply, Divide, Affine)

# x * scale and shift cancel where a column lies far from zero in units of its scale: the error then grows by about
# |shift|, and so do the terms of the sum behind it, by which parity measures it. Up to here that costs three bits.
MAX_SHIFT = 8.0
# Scales beyond these would, two of them multiplied, take rows to where numbers lose digits, or come back from there.
_LEAST, _MOST = 2.0**-128, 2.0**128
TOO_FAR = "a scale is so small or so large that digits would be lost elsewhere"


def run(graph: Graph) -> Outcome:
    """Turn each chain of steps into an Affine, then pairs of Affines into one."""
    only_linear = _read_by_linear_alone(graph)
    fired, skipped = 0, Counter[str]()

    def rule(node: Node) -> Node:
        nonlocal fired
        result = _affine(node)
        if result is None:
            return node
        if isinstance(result, Skip):
            skipped[result.reason] += 1
            return node
        fired += 1
        return result

    # The decision is made on the old nodes, the rewriting on those whose inputs are already new.
    mapping: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple(mapping[x] for x in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        new = node if same else replace(node, inputs=inputs)
        if not isinstance(node, _STEPS):
            mapping[node] = new
        elif node in only_linear:
            mapping[node] = rule(new)
        else:
            if not isinstance(node, Affine):
                skipped["what it makes is compared, or answered, as it is"] += 1
            mapping[node] = new
    return Outcome(graph.with_nodes(mapping), fired, skipped)


PASS = Pass("fuse-affine", Exactness.ROUNDING, run)


def _read_by_linear_alone(graph: Graph) -> set[Node]:
    nodes = graph.nodes()
    answered = {n for o in graph.outputs for n in o.nodes}
    good = {n: n not in answered for n in nodes}
    # A sum that a later model compares with its cuts (stacking) must keep its last bit too.
    kept = compared(graph)
    for node in reversed(nodes):
        if isinstance(node, Linear):
            fine = node not in kept
        else:
            fine = isinstance(node, (Concat, Select, *_STEPS)) and good[node]
        for x in node.inputs:
            good[x] = good[x] and fine
    return {n for n, ok in good.items() if ok}


def _affine(node: Node) -> Node | Skip | None:
    if isinstance(node, Affine) and not isinstance(node.inputs[0], Affine):
        return None
    if node.type.layout != "dense" or node.type.dtype != "float64":
        return Skip("only dense float64 blocks are fused")
    scale, shift = _terms(node)
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return Skip("a scale or a shift is not finite")
    if not keeps_digits(scale):
        return Skip(TOO_FAR)
    inner = node.inputs[0]
    if isinstance(inner, Affine):
        with np.errstate(over="ignore", invalid="ignore"):
            moved = np.abs(inner.shift * scale)
            as_it_is = (scale == 1.0) & (shift == 0.0)
            scale, shift = inner.scale * scale, inner.shift * scale + shift
        # A second shift is lost in a large first one as a product is.
        if (moved[~as_it_is] > MAX_SHIFT).any():
            return Skip("a column lies far from zero in units of its scale, where a fused difference would cancel")
        if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
            return Skip("a fused scale or shift is not finite")
        if not keeps_digits(scale):
            return Skip(TOO_FAR)
        return Affine(inputs=inner.inputs, scale=scale, shift=shift, origin=inner.origin)
    return Affine(inputs=node.inputs, scale=scale, shift=shift, origin=node.origin)


def keeps_digits(scale: np.ndarray) -> bool:
    """Whether a product with each scale, or with two of them, neither underflows nor overflows for ordinary numbers."""
    size = np.abs(scale[scale != 0])
    return bool(((size >= _LEAST) & (size <= _MOST)).all())


def _terms(node: Node) -> tuple[np.ndarray, np.ndarray]:
    ones, zeros = np.ones(node.type.width), np.zeros(node.type.width)
    if isinstance(node, Add):
        return ones, node.value
    if isinstance(node, Subtract):
        return ones, -node.value
    if isinstance(node, Multiply):
        return node.value, zeros
    if isinstance(node, Divide):
        with np.errstate(divide="ignore", over="ignore"):
            return 1.0 / node.value, zeros
    assert isinstance(node, Affine)
    return node.scale, node.shift
