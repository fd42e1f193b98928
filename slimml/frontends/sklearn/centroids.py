"""NearestCentroid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.discriminant import posterior
from slimml.frontends.sklearn.fields import est_array, labels, vector
from slimml.frontends.sklearn.members import columns
from slimml.frontends.sklearn.neighbors import no_tree
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.heads import ArgMax
from slimml.ir.ops.kernels import ExpandedDistances
from slimml.ir.ops.neighbors import Neighbors
from slimml.ir.ops.numeric import Add, Divide, Multiply
from slimml.ir.ops.radius import WithinRadius
from slimml.schema import ZERO


@lowers(*moved("sklearn.neighbors._nearest_centroid", "NearestCentroid"))
def nearest_centroid(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The metrics euclidean and manhattan, with priors."""
    ctx.check_width(est, x)
    classes, block = labels(est.classes_, ctx), ctx.floats(x, finite="all", sparse=ZERO)
    centers = np.ascontiguousarray(est_array(est, "centroids_", ctx), dtype=np.float64)
    if centers.shape != (len(classes), block.type.width) or not np.isfinite(centers).all():
        raise ctx.unsupported(f"centroids_ {centers.shape} do not fit {block.type.width} columns")
    if est.metric not in ("euclidean", "manhattan"):
        raise ctx.unsupported(f"the metric {est.metric!r:.40}")
    nearest = Output("predict", (_nearest(est, block, centers, ctx),), "vector", (classes,))
    if ctx.version < (1, 6):  # priors appear in 1.6
        return Model((nearest,), (classes,))
    prior = vector(est, "class_prior_", ctx, len(classes))
    joint = _joint(est, block, centers, prior, ctx)
    choice = replace(nearest, nodes=(ArgMax(inputs=(joint,), origin=ctx.where),))
    # Equal priors are left out of account, so that the choice is rounded otherwise.
    predict = nearest if np.isclose(prior, 1 / len(classes)).all() else choice
    others = posterior(joint, classes, ctx)[1:] if est.metric == "euclidean" else ()
    return Model((predict, *others), (classes,))


def _nearest(est: Record, block: Node, centers: np.ndarray, ctx: Lowerer) -> Node:
    """The position of the nearest centre, of equally near ones the first."""
    euclidean = est.metric == "euclidean"
    found = Neighbors(
        inputs=(block,),
        points=centers,
        metric=est.metric,
        p=2.0 if euclidean else 1.0,
        scale=np.zeros((0, 0)),
        method="expanded" if euclidean else "direct",
        count=1,
        origin=ctx.where,
        **no_tree(),
    )
    return Cast(inputs=(columns(found, [0], ctx),), dtype="int64", origin=ctx.where)


def _joint(est: Record, block: Node, centers: np.ndarray, prior: np.ndarray, ctx: Lowerer) -> Node:
    """-distance**2 + 2 log(prior), seen in units of the spread within classes."""
    spread = vector(est, "within_class_std_dev_", ctx, block.type.width)
    spread = np.where(spread != 0, spread, 1.0)
    # What overflows is refused when distances are asked for.
    scaled = ctx.guard(Divide(inputs=(block,), value=spread, origin=ctx.where), "all")
    points = np.ascontiguousarray(centers / spread)
    if est.metric == "euclidean":
        squares: Node = ExpandedDistances(inputs=(scaled,), points=points, origin=ctx.where)
        apart: Node = Apply(inputs=(squares,), function="sqrt", origin=ctx.where)
    else:
        apart = WithinRadius(
            inputs=(scaled,), points=points, metric="manhattan", p=1.0, method="direct", radius=np.inf, origin=ctx.where
        )
    squares = Apply(inputs=(apart,), function="square", origin=ctx.where)
    opposite = Multiply(inputs=(squares,), value=np.full(len(centers), -1.0), origin=ctx.where)
    with np.errstate(divide="ignore"):
        return Add(inputs=(opposite,), value=2.0 * np.log(prior), origin=ctx.where)
