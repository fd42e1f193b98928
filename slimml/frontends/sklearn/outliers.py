"""What tells outliers by their neighbours, or by their distance from the middle."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import est_array, vector
from slimml.frontends.sklearn.members import columns
from slimml.frontends.sklearn.neighbors import nearest_rows, no_tree
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.heads import Exp, IsPositive
from slimml.ir.ops.neighbors import Neighbors, OutlierFactor
from slimml.ir.ops.numeric import Add, Multiply, Subtract


@lowers(*moved("sklearn.neighbors._lof", "LocalOutlierFactor"))
def local_outlier_factor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """With `novelty=True`: else only the rows that it was fitted on are answered."""
    if not est.get("novelty"):
        raise ctx.unsupported("novelty=False: the original answers only the rows that it was fitted on")
    near = nearest_rows(est, x, ctx, count=est.n_neighbors_)
    apart, density = est_array(est, "_distances_fit_X_", ctx), vector(est, "_lrd", ctx, len(near.points))
    if apart.shape != (len(near.points), near.count):
        raise ctx.unsupported(f"distances {apart.shape} of {near.count} neighbours of {len(near.points)} rows")
    reach = np.ascontiguousarray(apart[:, -1], dtype=np.float64)
    factor = OutlierFactor(inputs=(near,), reach=reach, density=density, origin=ctx.where)
    return _scored(est, factor, ctx)


@lowers(
    *moved("sklearn.covariance._elliptic_envelope", "EllipticEnvelope"),
    "sklearn.covariance.outlier_detection.EllipticEnvelope",
)
def elliptic_envelope(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Of files that hold the precision."""
    ctx.check_width(est, x)
    older = est.has("threshold_")
    ctx.check_release(older, (0, 20), f"an EllipticEnvelope with {'threshold_' if older else 'offset_'}")
    # check_array appears in 0.19 (covariance/outlier_detection.py): before, a missing value made an outlier.
    block = ctx.floats(x, finite="any" if (0, 0) < ctx.version < (0, 19) else "all")
    width = block.type.width
    center, precision = vector(est, "location_", ctx, width), est_array(est, "precision_", ctx)
    if precision.shape != (width, width):
        raise ctx.unsupported(f"a precision {precision.shape} for {width} columns")
    found = Neighbors(
        inputs=(block,),
        points=center[None, :].copy(),
        metric="mahalanobis",
        p=2.0,
        scale=np.ascontiguousarray(precision, dtype=np.float64),
        method="partition",
        count=1,
        origin=ctx.where,
        **no_tree(),
    )
    squared = Apply(inputs=(columns(found, [1], ctx),), function="square", origin=ctx.where)
    return _within_threshold(est, squared, ctx) if older else _scored(est, squared, ctx)


def _within_threshold(est: Record, squared: Node, ctx: Lowerer) -> Model:
    """What EllipticEnvelope answered before 0.20 (covariance/outlier_detection.py): 1 up to a threshold, and how far
    below it, both to the power of 0.33.
    """
    threshold = np.asarray(est_array(est, "threshold_", ctx), dtype=np.float64).ravel()
    if len(threshold) != 1:
        raise ctx.unsupported(f"a threshold_ of {len(threshold)} numbers")
    opposite = Multiply(inputs=(squared,), value=np.array([-1.0]), origin=ctx.where)
    below = Add(inputs=(opposite,), value=threshold, origin=ctx.where)
    inlier = IsPositive(inputs=(below,), or_zero=True, origin=ctx.where)
    logs = Apply(inputs=(squared,), function="log", origin=ctx.where)
    power = Exp(inputs=(Multiply(inputs=(logs,), value=np.array([0.33]), origin=ctx.where),), origin=ctx.where)
    opposite = Multiply(inputs=(power,), value=np.array([-1.0]), origin=ctx.where)
    decision = Add(inputs=(opposite,), value=threshold**0.33, origin=ctx.where)
    return Model(
        (
            Output("predict", (inlier,), "vector", (np.array([-1, 1]),)),
            Output("decision_function", (decision,), "vector"),
        )
    )


def _scored(est: Record, factor: Node, ctx: Lowerer) -> Model:
    """What an estimator of outliers answers that takes the opposite of a factor for its score."""
    score = Multiply(inputs=(factor,), value=np.array([-1.0]), origin=ctx.where)
    offset = np.asarray(est_array(est, "offset_", ctx), dtype=np.float64).ravel()
    if len(offset) != 1:
        raise ctx.unsupported(f"an offset_ of {len(offset)} numbers")
    decision = Subtract(inputs=(score,), value=offset, origin=ctx.where)
    inlier = IsPositive(inputs=(decision,), or_zero=True, origin=ctx.where)
    return Model(
        (
            Output("predict", (inlier,), "vector", (np.array([-1, 1]),)),
            Output("decision_function", (decision,), "vector"),
            Output("score_samples", (score,), "vector"),
        )
    )
