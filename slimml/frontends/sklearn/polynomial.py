"""Products and splines of columns: PolynomialFeatures."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement
from math import comb

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.columns import Select
from slimml.ir.ops.products import COLUMN, MAX_TERMS, ONE, Products

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
