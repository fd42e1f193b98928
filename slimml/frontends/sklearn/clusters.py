"""Clusters: which centre is nearest, and how far away each is."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import est_array
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Dense
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.heads import ArgMax
from slimml.ir.ops.kernels import ExpandedDistances
from slimml.ir.ops.models import Linear
from slimml.schema import ZERO

_MODULES = ("_kmeans", "_k_means", "k_means_")


@lowers(*(f"sklearn.cluster.{m}.{c}" for m in _MODULES for c in ("KMeans", "MiniBatchKMeans")))
def k_means(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every algorithm; rows and centres in float64."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all", csr=True, sparse=ZERO)
    centers = np.ascontiguousarray(est_array(est, "cluster_centers_", ctx), dtype=np.float64)
    if centers.ndim != 2 or centers.shape[1] != block.type.width or not len(centers):
        raise ctx.unsupported(f"cluster_centers_ {centers.shape} do not fit {block.type.width} columns")
    # The nearest centre has the least |c|**2 - 2 x.c, hence the largest of what is computed here: bit for bit the same.
    lengths = np.einsum("ij,ij->i", centers, centers)
    near = Linear(inputs=(block,), weights=2.0 * centers, bias=-lengths, origin=ctx.where)
    chosen = ArgMax(inputs=(near,), origin=ctx.where)
    dense: Node = Dense(inputs=(block,), origin=ctx.where) if block.type.layout == "csr" else block
    squares = ExpandedDistances(inputs=(dense,), points=centers, origin=ctx.where)
    apart = Apply(inputs=(squares,), function="sqrt", origin=ctx.where)
    table = np.arange(len(centers), dtype=np.int32)
    return Model((Output("predict", (chosen,), "vector", (table,)), Output("transform", (apart,), "matrix")))
