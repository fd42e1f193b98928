"""Products and splines of columns: PolynomialFeatures, SplineTransformer."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement
from math import comb

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.numeric import Guard
from slimml.ir.ops.products import COLUMN, MAX_TERMS, ONE, Products
from slimml.ir.ops.splines import CONSTANT, CONTINUE, LINEAR, MAX_DEGREE, PERIODIC, Splines

# Terms of a higher degree say nothing that floats could tell apart.
_MOST = 64


@lowers(
    "sklearn.preprocessing._polynomial.PolynomialFeatures",
    "sklearn.preprocessing._data.PolynomialFeatures",
    "sklearn.preprocessing.data.PolynomialFeatures",
)
def polynomial_features(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any degrees, on dense and on sparse blocks."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all", csr=True, narrow=True)
    least, most = _degrees(est, ctx)
    distinct, bias, width = bool(est.interaction_only), bool(est.include_bias), block.type.width
    # Dense terms are made of the term without their first column since 0.22
    # (https://github.com/scikit-learn/scikit-learn/pull/13290); before, and of sparse rows, from the left.
    from_right = block.type.layout == "dense" and ctx.version >= (0, 22)
    terms = _terms(width, most, distinct, ctx)
    at = {term: i + bias for i, term in enumerate(terms)}
    rest = [(t[1:], t[0]) if from_right else (t[:-1], t[-1]) for t in terms]
    parent = [ONE] * bias + [at[p] if p else COLUMN for p, _ in rest]
    column = [0] * bias + [c for _, c in rest]
    made: Node = Products(
        inputs=(block,), parent=np.array(parent, np.int64), column=np.array(column, np.int64), origin=ctx.where
    )
    kept = list(range(bias)) + [at[t] for t in terms if len(t) >= least]
    if len(kept) != est.n_output_features_:
        raise ctx.unsupported(f"n_output_features_ is {est.n_output_features_}, but its terms are {len(kept)}")
    if len(kept) == made.type.width:
        return made
    return Select(inputs=(made,), index=np.array(kept, dtype=np.int64), origin=ctx.where)


def _degrees(est: Record, ctx: Lowerer) -> tuple[int, int]:
    """The smallest and the largest degree; one number stands for the largest."""
    degree = est.degree
    pair = tuple(degree) if isinstance(degree, tuple | list) else (0, degree)
    if len(pair) != 2 or not all(isinstance(d, int | np.integer) and 0 <= d <= _MOST for d in pair):
        raise ctx.unsupported(f"degree={degree!r:.40} is not handled")
    return int(pair[0]), int(pair[1])


def _terms(width: int, most: int, distinct: bool, ctx: Lowerer) -> list[tuple[int, ...]]:
    """The columns of each term of the degrees from 1 on, in the original's order."""
    counts = (comb(width if distinct else width + d - 1, d) for d in range(1, most + 1))
    count = sum(counts) if width else 0
    if count > MAX_TERMS:
        raise ctx.unsupported(f"{count} terms are more than the {MAX_TERMS} that are handled")
    choices = combinations if distinct else combinations_with_replacement
    return [term for d in range(1, most + 1) for term in choices(range(width), d)]


@lowers("sklearn.preprocessing._polynomial.SplineTransformer")
def spline_transformer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any degree and extrapolation (degree 0: no constant or linear one), dense and sparse answers."""
    ctx.check_width(est, x)
    zeros = est.get("handle_missing", "error") == "zeros"  # since 1.9: then infinities are answered too
    sparse = bool(est.get("sparse_output", False))  # since 1.2, in float64 whatever comes in
    degree, outside = int(est.degree), str(est.extrapolation)
    block = ctx.floats(x, finite="any" if zeros else "all", narrow=not sparse)
    knots = _knots(est, degree, block.type.width, ctx)
    if outside == "error":
        block = _within(block, knots, degree, zeros, ctx)
    known = outside in ("error", CONTINUE, CONSTANT, LINEAR, PERIODIC)
    # What the original slices by -degree is then all there is, or nothing.
    if not known or (degree == 0 and (outside in (CONSTANT, LINEAR) or (sparse and outside == PERIODIC))):
        raise ctx.unsupported(f"extrapolation={outside!r:.40} of splines of degree {degree} is not handled")
    splines = Splines(
        inputs=(block,),
        knots=knots,
        degree=degree,
        outside=CONTINUE if outside == "error" else outside,
        edges=_edges(degree, outside, block.type.width),
        spread=not sparse,
        origin=ctx.where,
    )
    out: Node = splines
    if not est.include_bias:
        kept = np.flatnonzero((np.arange(out.type.width) + 1) % splines.each != 0)
        out = Select(inputs=(out,), index=kept, origin=ctx.where)
    return Concat(inputs=(out,), layout="csr", origin=ctx.where) if sparse else out


def _knots(est: Record, degree: int, width: int, ctx: Lowerer) -> np.ndarray:
    """The knots of each column, (width, n)."""
    rows = []
    for spline in est.bsplines_ if isinstance(est.bsplines_, list) else ():
        # scipy's BSpline, whose knots are `t` before 1.17.
        knots = spline.get("_t", spline.get("t")) if isinstance(spline, Record) else None
        if not isinstance(knots, np.ndarray) or knots.ndim != 1 or knots.dtype.kind != "f" or spline.get("k") != degree:
            raise ctx.unsupported("bsplines_ are no splines of that degree")
        rows.append(knots)
    if len(rows) != width or len({len(r) for r in rows}) > 1 or not 0 <= degree <= MAX_DEGREE:
        raise ctx.unsupported(f"bsplines_ of {len(rows)} columns do not fit {width} columns")
    knots = np.stack(rows).astype(np.float64) if rows else np.zeros((0, 2 * degree + 2))
    if not np.isfinite(knots).all() or (np.diff(knots) < 0).any() or knots.shape[1] < 2 * degree + 2:
        raise ctx.unsupported("the knots of bsplines_ do not rise")
    return knots


def _edges(degree: int, outside: str, width: int) -> np.ndarray:
    """The knots that are a column's ends: those of the base interval, but for what the original takes for them.

    Beside a linear continuation it counts the degree up to 2, column by column.
    """
    edges = np.full(width, degree, dtype=np.int64)
    return np.minimum(edges + np.arange(width), 2) if outside == LINEAR and degree <= 1 else edges


def _within(block: Node, knots: np.ndarray, degree: int, zeros: bool, ctx: Lowerer) -> Node:
    low, high = knots[:, degree].copy(), knots[:, knots.shape[1] - degree - 1].copy()
    missing = np.full(len(low), zeros)
    return Guard(inputs=(block,), low=low, high=high, missing=missing, origin=ctx.where)
