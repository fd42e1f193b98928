"""Guard(f(x)) -> f(Guard(x)), up to the raw columns.

The original validates its input at every step: a scaler refuses infinities, the forest behind it refuses what the
scaler made overflow. All of that can be said of the raw row. For an elementwise f that is monotone in floating point
(correctly rounded steps are) the values whose image lies in [low, high] are an interval, and each of its two ends is
one float: found by bisection over the ordered floats with f's own arithmetic, not by solving f.

Bitwise: the same rows pass, and their values are not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan

import numpy as np

from slimml.ir.floats import from_keys, highest, middle
from slimml.ir.narrow import COLUMN_BY_COLUMN
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Dense, Input, Select
from slimml.ir.ops.numeric import Add, Divide, FillMissing, Guard, Multiply, Subtract
from slimml.options import Exactness
from slimml.passes.base import Pass, Skip
from slimml.passes.folding.cells import Cells, UnfoldableError, pulled
from slimml.passes.folding.links import FLOATS, link


def rule(guard: Node) -> Node | Skip | None:
    """Move a guard one op inwards; drop it where what it refuses cannot occur."""
    if not isinstance(guard, Guard):
        return None
    if _implied(guard):
        return guard.inputs[0]
    inner = guard.inputs[0]
    if isinstance(inner, Input):
        return None
    if isinstance(inner, Guard):
        merged = _intersection(guard, inner)
        return replace(merged, inputs=inner.inputs, origin=inner.origin)
    if isinstance(inner, Concat):
        return _through_concat(guard, inner)
    if isinstance(inner, Select):
        return _through_select(guard, inner)
    if isinstance(inner, FillMissing) and isinstance(inner.sentinel, float) and isnan(inner.sentinel):
        return _through_fill(guard, inner)
    if isinstance(inner, Dense):
        if isnan(inner.absent) and not guard.missing.all():
            return Skip("a guard that refuses missing values refuses what csr leaves out")
        if not isnan(inner.absent) and not _takes_zero(guard):
            return Skip("a guard that refuses zero lets the zeros pass that csr leaves out")
        return replace(inner, inputs=(_moved(guard, inner.inputs[0], guard.low, guard.high),))
    if isinstance(inner, Add | Subtract | Multiply | Divide | Cast):
        return _through_monotone(guard, inner)
    if isinstance(inner, COLUMN_BY_COLUMN) and inner.source.numeric:
        return _through_cells(guard, inner)
    return Skip(f"a guard stays behind {type(inner).__name__}")


def _takes_zero(guard: Guard) -> bool:
    return bool(((guard.low <= 0) & (guard.high >= 0)).all())


def _implied(guard: Guard) -> bool:
    domains = guard.source.domains
    limits = zip(domains, guard.low.tolist(), guard.high.tolist(), guard.missing.tolist(), strict=True)
    if not guard.source.numeric:
        return not any(d.missing and not ok for d, _, _, ok in limits)
    return all(low <= d.low and d.high <= high and (ok or not d.missing) for d, low, high, ok in limits)


def _moved(guard: Guard, x: Node, low: np.ndarray, high: np.ndarray, missing: np.ndarray | None = None) -> Guard:
    names = guard.names if len(guard.names) == x.type.width else ()
    missing = guard.missing if missing is None else missing
    return Guard(inputs=(x,), low=low, high=high, missing=missing, names=names, origin=guard.origin)


def _intersection(outer: Guard, inner: Guard) -> Guard:
    return replace(
        inner,
        low=np.maximum(outer.low, inner.low),
        high=np.minimum(outer.high, inner.high),
        missing=outer.missing & inner.missing,
        names=inner.names or outer.names,
    )


def _through_concat(guard: Guard, inner: Concat) -> Node | Skip:
    parts: list[Node] = []
    start = 0
    if inner.type.dtype != "object" and any(not x.type.numeric for x in inner.inputs):
        return Skip("objects that become numbers are guarded as numbers")
    if inner.type.layout == "csr" and not _takes_zero(guard):
        return Skip("a guard that refuses zero lets the zeros pass that csr leaves out")
    for x in inner.inputs:
        own = slice(start, start + x.type.width)
        start += x.type.width
        names = guard.names[own] if guard.names else ()
        part = Guard(
            inputs=(x,), low=guard.low[own], high=guard.high[own], missing=guard.missing[own], names=names,
            origin=guard.origin,
        )  # fmt: skip
        parts.append(x if _implied(part) else part)
    return replace(inner, inputs=tuple(parts))


def _through_select(guard: Guard, inner: Select) -> Node:
    x = inner.inputs[0]
    low, high = np.full(x.type.width, -np.inf), np.full(x.type.width, np.inf)
    missing = np.ones(x.type.width, dtype=bool)
    np.maximum.at(low, inner.index, guard.low)
    np.minimum.at(high, inner.index, guard.high)
    np.logical_and.at(missing, inner.index, guard.missing)
    moved = Guard(inputs=(x,), low=low, high=high, missing=missing, origin=guard.origin)
    return replace(inner, inputs=(moved,))


def _through_fill(guard: Guard, inner: FillMissing) -> Node:
    if not inner.source.numeric:
        filled = [not (isinstance(f, float) and isnan(f)) for f in inner.fill]
        missing = np.array(filled) | guard.missing
    else:
        fill = np.array(inner.fill, dtype=np.float64)
        missing = ((fill >= guard.low) & (fill <= guard.high)) | (np.isnan(fill) & guard.missing)
    return replace(inner, inputs=(_moved(guard, inner.inputs[0], guard.low, guard.high, missing),))


def _through_monotone(guard: Guard, inner: Node) -> Node | Skip:
    x = inner.inputs[0]
    if x.type.dtype not in FLOATS or inner.type.dtype not in FLOATS:
        return Skip("a guard stays behind arithmetic on values that are no floats")
    if x.type.layout == "csr" and not _takes_zero(guard):
        return Skip("a guard that refuses zero lets the zeros pass that csr leaves out")
    if isinstance(inner, Multiply | Divide) and not (np.isfinite(inner.value) & (inner.value != 0)).all():
        return Skip("a scale is zero or not finite")
    if isinstance(inner, Add | Subtract) and not np.isfinite(inner.value).all():
        return Skip("a shift is not finite")
    low, high = preimage(inner.evaluate, x.type.width, x.type.dtype, guard.low, guard.high)
    # Arithmetic makes no NaN of a number inside these bounds, and keeps NaN as NaN.
    return replace(inner, inputs=(_moved(guard, x, low, high),))


def _through_cells(guard: Guard, inner: Node) -> Node | Skip:
    """Behind an op that turns somewhere, as an imputer of a number does; what passes may still be an interval."""
    x = inner.inputs[0]
    if x.type.layout != "dense" or x.type.dtype not in FLOATS:
        return Skip(f"a guard stays behind {type(inner).__name__} of {x.type}")
    dtype = np.dtype(x.type.dtype)
    low, high = np.full(x.type.width, np.inf), np.full(x.type.width, -np.inf)
    missing = np.zeros(x.type.width, dtype=bool)
    for c in range(x.type.width):
        with np.errstate(over="ignore"):  # the float before -MAX is -inf
            ends = np.unique([np.nextafter(guard.low[c], -np.inf), guard.high[c]])
        inside = (ends >= guard.low[c]) & (ends <= guard.high[c])
        passes = Cells(ends, np.append(inside, False).astype(np.int32), int(guard.missing[c]), 0)
        if guard.low[c] == -np.inf:
            passes = replace(passes, cuts=ends[1:], ranks=passes.ranks[1:])
        try:
            cells = pulled(passes, link(inner, c), dtype)
        except UnfoldableError as reason:
            return Skip(f"a guard stays behind {type(inner).__name__}: it {reason}")
        taken = np.flatnonzero(cells.ranks)
        if len(taken) > 1:  # neighbours are joined
            return Skip(f"a guard stays behind {type(inner).__name__}: what passes is no interval")
        missing[c] = bool(cells.missing)
        if len(taken):
            edges = np.concatenate([[-np.inf], cells.cuts, [np.inf]])
            first = edges[taken[0]].astype(dtype)
            low[c] = first if taken[0] == 0 else np.nextafter(first, dtype.type(np.inf))
            high[c] = edges[taken[0] + 1]
    return replace(inner, inputs=(_moved(guard, x, low, high, missing),))


def preimage(
    evaluate: Callable[[np.ndarray], np.ndarray], width: int, dtype: str, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The interval of inputs whose images lie in [low, high], per column, for a chain that is monotone per column.

    Bisects over the floats in their order, 64 evaluations for all columns at once. An empty interval comes back with
    its ends crossed.
    """
    kind = np.dtype(dtype)
    ends = np.stack([np.full(width, -np.inf), np.full(width, np.inf)]).astype(kind)
    with np.errstate(invalid="ignore", over="ignore"):
        images = evaluate(ends)
    rising = images[0] <= images[1]
    # The least x with image >= low, and the greatest with image <= high; for a falling chain the other way round.
    first = _least(evaluate, width, kind, lambda y: np.where(rising, y >= low, y <= high))
    after = _least(evaluate, width, kind, lambda y: np.where(rising, y > high, y < low))
    return first.astype(np.float64), _before(after).astype(np.float64)


def _least(
    evaluate: Callable[[np.ndarray], np.ndarray], width: int, kind: np.dtype, holds: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The least float of each column from which on `holds` is true; one beyond infinity (NaN) where it never is."""
    top = highest(kind)
    low, high = np.full(width, -top), np.full(width, top + 1)
    while (open_ := low < high).any():
        half = middle(low, high)
        with np.errstate(invalid="ignore", over="ignore"):
            true = holds(evaluate(from_keys(np.minimum(half, top), kind)[None, :])[0])
        low, high = np.where(open_ & ~true, half + 1, low), np.where(open_ & true, half, high)
    return np.where(low > top, kind.type(np.nan), from_keys(np.minimum(low, top), kind))


def _before(x: np.ndarray) -> np.ndarray:
    """The float before x; infinity where x is NaN, which stands for one beyond infinity."""
    with np.errstate(over="ignore"):  # the float before -MAX is -inf
        return np.where(np.isnan(x), np.inf, np.nextafter(x, -np.inf))


PASS = Pass.local("hoist-guards", Exactness.BITWISE, rule)
