"""Columns picked, tables read at computed places, and what is added up over them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.frontends.onnx.ensemble import without_leading_leaves
from slimml.frontends.onnx.trees import MOST_VALUES
from slimml.frontends.onnx.values import Codes, Counts, RowSum, Step, Tensor, Terms, Value, operator
from slimml.ir.node import Node
from slimml.ir.ops.categories import Recode
from slimml.ir.ops.columns import Select


@operator("", "Gather")
def gather(step: Step) -> tuple[Value]:
    """Columns of a block; rows or entries of a constant at places that are computed."""
    axis, first = step.whole("axis", 0), step.given[0]
    if isinstance(first, Terms):
        return (_last(step, first, axis),)
    if len(step.given) > 1 and isinstance(step.given[1], Counts) and not axis:
        return (_tabled(step, step.given[1]),)
    if isinstance(first, Tensor):
        return (_columns(step, first, axis),)
    table, at = step.constant(0), step.tensor(1)
    if axis:
        raise step.unsupported("another axis of a constant than the first")
    if at.forest is not None and table.ndim == 2:
        return (_terms(step, at, table),)
    if table.ndim == 2:
        raise step.unsupported("rows of a table at computed places, as slimml writes linear heads that read categories")
    if table.ndim != 1 or not len(table):
        raise step.unsupported(f"a constant of {table.ndim} axes")
    if at.codes is not None and table.dtype.kind in "fiu":
        return (_read(step, at.codes, table),)
    return (_label(step, at, table),)


def _columns(step: Step, block: Tensor, axis: int) -> Tensor:
    index = step.constant(1)
    if axis not in (1, -1) or block.axes != 2 or block.table is not None or index.ndim != 1 or not len(index):
        raise step.unsupported("anything but columns of a table")
    width = block.node.type.width
    if index.dtype.kind != "i" or index.min() < -width or index.max() >= width:
        raise step.unsupported("columns that are not there")
    return picked(step, block, np.where(index < 0, index + width, index).astype(np.int64))


def picked(step: Step, block: Tensor, index: np.ndarray) -> Tensor:
    """Some columns of a block."""
    codes = block.codes
    if codes is not None:
        codes = Codes(_select(codes.node, index, step.ctx.where), codes.shift[index])
    return Tensor(_select(block.node, index, step.ctx.where), codes=codes)


def _select(node: Node, index: np.ndarray, origin: str) -> Node:
    if isinstance(node, Recode):
        ends = [np.arange(a, b) for a, b in zip(node.offsets[:-1], node.offsets[1:], strict=True)]
        chosen = [ends[i] for i in index.tolist()]
        offsets = np.cumsum([0, *map(len, chosen)]).astype(np.int64)
        if offsets[-1] <= MOST_VALUES:
            source = _select(node.inputs[0], index, origin)
            return Recode(inputs=(source,), values=node.values[np.concatenate(chosen)], offsets=offsets, origin=origin)
    return Select(inputs=(node,), index=index, origin=origin)


def _read(step: Step, codes: Codes, table: np.ndarray) -> Tensor:
    """An entry for each code."""
    parts = []
    for domain, shift in zip(codes.node.type.domains, codes.shift.tolist(), strict=True):
        first, last = shift, shift + int(domain.high)
        if first < 0 or last >= len(table):
            raise step.unsupported("places that a table does not have")
        parts.append(table[first : last + 1])
    if sum(map(len, parts)) > MOST_VALUES:
        raise step.unsupported("tables of too many entries")
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return Tensor(Recode(inputs=(codes.node,), values=np.concatenate(parts), offsets=offsets, origin=step.ctx.where))


def _tabled(step: Step, counts: Counts) -> Counts:
    """What stands for each count, in a table for each column."""
    table, shift, sizes = step.constant(0), counts.shift, np.array([len(c) + 1 for c in counts.cuts])
    if table.dtype != np.float64 or table.ndim != 1 or shift is None or shift.shape != sizes.shape or counts.tables:
        raise step.unsupported("tables of ranks that do not fit")
    starts = np.where(np.isfinite(shift), shift, -1).astype(np.int64)
    if (starts != shift).any() or (starts < 0).any() or (starts + sizes > len(table)).any():
        raise step.unsupported("tables of ranks that end before their columns")
    return replace(counts, tables=tuple(table[a : a + n] for a, n in zip(starts.tolist(), sizes.tolist(), strict=True)))


def _label(step: Step, at: Tensor, table: np.ndarray) -> Tensor:
    if at.table is not None or at.node.type.dtype not in ("int64", "int32") or at.node.type.width != 1:
        raise step.unsupported("a constant at places that are no integers")
    (domain,) = at.node.type.domains
    if not (0 <= domain.low and domain.high < len(table)):
        raise step.unsupported("a constant at places that it may not have")
    return Tensor(at.node, at.axes, table.astype(str) if table.dtype.kind == "O" else table)


def _terms(step: Step, at: Tensor, table: np.ndarray) -> Terms:
    """Rows of leaf values, by the number of the row that each tree answers."""
    assert at.forest is not None  # the caller has seen it
    trees = at.forest.trees
    each = np.array_equal(trees.targets, np.arange(trees.count)) if trees.count > 1 else len(trees.base) == 1
    rows = trees.values[:, 0] if trees.values.shape[1] == 1 else np.full(1, -1.0)
    if not each or (rows != np.floor(rows)).any() or rows.min() < 0 or rows.max() >= len(table) or trees.base.any():
        raise step.unsupported("rows of a constant at places that trees do not have one each")
    if table.dtype.kind != "f" or not table.shape[1] or not np.isfinite(table).all():
        raise step.unsupported("rows of what are no numbers")
    return Terms(at.forest, table)


@operator("", "CumSum")
def cumulated(step: Step) -> tuple[Value]:
    """The sums of the trees so far."""
    terms, axis = step.given[0], step.constant(1).reshape(-1).tolist()
    if (
        not isinstance(terms, Terms)
        or terms.added
        or axis != [1]
        or step.whole("exclusive", 0)
        or step.whole("reverse", 0)
    ):
        raise step.unsupported("of anything but rows that trees answer")
    return (Terms(terms.forest, terms.values, added=True),)


def _last(step: Step, terms: Terms, axis: int) -> Tensor:
    at, trees = step.constant(1), terms.forest.trees
    if not terms.added or axis != 1 or at.shape or at.dtype.kind != "i" or int(at) not in (-1, trees.count - 1):
        raise step.unsupported("of rows that trees answer anything but the sum of all")
    rows = trees.values[:, 0].astype(np.int64)
    values = terms.values[rows]
    base = np.zeros(values.shape[1], dtype=values.dtype)
    # Sums start at the first term: a sum of negative zeros is one.
    base[(np.signbit(values) & (values == 0)).any(axis=0)] = -0.0
    whole = replace(trees, values=values, targets=np.zeros(0, dtype=np.int32), base=base)
    return Tensor(replace(terms.forest, trees=without_leading_leaves(whole)))


@operator("", "ReduceSum")
def summed(step: Step) -> tuple[Value]:
    """The sum of each row; of cuts below a value how many they are."""
    if isinstance(step.given[0], Counts) and step.constant(1).reshape(-1).tolist() == [1] and step.whole("keepdims", 1):
        return (step.given[0],)
    node, axes = step.same_floats(), step.constant(1).reshape(-1).tolist()
    if axes not in ([1], [-1]) or not step.whole("keepdims", 1) or step.whole("noop_with_empty_axes", 0):
        raise step.unsupported("over anything but the columns")
    return (RowSum(node),)
