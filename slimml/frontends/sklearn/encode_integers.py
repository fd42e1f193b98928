"""OneHotEncoder of whole numbers from 0 on: all that it was before 0.20, and its "legacy mode" in 0.20 and 0.21."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import dtype_name
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.categories import OneHot
from slimml.ir.ops.columns import Cast, Concat, Select
from slimml.ir.ops.numeric import Guard
from slimml.ir.ops.ranks import Rank

_DTYPES = ("float64", "float32", "int64", "int32", "bool")


@lowers("sklearn.preprocessing.data.OneHotEncoder")
def one_hot_encoder_of_integers(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Releases before 0.20, whose categories are whole numbers; also of some columns."""
    ctx.check_release(True, (0, 20), f"{est.path}")
    return encoded_integers(est, x, "", ctx)


def encoded_integers(est: Record, x: Source, prefix: str, ctx: Lowerer) -> Node:
    """The columns of categories one-hot, then the others as they are. `prefix`: of the attributes ("_" since 0.20)."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all")
    chosen = _chosen(est.get(f"{prefix}categorical_features"), block.type.width, ctx)
    if not len(chosen):
        return block
    dtype: Any = dtype_name(est.dtype, ctx)
    if dtype not in _DTYPES:
        raise ctx.unsupported(f"{est.name} with dtype={dtype} is not handled")
    hot = replace(_one_hot(est, _part(block, chosen, ctx), prefix, ctx), dtype=dtype)
    others = np.setdiff1d(np.arange(block.type.width), chosen)
    if not len(others):
        return hot
    rest = _part(block, others, ctx)
    if prefix and dtype != "float64":  # X[:, ind[not_sel]].astype(dtype), since 0.20
        rest = Cast(inputs=(rest,), dtype=dtype, origin=ctx.where)
    return Concat(inputs=(hot, rest), layout=hot.layout, origin=ctx.where)


def _chosen(features: Any, width: int, ctx: Lowerer) -> np.ndarray:
    """The positions of the columns that hold categories, rising."""
    if features is None or (isinstance(features, str) and features == "all"):
        return np.arange(width)
    given = np.asarray(features)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "biu"):
        raise ctx.unsupported(f"categorical_features={features!r:.60} is not handled")
    is_mask = given.dtype.kind == "b"
    if len(given) != width if is_mask else given.size and not -width <= given.min() <= given.max() < width:
        raise ctx.unsupported(f"categorical_features={features!r:.60} for {width} columns")
    mask = np.zeros(width, dtype=bool)
    mask[given if given.size else np.zeros(0, dtype=np.int64)] = True
    return np.flatnonzero(mask)


def _part(block: Node, columns: np.ndarray, ctx: Lowerer) -> Node:
    if len(columns) == block.type.width:
        return block
    return Select(inputs=(block,), index=columns.astype(np.int64), origin=ctx.where)


def _one_hot(est: Record, block: Node, prefix: str, ctx: Lowerer) -> OneHot:
    """Column k of a feature is on where its value, cut to a whole number, is k; what was not seen has no column."""
    width = block.type.width
    sizes = np.asarray(est.get(f"{prefix}n_values_"))
    starts = np.asarray(est.get(f"{prefix}feature_indices_"))
    if sizes.shape != (width,) or sizes.dtype.kind not in "iu" or sizes.min(initial=1) < 1:
        raise ctx.unsupported(f"n_values_ of shape {sizes.shape} for {width} columns")
    if not np.array_equal(starts, np.cumsum([0, *sizes.tolist()])):
        raise ctx.unsupported("feature_indices_ are not the sums of n_values_")
    active = np.ones(int(sizes.sum()), dtype=bool)
    if isinstance(est.get(f"{prefix}n_values"), str):  # "auto": columns of values that training saw
        seen = np.asarray(est.get(f"{prefix}active_features_"))
        if (
            seen.ndim != 1
            or seen.dtype.kind not in "iu"
            or (len(seen) and not 0 <= seen.min() <= seen.max() < len(active))
        ):
            raise ctx.unsupported("active_features_ do not fit n_values_")
        active = np.isin(np.arange(len(active)), seen)
    if est.handle_unknown not in ("error", "ignore"):
        raise ctx.unsupported(f"handle_unknown={est.handle_unknown!r:.40} is not handled")
    refuse = est.handle_unknown == "error"
    high = np.nextafter(sizes.astype(np.float64) if refuse else np.full(width, 2.0**63), -np.inf)
    low = np.full(width, np.nextafter(-1.0, 0.0))
    block = Guard(inputs=(block,), low=low, high=high, missing=np.zeros(width, dtype=bool), origin=ctx.where)
    rank = Rank(
        inputs=(block,),
        # Ranks count the cuts below a value, so a cut just below k makes k and what is beyond it rank k.
        cuts=np.concatenate([np.nextafter(np.arange(1.0, n + 1), -np.inf) for n in sizes.tolist()]),
        offsets=starts.astype(np.int64),
        table=np.zeros(0, dtype=np.int32),
        origin=ctx.where,
    )
    kept = [active[a:b] for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
    targets = [np.append(np.where(k, np.cumsum(k) - 1, -1), -1) for k in kept]
    return OneHot(
        inputs=(rank,),
        targets=np.concatenate(targets).astype(np.int32),
        offsets=np.cumsum([0, *(len(t) for t in targets)]).astype(np.int64),
        sizes=np.array([np.count_nonzero(k) for k in kept], dtype=np.int64),
        layout="csr" if est.sparse else "dense",
        origin=ctx.where,
    )
