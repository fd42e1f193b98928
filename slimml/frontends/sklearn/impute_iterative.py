"""IterativeImputer: each column with gaps predicted from the others, round after round."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import est_array
from slimml.frontends.sklearn.impute import indicators, sentinel_of
from slimml.frontends.sklearn.members import answer, member
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Select
from slimml.ir.ops.numeric import Clip, FillMissing, Multiply, WhereMissing


@lowers("sklearn.impute._iterative.IterativeImputer")
def iterative_imputer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any regressor, order and limits, indicators; no `sample_posterior`. Rows without any value are filled as they are
    beside others.
    """
    ctx.check_width(est, x)
    if est.sample_posterior:
        raise ctx.unsupported("sample_posterior, which draws at random, is not handled")
    sentinel = sentinel_of(est, ctx)
    if not isinstance(sentinel, int | float):
        raise ctx.unsupported(f"missing_values={sentinel!r:.60} is not handled")
    block = ctx.floats(x, finite="missing" if sentinel != sentinel else "all", narrow=True)
    filled = ctx.transform(est.initial_imputer_, block, "initial_imputer_")
    kept = _kept(est, block.type.width, ctx)
    if filled.type.width != len(kept):
        raise ctx.unsupported(f"{len(kept)} columns hold values, and {filled.type.width} are filled")
    gaps = block
    if sentinel == sentinel:
        gaps = FillMissing(inputs=(block,), sentinel=sentinel, fill=(np.nan,) * block.type.width, origin=ctx.where)
    raw = [_column(gaps, int(c), ctx) for c in kept]
    columns = [_column(filled, c, ctx) for c in range(len(kept))]
    for i, triplet in enumerate(est.imputation_sequence_ if est.n_iter_ else ()):
        at, others, regressor = _triplet(triplet, len(kept), ctx)
        guess = _predicted(regressor, raw[at], [columns[c] for c in others], i, ctx)
        low, high = (_limit(est, name, at, ctx) for name in ("_min_value", "_max_value"))
        guess = Clip(inputs=(guess,), low=low, high=high, origin=ctx.where)
        columns[at] = WhereMissing(inputs=(raw[at], guess), origin=ctx.where)
    whole = Concat(inputs=tuple(columns), origin=ctx.where) if len(columns) > 1 else columns[0]
    if not est.get("add_indicator", False):
        return whole
    return Concat(inputs=(whole, indicators(est, block, sentinel, ctx)), origin=ctx.where)


def _predicted(regressor: Any, gaps: Node, others: list[Node], step: int, ctx: Lowerer) -> Node:
    """What a regressor makes of the other columns in rows with a gap; of those without it is asked about zeros alone,
    which it does not refuse.
    """
    block: Node = Concat(inputs=tuple(others), origin=ctx.where) if len(others) > 1 else others[0]
    nothing = Multiply(inputs=(gaps,), value=np.zeros(1, dtype=gaps.type.dtype), origin=ctx.where)
    asked = WhereMissing(inputs=(nothing, block), origin=ctx.where)
    model = member(regressor, asked, f"imputation_sequence_[{step}]", ctx)
    (guess,) = answer(model, "predict", ctx).nodes
    if guess.type.width != 1:
        raise ctx.unsupported("a regressor that answers several columns")
    dtype = gaps.type.dtype
    return guess if guess.type.dtype == dtype else Cast(inputs=(guess,), dtype=dtype, origin=ctx.where)


def _kept(est: Record, width: int, ctx: Lowerer) -> np.ndarray:
    """The columns that are answered: those that held a value when the model was fitted, or all."""
    empty = est.get("_is_empty_feature")  # since 1.2; before, the statistics tell
    if empty is None:
        empty = np.isnan(np.asarray(est_array(est.initial_imputer_, "statistics_", ctx), dtype=np.float64))
    empty = np.asarray(empty)
    if empty.shape != (width,) or empty.dtype != np.bool_:
        raise ctx.unsupported(f"_is_empty_feature of shape {empty.shape} does not fit {width} columns")
    if est.get("keep_empty_features", False):  # what was filled first is left as it is (_initial_imputation)
        return np.arange(width)
    return np.flatnonzero(~empty)


def _triplet(value: Any, width: int, ctx: Lowerer) -> tuple[int, list[int], Any]:
    """The column that a step of the sequence fills, those that it reads, and its regressor."""
    parts = value.args if isinstance(value, Record) else value
    if not isinstance(parts, tuple) or len(parts) != 3:
        raise ctx.unsupported("imputation_sequence_ is no list of columns and regressors")
    at, others = int(parts[0]), [int(c) for c in np.asarray(parts[1]).ravel()]
    if not others or not all(0 <= c < width for c in (at, *others)):
        raise ctx.unsupported("imputation_sequence_ points outside of the columns")
    return at, others, parts[2]


def _limit(est: Record, name: str, at: int, ctx: Lowerer) -> float:
    """A limit of what a column is filled with; one for all columns before 0.23."""
    limits = np.asarray(est_array(est, name, ctx), dtype=np.float64).ravel()
    if at >= len(limits) != 1:
        raise ctx.unsupported(f"{name} has {len(limits)} entries")
    return float(limits[at if len(limits) > 1 else 0])


def _column(block: Node, c: int, ctx: Lowerer) -> Node:
    return Select(inputs=(block,), index=np.array([c], dtype=np.int64), origin=ctx.where)
