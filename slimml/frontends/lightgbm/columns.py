"""The block of numbers that a booster reads, of raw columns or of a step before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowerer, Source
from slimml.frontends.sklearn.fields import scalars
from slimml.ingest.lightgbm import ModelText
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, Recode
from slimml.ir.ops.columns import Cast
from slimml.schema import CATEGORY, FLOAT32, NUMBER, ZERO


def features(est: Record, model: ModelText, x: Source, ctx: Lowerer) -> Node:
    """All features as dense float64, missing values and infinities as they come."""
    ctx.check_width(est, x)
    if not isinstance(x, Frame):
        if x.type.numeric and x.type.dtype not in ("float64", "float32"):
            # _np2d_to_np1d: an array that holds no floats becomes one of float32.
            x = Cast(inputs=(x,), dtype="float32", origin=ctx.where)
        return ctx.floats(x, sparse=ZERO)
    tables = _pandas_tables(est, model, ctx)
    if not tables:
        # _np2d_to_np1d here too.
        return ctx.floats(x, sparse=ZERO, integers=FLOAT32)
    of_column = dict(zip(_pandas_columns(model, len(tables), x, ctx), tables, strict=True))
    for at in of_column:
        # Only a column of this dtype is taken for categories (_data_from_pandas).
        x.table.kinds[x.columns[at]] = CATEGORY
        x.table.dtypes[x.columns[at]] = "category"

    def numbers(block: Node, at: list[int]) -> Node:
        if at[0] not in of_column:
            return block
        return _codes(block, [of_column[i] for i in at], ctx)

    kinds = [CATEGORY if i in of_column else NUMBER for i in range(x.width)]
    # A frame's categories are looked up; an array's numbers are codes, which are refused.
    return x.by_kind(kinds, ctx.where, numbers, codes=((),) * x.width)


def _codes(block: Node, tables: list[tuple[object, ...]], ctx: Lowerer) -> Node:
    """The position of each value among its column's categories; NaN for any other, and where it is missing."""
    codes = Lookup(inputs=(block,), tables=tuple(tables), refuse=(False,) * len(tables), origin=ctx.where)
    values = [np.append(np.arange(len(t), dtype=np.float64), np.nan) for t in tables]
    offsets = np.cumsum([0] + [len(v) for v in values]).astype(np.int64)
    return Recode(inputs=(codes,), values=np.concatenate(values), offsets=offsets, origin=ctx.where)


def _pandas_tables(est: Record, model: ModelText, ctx: Lowerer) -> list[tuple[object, ...]]:
    """The categories of each pandas column of categories that the model was fitted on."""
    kept: Any = est.get("pandas_categorical")
    kept = model.pandas if kept is None else kept
    tables = [scalars(table, ctx) for table in kept or []]
    if any(v is None or v != v for table in tables for v in table):
        raise ctx.unsupported("a pandas column of categories has a missing one")
    return tables


def _pandas_columns(model: ModelText, count: int, x: Frame, ctx: Lowerer) -> list[int]:
    """Which columns were pandas categories, in order.

    The file does not say: the declared categorical features are, where there are as many (ordered categories are
    codes, but not declared); else the columns of the user's data that hold no numbers.
    """
    declared = sorted(set(model.categorical))
    if len(declared) == count and declared[-1] < x.width:
        return declared
    shown = [i for i, c in enumerate(x.columns) if x.table.dtypes.get(c) == "category"]
    shown = shown or [i for i, c in enumerate(x.columns) if x.table.kinds.get(c, NUMBER) == CATEGORY]
    if len(shown) == count:
        return shown
    raise ctx.unsupported(
        f"the file does not say which {count} columns were pandas categories; --data in which these have that dtype "
        "(Parquet keeps it) tells"
    )
