"""Numbers to few values: KBinsDiscretizer and Binarizer."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers, moved
from slimml.ingest.record import Record
from slimml.ir.floats import floored
from slimml.ir.node import Node
from slimml.ir.ops.categories import OneHot, Recode
from slimml.ir.ops.numeric import Binarize, Nudge
from slimml.ir.ops.ranks import Rank


@lowers("sklearn.preprocessing._discretization.KBinsDiscretizer")
def k_bins_discretizer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every encoding and strategy, as the fitted edges say."""
    nudged = not est.has("subsample")  # a parameter since 1.1, as is the exact comparison with an edge
    ctx.check_release(nudged, (1, 1), f"{est.name} with{'out' if nudged else ''} subsample")
    if est.get("dtype") is not None:
        raise ctx.unsupported("KBinsDiscretizer with a dtype of its own is not handled")
    ctx.check_width(est, x)
    edges = [np.asarray(e, dtype=np.float64) for e in est.bin_edges_]
    block = ctx.floats(x, finite="all")
    if len(edges) != block.type.width or not all(e.ndim == 1 and len(e) >= 2 for e in edges):
        raise ctx.unsupported(f"bin_edges_ of {len(edges)} columns do not fit {block.type.width} columns")
    inner = [e[1:-1] for e in edges]
    if any(np.isnan(e).any() or (np.diff(e) < 0).any() for e in inner):
        raise ctx.unsupported("bin_edges_ do not rise")
    if nudged:  # before 1.1 a value close to an edge fell into the bin beyond it
        block = Nudge(inputs=(block,), scale=1e-5, shift=1e-8, origin=ctx.where)
    raw, bins = _placed(inner, block, ctx)
    flat, sizes = np.concatenate(bins) if bins else np.zeros(0), np.array([len(e) - 1 for e in edges], dtype=np.int64)
    offsets = np.cumsum([0, *(len(b) for b in bins)]).astype(np.int64)
    if est.encode == "ordinal":
        return Recode(inputs=(raw,), values=flat.astype(np.float64), offsets=offsets, origin=ctx.where)
    if est.encode not in ("onehot", "onehot-dense"):
        raise ctx.unsupported(f"encode={est.encode!r:.40} is not handled")
    return OneHot(
        inputs=(raw,),
        targets=flat.astype(np.int32),
        offsets=offsets,
        sizes=sizes,
        layout="csr" if est.encode == "onehot" else "dense",
        origin=ctx.where,
    )


@lowers(*moved("sklearn.preprocessing._data", "Binarizer"))
def binarizer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Dense and sparse rows, with any threshold."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all", csr=True, narrow=True)
    threshold = float(est.threshold)
    if block.type.dtype == "float32" and isinstance(est.threshold, np.float64):
        # Compared in float64: the same as with the next float32 at or below it.
        threshold = float(floored(np.array(threshold), np.dtype(np.float32)))
    if block.type.layout == "csr" and not threshold >= 0:
        raise ctx.unsupported(f"threshold={threshold} on a sparse block is not handled")
    return Binarize(inputs=(block,), threshold=threshold, origin=ctx.where)


def _placed(inner: list[np.ndarray], block: Node, ctx: Lowerer) -> tuple[Node, list[np.ndarray]]:
    """Ranks among the distinct inner edges, and for each rank the bin: how many edges are at or below the value.

    Rank counts the cuts *below* a value; the float just below an edge makes that "at or below" of the edge itself.
    """
    distinct = [np.unique(e, return_counts=True) for e in inner]
    cuts = [np.nextafter(e, -np.inf) for e, _ in distinct]
    raw = Rank(
        inputs=(block,),
        cuts=np.concatenate(cuts) if cuts else np.zeros(0),
        offsets=np.cumsum([0, *map(len, cuts)]).astype(np.int64),
        table=np.zeros(0, dtype=np.int32),
        origin=ctx.where,
    )
    return raw, [np.concatenate(([0], np.cumsum(counts))) for _, counts in distinct]
