"""LabelEncoder and LabelBinarizer: labels to numbers. Both take one column, as a list or a 1-D array."""

from __future__ import annotations

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import labels, scalars
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Select
from slimml.ir.ops.numeric import Guard, Multiply, Sum
from slimml.schema import CATEGORY

# Beyond it a double is no int64; a float64 holds it exactly.
_INT64 = 2.0**63 - 1024


@lowers(*moved("sklearn.preprocessing._label", "LabelEncoder"), vector=True)
def label_encoder(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Labels that are numbers, bools, strings or objects; one that was never seen is refused.

    A string is looked up as it is, where the original first cuts it to the length of the longest class.
    """
    classes = labels(est.classes_, ctx)
    block = _values(classes, x, ctx)
    kind = classes.dtype.kind
    if kind in "iu":
        block = _truncated(block, ctx)
    elif kind == "b":
        block = Cast(inputs=(block,), dtype="bool", origin=ctx.where)
    elif classes.dtype == np.float32:
        block = Cast(inputs=(block,), dtype="float32", origin=ctx.where)
    codes = _codes(classes, block, ctx, refuse=True)
    return Model((Output("transform", (Cast(inputs=(codes,), dtype="int64", origin=ctx.where),), "vector"),))


@lowers(*moved("sklearn.preprocessing._label", "LabelBinarizer"), vector=True)
def label_binarizer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Two and more classes, dense and sparse; of a label that was never seen no column is set.

    One class, and several labels a row, are refused. Rows are answered one by one: the original takes three distinct
    values, some of them unseen, for another kind of target than two.
    """
    classes = labels(est.classes_, ctx)
    low, high, sparse = int(est.neg_label), int(est.pos_label), bool(est.sparse_output)
    if est.get("y_type_", "multiclass") not in ("binary", "multiclass") or len(classes) < 2:
        raise ctx.unsupported(f"a LabelBinarizer of {len(classes)} classes, fitted on {est.get('y_type_')!r:.40}")
    if low >= high or (sparse and (low, high) != (0, 1)):
        raise ctx.unsupported(f"neg_label={low}, pos_label={high}, sparse_output={sparse} is not handled")
    block = _values(classes, x, ctx)
    block = _whole(block, ctx) if block.type.numeric else _guarded(block, np.inf, ctx)
    codes = _codes(classes, block, ctx, refuse=False)
    targets = np.append(np.arange(len(classes)), -1)
    if len(classes) == 2:  # one column, which says whether it is the second
        targets -= 1
        targets[-1] = -1
    width = int(targets.max()) + 1
    if (low, high) == (0, 1):
        layout = "csr" if sparse else "dense"
        return OneHot(
            inputs=(codes,),
            targets=targets.astype(np.int32),
            offsets=np.array([0, len(targets)]),
            sizes=np.array([width]),
            dtype="int64",
            layout=layout,
            origin=ctx.where,
        )
    values = np.where(targets == np.arange(width)[:, None], high, low).ravel()
    each = Select(inputs=(codes,), index=np.zeros(width, dtype=np.int64), origin=ctx.where)
    offsets = np.arange(width + 1) * len(targets)
    return Recode(inputs=(each,), values=values.astype(np.int64), offsets=offsets, origin=ctx.where)


def _values(classes: np.ndarray, x: Source, ctx: Lowerer) -> Node:
    """The column: numbers where the classes are, else objects, none of them NaN."""
    if not isinstance(x, Frame) or x.width != 1:
        raise ctx.unsupported("labels that are not one raw column")
    if classes.dtype.kind in "biuf":
        return ctx.floats(x)
    kinds = x.kinds([CATEGORY])
    if kinds != [CATEGORY]:
        raise ctx.unsupported("labels that are objects, of a column of numbers")
    return x.by_kind(kinds, ctx.where, lambda block, _: block)


def _codes(classes: np.ndarray, block: Node, ctx: Lowerer, *, refuse: bool) -> Node:
    table = scalars(classes, ctx)
    if block.type.numeric and any(isinstance(v, int) and int(float(v)) != v for v in table):
        raise ctx.unsupported("classes are integers beyond 2**53, which numbers here cannot tell apart")
    return Lookup(inputs=(block,), tables=(table,), refuse=(refuse,), origin=ctx.where)


def _truncated(block: Node, ctx: Lowerer) -> Node:
    """Numbers as int64: the original casts them to the dtype of its classes, which cuts 1.7 to 1."""
    return Cast(inputs=(_guarded(block, _INT64, ctx),), dtype="int64", origin=ctx.where)


def _whole(block: Node, ctx: Lowerer) -> Node:
    """The block, where each number is whole: others the original takes for a continuous target, which it refuses."""
    whole = Cast(inputs=(_truncated(block, ctx),), dtype="float64", origin=ctx.where)
    minus = Multiply(inputs=(whole,), value=np.array([-1.0]), origin=ctx.where)
    rest = Sum(inputs=(block, minus), origin=ctx.where)
    return Sum(inputs=(whole, _guarded(rest, 0.0, ctx)), origin=ctx.where)


def _guarded(block: Node, bound: float, ctx: Lowerer) -> Node:
    high = np.array([bound])
    return Guard(inputs=(block,), low=-high, high=high, missing=np.array([False]), origin=ctx.where)
