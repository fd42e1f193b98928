"""Pipeline, ColumnTransformer, FeatureUnion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import inverts, lowers
from slimml.frontends.sklearn.fields import steps_of
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Constant, Select
from slimml.ir.ops.numeric import Multiply
from slimml.schema import NUMBER

_NO_STEP = (None, "passthrough")
# What a Pipeline hands on to its last step (pipeline.py); others that the step has, it has not.
_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")


@lowers("sklearn.pipeline.Pipeline")
def pipeline(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every step in turn; None and "passthrough" are no step. Its methods are those of the last."""
    steps = [s for s in steps_of(est, "steps", ctx) if not _is_word(s[1], *_NO_STEP)]
    for name, step, *_ in steps[:-1]:
        x = ctx.transform(step, x, name)
    if not steps:
        return as_block(x, ctx)
    name, last, *_ = steps[-1]
    lowered = ctx.lower(last, x, name)
    if isinstance(lowered, Node):
        return lowered
    return replace(lowered, outputs=tuple(o for o in lowered.outputs if o.name in _METHODS))


@inverts("sklearn.pipeline.Pipeline")
def pipeline_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    for name, step, *_ in reversed(steps_of(est, "steps", ctx)):
        if not _is_word(step, *_NO_STEP):
            x = ctx.inverse(step, x, name)
    return x


@lowers(
    "sklearn.compose._column_transformer.ColumnTransformer",
    "sklearn.compose.column_transformer.ColumnTransformer",
)
def column_transformer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Columns by name, position, mask, slice or callable; weights; the remainder; sparse as the original."""
    ctx.check_width(est, x)
    weights = dict(est.get("transformer_weights") or {})
    blocks = []
    for name, step, columns in steps_of(est, "transformers_", ctx):
        index = _positions(est, name, columns, x, ctx)
        if _is_word(step, "drop") or not len(index):
            continue
        part = _select(
            x, index, ctx, flat=isinstance(columns, str | int | np.integer) and not isinstance(columns, bool)
        )
        if _is_word(step, "passthrough"):  # before 1.4; then a FunctionTransformer without a function
            block = as_block(part, ctx)
        else:
            block = ctx.transform(step, part, name)
        blocks.append(_weighted(block, weights.get(name), ctx))
    return _stacked(blocks, x, sparse=bool(est.sparse_output_), ctx=ctx)


@lowers("sklearn.pipeline.FeatureUnion")
def feature_union(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Transformers side by side, weighted, dropped or passed through."""
    weights = dict(est.get("transformer_weights") or {})
    blocks = []
    for name, step, *_ in steps_of(est, "transformer_list", ctx):
        if step is None or _is_word(step, "drop"):
            continue
        block = as_block(x, ctx) if _is_word(step, "passthrough") else ctx.transform(step, x, name)
        blocks.append(_weighted(block, weights.get(name), ctx))
    return _stacked(blocks, x, sparse=any(b.type.layout == "csr" for b in blocks), ctx=ctx)


def as_block(x: Source, ctx: Lowerer) -> Node:
    """x unchanged, as a block: numbers where all columns are, else objects, as numpy stacks a frame."""
    if isinstance(x, Node):
        return x
    kinds = x.kinds([NUMBER] * x.width)
    return x.floats(ctx.where) if all(k == NUMBER for k in kinds) else x.objects(kinds, ctx.where)


def _is_word(value: Any, *words: str | None) -> bool:
    # Records are never compared with anything: their equality is identity, but a numpy array's is elementwise.
    return (value is None or isinstance(value, str)) and value in words


def _select(x: Source, index: list[int], ctx: Lowerer, *, flat: bool) -> Source:
    if isinstance(x, Frame):
        return x.select(index, flat=flat)
    if flat:
        raise ctx.unsupported("a single column handed over as a vector, of what another step made, is not handled")
    return Select(inputs=(x,), index=np.asarray(index, dtype=np.int64), origin=ctx.where)


def _positions(est: Record, name: str, columns: Any, x: Source, ctx: Lowerer) -> list[int]:
    """The columns of a step as positions: the original resolved names, slices, masks and callables when it fitted."""
    width = x.width if isinstance(x, Frame) else x.type.width
    resolved = est.get("_transformer_to_input_indices")
    index = resolved.get(name) if isinstance(resolved, dict) else None
    if index is None:
        index = _resolved(columns, x, ctx)
    positions = [int(i) for i in index]
    if not all(-width <= i < width for i in positions):
        raise ctx.unsupported(f"step {name!r} reads a column beyond the {width} that come in")
    return [i % width for i in positions]


def _resolved(columns: Any, x: Source, ctx: Lowerer) -> Any:
    names = list(x.names) if isinstance(x, Frame) else []
    width = x.width if isinstance(x, Frame) else x.type.width
    if isinstance(columns, slice):
        start, stop = columns.start, columns.stop
        if isinstance(start, str) or isinstance(stop, str):  # label slices include their end
            start = names.index(start) if start is not None else None
            stop = names.index(stop) + 1 if stop is not None else None
        return range(width)[slice(start, stop, columns.step)]
    if isinstance(columns, str | int | np.integer):
        columns = [columns]
    if not isinstance(columns, list | tuple | np.ndarray):
        raise ctx.unsupported(f"columns {columns!r:.60} are not resolved in the file")
    keys = list(columns)
    if keys and all(isinstance(k, bool | np.bool_) for k in keys):
        return np.flatnonzero(keys)
    if any(isinstance(k, str) for k in keys):
        missing = [k for k in keys if k not in names]
        if missing:
            raise ctx.unsupported(f"columns {missing} are not among the names that come in")
        return [names.index(k) for k in keys]
    return keys


def _weighted(block: Node, weight: Any, ctx: Lowerer) -> Node:
    if weight is None:
        return block
    # numpy 2, which 1.4 was the first to take, multiplies float32 with a float64 of its own in float64.
    strong = isinstance(weight, np.float64) and ctx.version >= (1, 4)
    numbers = ctx.floats(block, csr=True, narrow=not strong)
    value = np.full(numbers.type.width, float(weight), dtype=numbers.type.dtype)
    return Multiply(inputs=(numbers,), value=value, origin=ctx.where)


def _stacked(blocks: list[Node], x: Source, *, sparse: bool, ctx: Lowerer) -> Node:
    if not blocks:
        source = x if isinstance(x, Node) else as_block(x.select(range(x.width)), ctx)
        return Constant(inputs=(source,), value=np.zeros(0), origin=ctx.where)
    if sparse:
        blocks = [b if b.type.numeric else Cast(inputs=(b,), dtype="float64", origin=ctx.where) for b in blocks]
    layout = "csr" if sparse else "dense"
    if len(blocks) == 1 and blocks[0].type.layout == layout:
        return blocks[0]
    return Concat(inputs=tuple(blocks), layout=layout, origin=ctx.where)
