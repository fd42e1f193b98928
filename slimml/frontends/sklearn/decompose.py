"""Projections: PCA, IncrementalPCA, TruncatedSVD."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.arithmetic import in_place, product
from slimml.frontends.sklearn.fields import est_array, floats_of, vector
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.numeric import Divide, Subtract
from slimml.schema import ZERO


@lowers("sklearn.decomposition._pca.PCA", "sklearn.decomposition.pca.PCA",
        "sklearn.decomposition._incremental_pca.IncrementalPCA",
        "sklearn.decomposition.incremental_pca.IncrementalPCA")  # fmt: skip
def pca(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """(x @ components.T - mean @ components.T) / scale; up to 1.4 the mean goes first.

    decomposition/_base.py, _transform.
    """
    block = _rows(est, x, ctx)
    components = _components(est, block, ctx)
    vector(est, "mean_", ctx, block.type.width)
    if ctx.version < (1, 5):
        if block.type.layout == "csr":
            raise ctx.unsupported("sparse rows, which the original of this release refuses")
        centred = in_place(Subtract, block, floats_of(est, "mean_", block, ctx), ctx)
        out = _projected(centred, components, ctx)
    else:
        # In the dtype of the fitted arrays, as the original multiplies them.
        shift = est_array(est, "mean_", ctx).reshape(1, -1) @ est_array(est, "components_", ctx).T
        out = _projected(block, components, ctx)
        narrow = shift.dtype == np.float32 and out.type.dtype == "float32"
        out = in_place(Subtract, out, shift.ravel().astype(np.float32 if narrow else np.float64), ctx)
    if est.whiten:
        out = in_place(Divide, out, _spread(est, len(components), out, ctx), ctx)
    return out


@lowers("sklearn.decomposition._truncated_svd.TruncatedSVD", "sklearn.decomposition.truncated_svd.TruncatedSVD")
def truncated_svd(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One product with `components_`."""
    block = _rows(est, x, ctx)
    return _projected(block, _components(est, block, ctx), ctx)


def _rows(est: Record, x: Source, ctx: Lowerer) -> Node:
    ctx.check_width(est, x)
    return ctx.floats(x, finite="all", csr=True, sparse=ZERO, narrow=True)


def _components(est: Record, block: Node, ctx: Lowerer) -> np.ndarray:
    components = floats_of(est, "components_", block, ctx)
    if components.ndim != 2 or components.shape[1] != block.type.width:
        raise ctx.unsupported(f"components_ {components.shape} do not fit {block.type.width} columns")
    return np.ascontiguousarray(components)


def _projected(block: Node, components: np.ndarray, ctx: Lowerer) -> Node:
    return product(block, components, np.zeros(len(components), dtype=components.dtype), ctx)


def _spread(est: Record, count: int, out: Node, ctx: Lowerer) -> np.ndarray:
    """The standard deviation of each component, as the original keeps it from 0 from 1.5 on."""
    vector(est, "explained_variance_", ctx, count)
    spread = np.sqrt(est_array(est, "explained_variance_", ctx))
    if ctx.version >= (1, 5):
        spread = np.maximum(spread, np.finfo(spread.dtype).eps)
    narrow = spread.dtype == np.float32 and out.type.dtype == "float32"
    return np.asarray(spread, dtype=np.float32 if narrow else np.float64)
