"""SimpleImputer and MissingIndicator."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import is_missing_symbol, scalars, vector
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.numeric import FillMissing, Guard, IsMissing
from slimml.schema import CATEGORY, NUMBER


@lowers("sklearn.impute._base.SimpleImputer", "sklearn.impute.SimpleImputer")
def simple_imputer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every strategy, any sentinel, indicators; numbers and strings."""
    ctx.check_width(est, x)
    statistics = _fills(est, ctx)
    sentinel = sentinel_of(est, ctx)
    block = _block(est, x, statistics, sentinel, ctx)
    if len(statistics) != block.type.width:
        raise ctx.unsupported(f"SimpleImputer has {len(statistics)} statistics for {block.type.width} columns")
    filled = block
    empty = [isinstance(s, float) and s != s for s in statistics]
    if any(empty) and not est.get("keep_empty_features", False):  # the parameter appears in 1.2
        kept = np.flatnonzero(~np.array(empty))
        filled = Select(inputs=(block,), index=kept, origin=ctx.where)
        statistics = tuple(statistics[i] for i in kept.tolist())
    filled = FillMissing(inputs=(filled,), sentinel=sentinel, fill=statistics, origin=ctx.where)
    if not est.get("add_indicator", False):
        return filled
    return Concat(inputs=(filled, indicators(est, block, sentinel, ctx)), origin=ctx.where)


@lowers("sklearn.impute._base.MissingIndicator", "sklearn.impute.MissingIndicator")
def missing_indicator(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Some columns or all, any sentinel, dense and sparse answers."""
    ctx.check_width(est, x)
    if est.get("_precomputed", False):
        raise ctx.unsupported("a MissingIndicator that an imputer made is not handled on its own")
    sentinel = sentinel_of(est, ctx)
    block = _block_of(est, x, sentinel, ctx)
    features = _features(est, block.type.width, ctx)
    mask: Node = IsMissing(inputs=(block,), sentinel=sentinel, origin=ctx.where)
    if est.features == "missing-only" and est.error_on_new:
        mask = _nothing_new(mask, features, x.names if isinstance(x, Frame) else (), ctx)
    mask = Select(inputs=(mask,), index=features, origin=ctx.where)
    # "auto" answers as it was asked.
    sparse = est.sparse is True or (est.sparse == "auto" and isinstance(x, Node) and x.type.layout == "csr")
    return Concat(inputs=(mask,), layout="csr", origin=ctx.where) if sparse else mask


def _block_of(est: Record, x: Source, sentinel: object, ctx: Lowerer) -> Node:
    nan = isinstance(sentinel, float) and sentinel != sentinel
    number = isinstance(sentinel, int | float)
    if isinstance(x, Frame) and (not number or any(k != NUMBER for k in x.kinds([NUMBER] * x.width))):
        frame, x = x, x.objects([CATEGORY] * x.width, ctx.where)
        frame.missing_is_nan(range(frame.width) if nan else [])
    if isinstance(x, Node) and not x.type.numeric:
        return x if nan else ctx.guard(x, "all")
    if not number:
        raise ctx.unsupported(f"missing_values={sentinel!r:.40} of numbers is not handled")
    return _comparable(ctx.floats(x, finite="missing" if nan else "all", narrow=True), est, ctx)


def _comparable(block: Node, est: Record, ctx: Lowerer) -> Node:
    """The block, whose numbers are compared with the sentinel in its dtype."""
    strong = isinstance(est.missing_values, np.float64) and est.missing_values != np.float32(est.missing_values)
    if block.type.dtype == "float32" and strong and est.missing_values == est.missing_values:
        raise ctx.unsupported(f"missing_values={est.missing_values!r} is compared with float32 numbers in float64")
    return block


def _nothing_new(mask: Node, features: np.ndarray, names: tuple[str, ...], ctx: Lowerer) -> Node:
    """The mask, and rows refused where a column is missing that never was when the model was fitted."""
    known = np.isin(np.arange(mask.type.width), features)
    if known.all():
        return mask
    low, missing = np.zeros(len(known)), np.ones(len(known), dtype=bool)
    return Guard(inputs=(mask,), low=low, high=known.astype(float), missing=missing, names=names, origin=ctx.where)


def _features(est: Record, width: int, ctx: Lowerer) -> np.ndarray:
    features = np.asarray(est.features_)
    if features.ndim != 1 or features.dtype.kind not in "iu":
        raise ctx.unsupported("features_ are no positions of columns")
    if len(features) and not (0 <= features.min() and features.max() < width):
        raise ctx.unsupported("features_ points outside of the input")
    return features.astype(np.int64)


@lowers("sklearn.preprocessing.imputation.Imputer")
def imputer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The SimpleImputer of numbers of releases before 0.22; along rows (axis=1), and on sparse rows, it is refused."""
    if est.axis != 0:
        raise ctx.unsupported(f"Imputer with axis={est.axis!r:.20} is not handled")
    if isinstance(x, Node) and x.type.layout == "csr":
        raise ctx.unsupported("Imputer on sparse rows is not handled")
    sentinel, block = sentinel_of(est, ctx), ctx.floats(x)
    fill = vector(est, "statistics_", ctx, width=block.type.width)
    kept = np.flatnonzero(~np.isnan(fill))
    if len(kept) < len(fill):
        block = Select(inputs=(block,), index=kept, origin=ctx.where)
    return FillMissing(inputs=(block,), sentinel=sentinel, fill=tuple(fill[kept].tolist()), origin=ctx.where)


def _block(est: Record, x: Source, statistics: tuple[object, ...], sentinel: object, ctx: Lowerer) -> Node:
    nan = isinstance(sentinel, float) and sentinel != sentinel
    if not _is_object(est, statistics):
        return _comparable(ctx.floats(x, finite="missing" if nan else "all", narrow=True), est, ctx)
    if is_missing_symbol(est.missing_values):
        raise ctx.unsupported("missing_values=pandas.NA on a column that does not hold numbers is not handled")
    if isinstance(x, Frame):
        # One imputer may cover numbers and strings, as one block of objects; a statistic says which a column holds.
        wanted = [CATEGORY if isinstance(s, str) or s is None else NUMBER for s in statistics]
        wanted = [CATEGORY] * x.width if len(wanted) != x.width else wanted
        frame, x = x, x.objects(wanted, ctx.where)
        frame.missing_is_nan(range(frame.width) if nan else [])
    return x if nan else ctx.guard(x, "all")


def _fills(est: Record, ctx: Lowerer) -> tuple[object, ...]:
    """What each column is filled with."""
    statistics = scalars(est.statistics_, ctx)
    dtype = est.get("_fill_dtype")  # appears in 1.8: from then on statistics are rounded to what fit was shown
    if not isinstance(dtype, np.dtype) or dtype.kind != "f":
        return statistics
    return tuple(float(dtype.type(s)) if isinstance(s, int | float) else s for s in statistics)


def _is_object(est: Record, statistics: tuple[object, ...]) -> bool:
    fitted = est.get("_fit_dtype")  # appears in 1.1
    if isinstance(fitted, np.dtype):
        return fitted.kind == "O"
    return any(isinstance(s, str) for s in statistics)


def sentinel_of(est: Record, ctx: Lowerer) -> object:
    value: Any = est.missing_values
    if is_missing_symbol(value) or (isinstance(value, str) and value == "NaN"):  # "NaN" is np.nan before 0.20
        return float("nan")
    value = value.item() if isinstance(value, np.generic) else value
    if value is not None and type(value) not in (int, float, str):
        raise ctx.unsupported(f"missing_values={value!r:.60} is not handled")
    return value


def indicators(est: Record, block: Node, sentinel: object, ctx: Lowerer) -> Node:
    # The mask is taken from the block as it came in, before columns without a statistic are dropped.
    indicator = est.indicator_
    if not isinstance(indicator, Record):
        raise ctx.unsupported("add_indicator without a fitted indicator_")
    seen = Select(inputs=(block,), index=_features(indicator, block.type.width, ctx), origin=ctx.where)
    return IsMissing(inputs=(seen,), sentinel=sentinel, origin=ctx.where)
