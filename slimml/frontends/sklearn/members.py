"""What models make of the answers of models inside of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowerer, Model, Source
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, Recode
from slimml.ir.ops.columns import Cast, Concat, Select
from slimml.ir.types import DType
from slimml.schema import NUMBER


def member(est: object, x: Source, name: str, ctx: Lowerer) -> Model:
    """What a fitted member means on x. Raises UnsupportedEstimatorError for a transformer."""
    lowered = ctx.lower(est, x, name)
    if isinstance(lowered, Node):
        raise ctx.unsupported(f"member {name!r} is no classifier or regressor")
    return lowered


def members(est: Record, x: Source, ctx: Lowerer) -> list[Model]:
    """What the fitted members of `estimators_` mean on x, one or more."""
    fitted = list(est.estimators_)
    if not fitted:
        raise ctx.unsupported(f"{est.name} without fitted members")
    return [member(e, x, f"estimators_[{i}]", ctx) for i, e in enumerate(fitted)]


def of_numbers(x: Source, ctx: Lowerer) -> Source:
    """x, whose raw columns are numbers to every member: check_array has made them so."""
    if isinstance(x, Frame) and set(x.kinds([NUMBER] * x.width)) - {NUMBER}:
        raise ctx.unsupported("columns of categories or texts, which the original reads as numbers")
    return x


def has(model: Model, method: str) -> bool:
    """Whether a model answers a method."""
    return any(o.name == method for o in model.outputs)


def answer(model: Model, method: str, ctx: Lowerer) -> Output:
    """The answer of a method. Raises UnsupportedEstimatorError where there is none."""
    for output in model.outputs:
        if output.name == method:
            return output
    raise ctx.unsupported(f"a member has no {method}")


def encoded(output: Output, ctx: Lowerer) -> Node:
    """An answer as numbers. Members are fitted on positions in `classes_`, prefit ones perhaps on other numbers."""
    (block,) = output.nodes
    if all(np.array_equal(t, np.arange(len(t))) and t.dtype == np.int64 for t in output.labels):
        return block
    if len(output.labels) != 1 or output.labels[0].dtype.kind not in "biuf":
        raise ctx.unsupported(f"a member answers with labels {output.labels[0].tolist()!r:.60}, which are no numbers")
    table = output.labels[0]
    values = table.astype(np.float64 if table.dtype.kind == "f" else np.int64)
    codes = Lookup(inputs=(block,), tables=(tuple(range(len(values))),), refuse=(False,), origin=ctx.where)
    return Recode(
        inputs=(codes,), values=np.append(values, values[-1:]), offsets=np.array([0, len(values) + 1]), origin=ctx.where
    )


def one_number(output: Output, ctx: Lowerer) -> Node:
    """An answer of one number a row, as a block of one column."""
    block = encoded(output, ctx)
    if block.type.width != 1:
        raise ctx.unsupported(f"a member answers {block.type.width} numbers a row")
    return block


def columns(block: Node, index: Sequence[int], ctx: Lowerer) -> Node:
    """Some columns of a block, in that order."""
    if list(index) == list(range(block.type.width)):
        return block
    return Select(inputs=(block,), index=np.asarray(index, dtype=np.int64), origin=ctx.where)


def beside(blocks: Sequence[Node], ctx: Lowerer, layout: str = "dense") -> Node:
    """Blocks side by side."""
    return blocks[0] if len(blocks) == 1 else Concat(inputs=tuple(blocks), layout=layout, origin=ctx.where)


def as_type(dtype: DType, block: Node, ctx: Lowerer) -> Node:
    """A block in another dtype."""
    return block if block.type.dtype == dtype else Cast(inputs=(block,), dtype=dtype, origin=ctx.where)
