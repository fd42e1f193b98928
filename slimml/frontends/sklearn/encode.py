"""OneHotEncoder, OrdinalEncoder and TargetEncoder, with all their policies for odd categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.encode_integers import encoded_integers
from slimml.frontends.sklearn.fields import dtype_name, scalars
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Select
from slimml.schema import CATEGORY, NUMBER

_DTYPES = ("float64", "float32", "int64", "int32", "bool")


@lowers("sklearn.preprocessing._encoders.OneHotEncoder")
def one_hot_encoder(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every policy for unknown, missing, infrequent and dropped categories, sparse and dense."""
    if est.get("_legacy_mode", False):  # 0.20 and 0.21
        return encoded_integers(est, x, "_", ctx)
    tables = _tables(est, x, ctx)
    unknown = est.handle_unknown
    if unknown not in ("error", "ignore", "infrequent_if_exist", "warn"):
        raise ctx.unsupported(f"handle_unknown={unknown!r} is not handled")
    codes = _lookup(tables, x, refuse=unknown == "error", ctx=ctx)
    infrequent = unknown in ("infrequent_if_exist", "warn")
    drop = est.get("_drop_idx_after_grouping", est.get("drop_idx_"))  # the former appears in 1.2
    targets, sizes = [], []
    for i, table in enumerate(tables):
        mapping = _grouped(est, i, len(table))
        # An unknown category sets no column, unless there is an infrequent group for it.
        other = int(mapping.max()) if infrequent and _infrequent(est, i) is not None else -1
        target, size = _without(np.append(mapping, other), None if drop is None else drop[i])
        targets.append(target)
        sizes.append(size)
    sparse = est.get("sparse_output", est.get("sparse", True))  # renamed in 1.2
    return OneHot(
        inputs=(codes,),
        targets=np.concatenate(targets).astype(np.int32) if targets else np.zeros(0, np.int32),
        offsets=_offsets([len(t) for t in targets]),
        sizes=np.array(sizes, dtype=np.int64),
        dtype=_dtype(est, ctx),
        layout="csr" if sparse else "dense",
        origin=ctx.where,
    )


@lowers("sklearn.preprocessing._encoders.OrdinalEncoder")
def ordinal_encoder(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every policy for unknown, missing and infrequent categories."""
    tables = _tables(est, x, ctx)
    unknown = est.get("handle_unknown", "error")  # appears in 0.24
    if unknown not in ("error", "use_encoded_value"):
        raise ctx.unsupported(f"handle_unknown={unknown!r} is not handled")
    codes = _lookup(tables, x, refuse=unknown == "error", ctx=ctx)
    unknown_value = float(est.unknown_value) if unknown == "use_encoded_value" else 0.0
    missing = est.get("_missing_indices") or {}  # appears in 1.0
    values = []
    for i, table in enumerate(tables):
        value = _ordinal(est, i, len(table), missing.get(i)).astype(np.float64)
        if i in missing:
            value[missing[i]] = float(est.get("encoded_missing_value", np.nan))
        values.append(np.append(value, unknown_value))
    dtype = _dtype(est, ctx)
    flat = np.concatenate(values) if values else np.zeros(0)
    block = Recode(inputs=(codes,), values=flat, offsets=_offsets([len(v) for v in values]), origin=ctx.where)
    return block if dtype == "float64" else Cast(inputs=(block,), dtype=dtype, origin=ctx.where)


@lowers("sklearn.preprocessing._target_encoder.TargetEncoder")
def target_encoder(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Binary, multi-class and continuous targets; it answers as `transform` does, not as `fit_transform`."""
    tables = _tables(est, x, ctx)
    codes = _lookup(tables, x, refuse=False, ctx=ctx)
    means = np.atleast_1d(np.asarray(est.target_mean_, dtype=np.float64))
    values = [np.asarray(e, dtype=np.float64) for e in est.encodings_]
    # One column per class and feature, the classes of a feature side by side.
    feature = np.repeat(np.arange(len(tables)), len(means))
    if len(values) != len(feature) or any(len(v) != len(tables[f]) for v, f in zip(values, feature, strict=True)):
        raise ctx.unsupported("encodings_ do not fit categories_ and target_mean_")
    if len(means) > 1:
        codes = Select(inputs=(codes,), index=feature, origin=ctx.where)
    # A category that the training rows did not have is encoded as the mean.
    known = [np.append(v, mean) for v, mean in zip(values, np.tile(means, len(tables)), strict=True)]
    flat = np.concatenate(known) if known else np.zeros(0)
    return Recode(inputs=(codes,), values=flat, offsets=_offsets([len(v) for v in known]), origin=ctx.where)


def _tables(est: Record, x: Source, ctx: Lowerer) -> list[Any]:
    ctx.check_width(est, x)
    tables = list(est.categories_)
    width = x.width if isinstance(x, Frame) else x.type.width
    if len(tables) != width:
        raise ctx.unsupported(f"{est.name} has tables for {len(tables)} columns and is handed {width}")
    return [np.asarray(t) for t in tables]


def _lookup(tables: list[np.ndarray], x: Source, *, refuse: bool, ctx: Lowerer) -> Node:
    """Codes of every column; the table of a numeric column is compared as numbers, any other as Python objects."""
    plain = [scalars(t, ctx) for t in tables]

    def coded(block: Node, at: list[int]) -> Node:
        if block.type.numeric:
            block = ctx.guard(block, "missing")
            if any(isinstance(v, int) and int(float(v)) != v for i in at for v in plain[i]):
                raise ctx.unsupported("categories are integers beyond 2**53, which numbers here cannot tell apart")
        chosen = tuple(plain[i] for i in at)
        return Lookup(inputs=(block,), tables=chosen, refuse=(refuse,) * len(at), origin=ctx.where)

    if isinstance(x, Frame):
        own = [CATEGORY if t.dtype.kind in "OUS" else NUMBER for t in tables]
        kinds = x.kinds(own)
        if ctx.version >= (0, 24):  # before, numbers were strings of no category
            x.compare([i for i, kind in enumerate(kinds) if kind == own[i]])
        x.missing_is_nan([i for i, t in enumerate(plain) if None not in t and any(v != v for v in t)])
        return x.by_kind(kinds, ctx.where, coded) if tables else ctx.floats(x)
    everything = list(range(len(tables)))
    if x.type.numeric:
        return coded(ctx.floats(x), everything)
    return coded(x, everything)


def _infrequent(est: Record, i: int) -> Any:
    # Both appear in 1.1; `_infrequent_enabled` alone says whether the lists mean anything.
    return est.get("_infrequent_indices")[i] if est.get("_infrequent_enabled", False) else None


def _grouped(est: Record, i: int, count: int) -> np.ndarray:
    """The code of each category once infrequent ones share the last."""
    if _infrequent(est, i) is None:
        return np.arange(count)
    return np.asarray(est.get("_default_to_infrequent_mappings")[i], dtype=np.int64)


def _ordinal(est: Record, i: int, count: int, missing: int | None) -> np.ndarray:
    if _infrequent(est, i) is None or missing is None:
        return _grouped(est, i, count)
    # The missing category is left out of the grouping, and keeps its own position, which is the last.
    return np.append(_grouped(est, i, count), missing)


def _without(codes: np.ndarray, drop: Any) -> tuple[np.ndarray, int]:
    """Target columns once column `drop` is gone, and how many are left. -1 stays -1."""
    size = int(codes[:-1].max(initial=-1)) + 1
    if drop is None:
        return codes, size
    dropped = int(drop)
    kept = np.where(codes > dropped, codes - 1, codes)
    return np.where(codes == dropped, -1, kept), size - 1


def _offsets(sizes: list[int]) -> np.ndarray:
    return np.cumsum([0, *sizes]).astype(np.int64)


def _dtype(est: Record, ctx: Lowerer) -> Any:
    name = dtype_name(est.dtype, ctx)
    if name not in _DTYPES:
        raise ctx.unsupported(f"{est.name} with dtype={name} is not handled")
    return name
