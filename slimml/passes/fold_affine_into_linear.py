"""Linear(Affine(x)) -> Linear(x), also where the Affine is one part of a Concat.

    (x * a + s) @ W.T + b  =  x @ (a * W).T + (W @ s + b)

Rounding: the sum has other terms, so last bits may differ. They must not be larger ones that cancel: x - m is exact
near m, x * w - m * w is as far off as m * w is large.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Affine
from slimml.options import Exactness
from slimml.passes.base import Pass, Skip
from slimml.passes.fuse_affine import MAX_SHIFT


def rule(node: Node) -> Node | Skip | None:
    """Fold the affine maps that a Linear reads into its weights and bias."""
    if not isinstance(node, Linear):
        return None
    inner = node.inputs[0]
    parts = inner.inputs if isinstance(inner, Concat) else (inner,)
    if not any(isinstance(p, Affine) for p in parts):
        return None
    weights, bias, start = node.weights.copy(), node.bias.copy(), 0
    moved, known = np.zeros(len(bias)), np.abs(bias)
    for part in parts:
        own = slice(start, start + part.type.width)
        start += part.type.width
        if isinstance(part, Affine):
            moved += np.abs(weights[:, own]) @ np.abs(part.shift)
            # A column that is scaled is of the size of its scale, hence about 1; of any other nothing is known.
            known += np.abs(weights[:, own]) @ (part.scale != 1.0)
            bias += weights[:, own] @ part.shift
            weights[:, own] *= part.scale
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        return Skip("a folded weight is not finite")
    if (moved > MAX_SHIFT * known).any():
        return Skip("a column lies far from zero, where the folded terms would cancel")
    bare = tuple(p.inputs[0] if isinstance(p, Affine) else p for p in parts)
    if _underflows(node.weights, weights):
        return Skip("a folded weight is too small a number to keep all of its digits")
    source = replace(inner, inputs=bare) if isinstance(inner, Concat) else bare[0]
    return replace(node, inputs=(source,), weights=weights, bias=bias)


def _underflows(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether folding made a subnormal number, or zero, of a weight: its relative error is then no rounding."""
    return bool(((np.abs(after) < np.finfo(np.float64).tiny) & (before != 0) & (after != before)).any())


PASS = Pass.local("fold-affine-into-linear", Exactness.ROUNDING, rule)
