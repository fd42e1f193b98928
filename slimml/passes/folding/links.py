"""What the passes know of each op as a function of one column: where it turns, and how far rounding may carry it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from slimml.ir.csr import Csr
from slimml.ir.floats import from_keys, highest, middle
from slimml.ir.narrow import sliced
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.curves import BOX_COX, YEO_JOHNSON, YEO_JOHNSON_POWER, PowerCurve, QuantileCurve
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.numeric import (
    Add,
    Affine,
    Binarize,
    Clip,
    Divide,
    FillMissing,
    IsMissing,
    Multiply,
    Nudge,
    Subtract,
)
from slimml.ir.ops.splines import CONSTANT, LINEAR, Splines
from slimml.ir.types import ValueType
from slimml.passes.folding.cells import Link, UnfoldableError

FLOATS = ("float64", "float32")
# Bounds on the errors of numpy's transcendental functions, in units of the last place, wherever they come from: the
# vectors of AVX-512 have less than 4 of them, and cbrt of glibc more than 3. A test measures them on each machine.
ULPS = {"float64": 4, "float32": 4}
# What scipy's functions have more than that, in multiples.
_MORE = {"ndtr": 4, "ndtri": 2}
_SIDES = np.array([-np.inf, 0.0, np.inf])
# Correctly rounded functions rise throughout, or turn at zero alone.
_RISING = frozenset("ceil floor rint trunc sign deg2rad rad2deg negative".split())
_TURNING = {
    "absolute": (0.0,),
    "fabs": (0.0,),
    "square": (0.0,),
    "sqrt": (0.0,),
    "reciprocal": (0.0,),
    "nan_to_num": (-np.inf, np.inf),
}
# Those that mathematics makes rise or fall between these points, and rounding nearly so.
_NEARLY: dict[str, tuple[float, ...]] = {
    "arccos": (-1.0, 1.0),
    "arccosh": (1.0,),
    "arcsin": (-1.0, 1.0),
    "arcsinh": (),
    "arctan": (),
    "arctanh": (-1.0, 1.0),
    "cbrt": (),
    "cosh": (0.0,),
    "exp": (),
    "exp2": (),
    "expm1": (),
    "log": (0.0,),
    "log10": (0.0,),
    "log1p": (-1.0,),
    "log2": (0.0,),
    "ndtr": (),
    "ndtri": (0.0, 1.0),
    "sinh": (),
    "tanh": (),
}


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Given(Node):
    """Stands for one column of what an op reads."""

    given: ValueType

    def infer(self) -> ValueType:
        return self.given


def link(node: Node, column: int) -> Link:
    """The op as a function of the only column that its column is made of. Raises UnfoldableError with the reason."""
    for kinds, make in _LINKS:
        if isinstance(node, kinds):
            if node.source.dtype not in FLOATS:
                raise UnfoldableError(f"{type(node).__name__} reads {node.source.dtype}")
            return make(node, column, _runner(node, column))
    raise UnfoldableError(f"{type(node).__name__} does not work column by column")


def alone(node: Node, column: int) -> Node:
    """The op on that one column."""
    given = node.source
    one = ValueType(given.dtype, (given.domains[column],), given.layout)
    if isinstance(node, Lookup):
        return Lookup(inputs=(Given(given=one),), tables=(node.tables[column],), refuse=(False,), origin=node.origin)
    return sliced(node, np.array([column]), Given(given=one))


def _runner(node: Node, column: int) -> Callable[[np.ndarray], np.ndarray]:
    one = alone(node, column)
    if node.source.layout == "dense":
        return lambda x: np.asarray(one.evaluate(x[:, None])[:, 0])

    def stored(x: np.ndarray) -> np.ndarray:
        made = one.evaluate(Csr(x, np.zeros(len(x), np.int64), np.arange(len(x) + 1), 1))
        if len(made.data) == len(x):
            return np.asarray(made.data)
        out = np.full(len(x), np.nan, made.data.dtype)
        out[np.diff(made.indptr) > 0] = made.data
        return out

    return stored


Run = Callable[[np.ndarray], np.ndarray]


def _steady(node: Node, column: int, run: Run) -> Link:
    return Link(run)


def _shifted(node: Add | Subtract, column: int, run: Run) -> Link:
    value = float(node.value[column])
    if not np.isfinite(value):
        return Link(run, _SIDES)
    sign = 1.0 if isinstance(node, Subtract) else -1.0
    return Link(run, guess=lambda y: y + sign * value)


def _scaled(node: Multiply | Divide, column: int, run: Run) -> Link:
    value = float(node.value[column])
    if not np.isfinite(value) or value == 0:
        return Link(run, _SIDES)
    return Link(run, guess=(lambda y: y / value) if isinstance(node, Multiply) else lambda y: y * value)


def _affine(node: Affine, column: int, run: Run) -> Link:
    scale, shift = float(node.scale[column]), float(node.shift[column])
    if not (np.isfinite(scale) and np.isfinite(shift)) or scale == 0:
        return Link(run, _SIDES)
    return Link(run, guess=lambda y: (y - shift) / scale)


def _nudge(node: Nudge, column: int, run: Run) -> Link:
    scale, shift, eps = node.scale, node.shift, float(np.finfo(np.float64).eps)

    def slack(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        # Three roundings; above zero, where it is a sum of what rises, they do not show.
        return np.asarray(np.where(x < 0, eps * (np.abs(y) + 2 * (shift + scale * np.abs(x))), 0.0))

    return Link(run, _SIDES, slack, lambda y: (y - shift) / np.where(y < shift, 1 - scale, 1 + scale))


def _cast(node: Cast, column: int, run: Run) -> Link:
    if node.dtype == "bool":
        return Link(run, np.array([0.0]))
    if node.dtype not in FLOATS:
        raise UnfoldableError(f"a cast to {node.dtype}")
    if node.dtype == node.source.dtype or node.source.dtype == "float32":
        return Link(run, guess=lambda y: y)
    # The doubles that become one float32 reach half way to its neighbours.
    return Link(run, guess=lambda y: y + np.spacing(y.astype(np.float32)).astype(np.float64) / 2)


def _sentinel(node: FillMissing | IsMissing, column: int, run: Run) -> Link:
    if not isinstance(node.sentinel, int | float) or node.sentinel != node.sentinel:
        return Link(run, guess=lambda y: y)
    with np.errstate(over="ignore"):
        return Link(run, np.array([float(node.sentinel)]), guess=lambda y: y)


def _binarize(node: Binarize, column: int, run: Run) -> Link:
    return Link(run, np.array([node.threshold]), drops=node.source.layout == "csr")


def _apply(node: Apply, column: int, run: Run) -> Link:
    name = node.function
    if name in _RISING or name in _TURNING:
        return Link(run, np.array(_TURNING.get(name, ())))
    if name not in _NEARLY:
        raise UnfoldableError(f"{name} rises and falls without end")
    dtype, more = np.dtype(node.source.dtype), _MORE.get(name, 1)
    return Link(run, np.array(_NEARLY[name]), slack=lambda x, y: more * last_places(y, dtype))


def _power(node: PowerCurve, column: int, run: Run) -> Link:
    power, ulp = float(node.lambdas[column]), ulps(node.source.dtype)
    if not np.isfinite(power) or node.kind not in (BOX_COX, YEO_JOHNSON, YEO_JOHNSON_POWER):
        raise UnfoldableError("a power that is no number, or is taken back")

    def slack(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        # y = (exp(t) - 1) / p for t = p log u: what rounds in t shows in y as exp(t) / p = y + 1 / p times as much.
        left = (x < 0) & (node.kind != BOX_COX)
        p = np.where(left, 2 - power, power)
        log = np.abs(np.log(x) if node.kind == BOX_COX else np.log1p(np.abs(x)))
        inner = (1 + log + (1 if node.kind == YEO_JOHNSON_POWER else 0)) * np.abs(1 + p * np.abs(y))
        return np.asarray(ulp * (np.abs(y) + inner + np.where(p == 0, 0.0, np.abs(1 / p)) * _tiny(node)))

    return Link(run, np.array([0.0]), slack=slack)


def _tiny(node: PowerCurve) -> float:
    """Whether 1 is taken from a power, which loses what is small next to it."""
    return 1.0 if node.kind == YEO_JOHNSON_POWER else 0.0


def _quantiles(node: QuantileCurve, column: int, run: Run) -> Link:
    seen = node.quantiles[column]
    if not np.isfinite(seen).all():
        raise UnfoldableError("quantiles that are no numbers")
    dtype = np.dtype(node.source.dtype)
    near = seen.astype(dtype)
    # Between two quantiles it is a product and a sum.
    sides = [near, np.nextafter(near, dtype.type(-np.inf)), np.nextafter(near, dtype.type(np.inf))]
    if node.margin:
        margin = dtype.type(node.margin)
        ends = (lambda x: x - margin < seen[0]), (lambda x: x + margin <= seen[-1])
        sides += [_last(holds, dtype) for holds in ends]
    return Link(run, np.unique(np.concatenate(sides)).astype(np.float64))


def _last(holds: Callable[[np.ndarray], np.ndarray], dtype: np.dtype) -> np.ndarray:
    """The last float of which something holds that holds of all that are less, and the one after it."""
    low, high = np.array([-highest(dtype)]), np.array([highest(dtype)])
    while (half := middle(low, high))[0] != low[0]:
        low, high = (half, high) if holds(from_keys(half, dtype))[0] else (low, half)
    return from_keys(np.concatenate([low, high]), dtype)


def spline(node: Splines, column: int) -> Link:
    """One of the splines of a column, as a function of that column. Raises UnfoldableError."""
    c, own = divmod(column, node.each)
    if node.outside not in (CONSTANT, LINEAR):
        raise UnfoldableError(f"splines that are {node.outside} outside of their knots turn there")
    given = ValueType(node.source.dtype, (node.source.domains[c],))
    one = replace(node, inputs=(Given(given=given),), knots=node.knots[c : c + 1], edges=node.edges[c : c + 1])

    def run(x: np.ndarray) -> np.ndarray:
        return np.asarray(one.evaluate(x[:, None])[:, own])

    knots, dtype = np.unique(node.knots[c]), np.dtype(node.source.dtype)
    turns = [knots, np.nextafter(knots, -np.inf), np.nextafter(knots, np.inf), np.array([-np.inf, np.inf])]
    for low, high in pairwise(knots.tolist()):
        # A polynomial through as many points as it has coefficients, and where its slope is zero.
        at = low + (high - low) * (0.5 - 0.5 * np.cos(np.pi * (np.arange(node.degree + 1) + 0.5) / (node.degree + 1)))
        slope = np.polynomial.Polynomial.fit(at, one.column(at, 0)[:, own], node.degree).deriv()
        roots = slope.roots()
        turns.append(roots.real[(np.abs(roots.imag) <= (high - low)) & (roots.real > low) & (roots.real < high)])
    # All terms of de Boor's recursion are positive, so its error is relative; then the answer is rounded to the block's
    # dtype. Beyond the outer knots it is one value, or a product and a sum.
    reach = 8 * (node.degree + 1) * float(np.finfo(np.float64).eps) + ulps(dtype.name)
    return Link(run, np.concatenate(turns), slack=lambda x, y: reach * np.abs(y))


def _lookup(node: Lookup, column: int, run: Run) -> Link:
    numbers = [float(v) for v in node.tables[column] if isinstance(v, int | float) and v == v]
    if any(node.refuse[column : column + 1]):
        raise UnfoldableError("a look-up that refuses what it does not know")
    return Link(run, np.array(numbers, dtype=np.float64))


def ulps(dtype: str) -> float:
    """A bound on the relative error of numpy's functions in a dtype."""
    return ULPS[dtype] * float(np.finfo(dtype).eps)


def last_places(y: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A bound on the error of one of numpy's functions that answers y."""
    with np.errstate(all="ignore"):
        return np.asarray(ULPS[dtype.name] * np.spacing(np.abs(y).astype(dtype)).astype(np.float64))


_LINKS: tuple[tuple[tuple[type[Node], ...], Callable[..., Link]], ...] = (
    ((Add, Subtract), _shifted),
    ((Multiply, Divide), _scaled),
    ((Affine,), _affine),
    ((Nudge,), _nudge),
    ((Cast,), _cast),
    ((Clip,), _steady),
    ((FillMissing, IsMissing), _sentinel),
    ((Binarize,), _binarize),
    ((Apply,), _apply),
    ((PowerCurve,), _power),
    ((QuantileCurve,), _quantiles),
    ((Lookup,), _lookup),
)
