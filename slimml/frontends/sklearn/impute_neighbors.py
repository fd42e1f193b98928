"""KNNImputer."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import est_array
from slimml.frontends.sklearn.impute import indicators, sentinel_of
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Constant, Select
from slimml.ir.ops.fill import NeighborFill
from slimml.ir.ops.numeric import FillMissing, missing_mask


@lowers("sklearn.impute._knn.KNNImputer")
def knn_imputer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any sentinel, both weights, indicators, empty columns; a metric or weights of one's own are refused."""
    ctx.check_width(est, x)
    sentinel, points = _sentinel(est, ctx), _points(est, ctx)
    nan = sentinel != sentinel
    block = ctx.floats(x, finite="missing" if nan else "all")
    if points.shape[1] != block.type.width:
        raise ctx.unsupported(f"training rows {points.shape} do not fit {block.type.width} columns")
    gaps = block
    if not nan:
        gaps = FillMissing(inputs=(block,), sentinel=sentinel, fill=(np.nan,) * block.type.width, origin=ctx.where)
    filled: Node = NeighborFill(
        inputs=(gaps,), points=points, means=_means(est, points, ctx), count=_count(est, ctx),
        weights=_weights(est, ctx), origin=ctx.where)  # fmt: skip
    filled = _without_empty(est, filled, points, ctx)
    if not est.get("add_indicator", False):
        return filled
    return Concat(inputs=(filled, indicators(est, block, sentinel, ctx)), origin=ctx.where)


def _sentinel(est: Record, ctx: Lowerer) -> float:
    value = sentinel_of(est, ctx)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ctx.unsupported(f"missing_values={value!r:.60} is not handled")
    return float(value)


def _points(est: Record, ctx: Lowerer) -> np.ndarray:
    """The training rows, NaN where they lack a value."""
    if est.get("metric", "nan_euclidean") != "nan_euclidean":
        raise ctx.unsupported("a metric that is a function of the user's own")
    points, mask = np.array(est_array(est, "_fit_X", ctx), dtype=np.float64), est_array(est, "_mask_fit_X", ctx)
    if points.ndim != 2 or mask.shape != points.shape or mask.dtype != np.bool_ or not points.size:
        raise ctx.unsupported(f"training rows {points.shape} do not fit their mask {mask.shape}")
    if not np.array_equal(missing_mask(points, sentinel_of(est, ctx)), mask) or not np.isfinite(points[~mask]).all():
        raise ctx.unsupported("training rows whose mask says otherwise than they do")
    points[mask] = np.nan
    return np.ascontiguousarray(points)


def _means(est: Record, points: np.ndarray, ctx: Lowerer) -> np.ndarray:
    """The mean of each column's values, as a masked array has it: zeros stand for what is missing.

    They are added up in the dtype of the training rows.
    """
    held = ~np.isnan(points)
    dtype = np.float32 if est_array(est, "_fit_X", ctx).dtype == np.float32 else np.float64
    with np.errstate(invalid="ignore", over="ignore"):
        columns = zip(np.where(held, points, 0.0).astype(dtype).T, held.sum(axis=0), strict=True)
        return np.array([float(np.ascontiguousarray(c).sum()) * 1.0 / n if n else np.nan for c, n in columns])


def _count(est: Record, ctx: Lowerer) -> int:
    count = est.n_neighbors
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ctx.unsupported(f"{count!r:.20} neighbours")
    return int(count)


def _weights(est: Record, ctx: Lowerer) -> str:
    """From 1.6 on points that share no column with a row count nothing in a mean of equal weights either."""
    if est.weights not in ("uniform", "distance"):
        raise ctx.unsupported("weights that are a function of the user's own")
    return "present" if est.weights == "uniform" and ctx.version >= (1, 6) else str(est.weights)


def _without_empty(est: Record, filled: Node, points: np.ndarray, ctx: Lowerer) -> Node:
    """Columns without a value go, or are 0 where they are kept (keep_empty_features appears in 1.2)."""
    held = ~np.isnan(points).all(axis=0)
    kept = np.flatnonzero(held)
    if len(kept) == len(held):
        return filled
    if not est.get("keep_empty_features", False):
        return Select(inputs=(filled,), index=kept, origin=ctx.where)
    zero = Constant(inputs=(filled,), value=np.zeros(1), origin=ctx.where)
    both = Concat(inputs=(filled, zero), origin=ctx.where)
    index = np.where(held, np.arange(len(held)), len(held))
    return Select(inputs=(both,), index=index, origin=ctx.where)
