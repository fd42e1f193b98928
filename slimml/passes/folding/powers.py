"""Yeo-Johnson's curve, pulled through one function at a time.

As a whole it is flat where its power is negative: millions of floats next to a cut are within its rounding error. Its
logarithms are far fewer, so the search goes through log1p, the product and expm1 one by one. The arithmetic is that of
`ops/curves.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from slimml.ir.ops.curves import YEO_JOHNSON, PowerCurve
from slimml.passes.folding.cells import Cells, Link, merged, pulled
from slimml.passes.folding.links import last_places

_WIDE = np.dtype(np.float64)


def applies(node: object) -> bool:
    """Whether an op is such a curve, all in float64."""
    if not isinstance(node, PowerCurve) or node.kind != YEO_JOHNSON:
        return False
    return node.source.dtype == "float64" and node.lambdas.dtype == _WIDE and bool(np.isfinite(node.lambdas).all())


def pulled_curve(after: Cells, node: PowerCurve, column: int) -> Cells:
    """Cells of the curve's answer to cells of what it reads. Raises UnfoldableError."""
    power = node.lambdas[column]
    below, eps = 2 - power, np.finfo(np.float64).eps
    log, back = _nearly(np.log1p, (-1.0,)), _nearly(np.expm1, ())
    negated = Link(np.negative, guess=np.negative)
    right = [log] if abs(power) < eps else [log, _times(power), back, _over(power)]
    left = [log, _times(below), back, negated, _over(below)] if abs(power - 2) > eps else [log, negated]
    one, other = _through([negated, *left], after), _through(right, after)
    least = np.nextafter(0.0, -1.0)
    cuts = np.concatenate([one.cuts[one.cuts < least], [least], other.cuts[other.cuts >= 0]])
    asked = np.append(cuts, np.inf)
    ranks = np.where(asked <= least, one.of(asked), other.of(asked))
    return merged(cuts, ranks, replace(other, missing=one.missing))


def _through(links: list[Link], after: Cells) -> Cells:
    for one in reversed(links):
        after = pulled(after, one, _WIDE)
    return after


def _nearly(function: Callable[[np.ndarray], np.ndarray], breaks: tuple[float, ...]) -> Link:
    return Link(function, np.array(breaks, dtype=np.float64), slack=lambda x, y: last_places(y, _WIDE))


def _times(value: float) -> Link:
    return Link(lambda x: value * x, _turns(value), guess=lambda y: y / value)


def _over(value: float) -> Link:
    return Link(lambda x: x / value, _turns(value), guess=lambda y: y * value)


def _turns(value: float) -> np.ndarray:
    return np.array([-np.inf, 0.0, np.inf]) if value == 0 else np.zeros(0)
