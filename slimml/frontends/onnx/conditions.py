"""Comparisons with constants, and what is made of them: numbers, fillings, one-hot columns.

A comparison stays a Condition until something reads it, because what reads it tells what it means: `x` where it is not
missing and a constant elsewhere is an imputer, a share of a row's sum where that is not 0 a normalizer.
"""

from __future__ import annotations

import math

import numpy as np

from slimml.frontends.onnx.values import (
    Codes,
    Condition,
    Counts,
    Matches,
    RowSum,
    Step,
    Tensor,
    Value,
    as_dtype,
    one_each,
    operator,
)
from slimml.ir.node import Node
from slimml.ir.forest import MISSING
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Select
from slimml.ir.ops.ranks import Rank
from slimml.ir.ops.heads import IsPositive
from slimml.ir.ops.numeric import Add, Binarize, Clip, FillMissing, IsMissing, Multiply

NAN = float("nan")
_SIDES = {"Greater": ("above", False), "Less": ("below", False), "GreaterOrEqual": ("above", True),
          "LessOrEqual": ("below", True)}  # fmt: skip
# The texts that a missing cell turns into where a tensor of strings is made of it.
_MISSING_TEXTS: dict[str, object] = {"nan": NAN, "None": None}


@operator("", "IsNaN")
def is_nan(step: Step) -> tuple[Value]:
    """Where a number is missing."""
    step.same_floats()
    return (Condition("missing", step.tensor()),)


@operator("", "Not")
def negation(step: Step) -> tuple[Value]:
    """The other side of a comparison; NaN is on it."""
    given = step.condition()
    return (Condition(given.test, given.tensor, given.value, not given.negated),)


@operator("", "Equal")
def equal(step: Step) -> tuple[Value]:
    """Where cells, or sums of rows, are a constant."""
    first = step.given[0]
    if isinstance(first, Tensor) and len(step.given) > 1 and step.given[1] is first:
        return (Condition("itself", first),)
    value = step.constant(1)
    if isinstance(first, RowSum):
        if value.size != 1 or value.reshape(-1)[0] != 0 or first.empty is not None:
            raise step.unsupported("the sum of a row with another number than 0")
        return (Condition("empty", Tensor(first.node)),)
    found = step.tensor()
    if value.ndim == 2 and value.shape[0] == 1:
        value = value[0]
    width = found.node.type.width
    if width == 1 and value.ndim == 1 and value.size > 1 and value.dtype.kind == "f" and found.node.type.numeric:
        return (Matches(found.node, tuple(_key(v, i, value[:i]) for i, v in enumerate(value.tolist()))),)
    if found.table is not None or found.axes != 2 or value.ndim > 1 or value.size not in (1, width):
        raise step.unsupported("labels, or columns with constants of another number")
    if (value.dtype.kind == "O") == found.node.type.numeric:
        raise step.unsupported("numbers with strings")
    return (Condition("equal", found, value),)


@operator("", "Greater", "Less", "GreaterOrEqual", "LessOrEqual")
def ordered(step: Step) -> tuple[Value]:
    """Where numbers lie on one side of a constant. The negation of the other side would take NaN along."""
    node, value = step.same_floats(), step.constant(1)
    test, reached = _SIDES[step.onnx.op]
    if step.onnx.op == "Greater" and node.type.width == 1 and value.shape == (1, value.size) and value.size > 1:
        return (_counts(step, node, value[0]),)
    value = one_each(step, value, node.type.width, node.type.dtype, "a constant")
    if np.isnan(value).any() or (reached and (value == (-np.inf if test == "above" else np.inf)).any()):
        raise step.unsupported("with what every number reaches")
    if reached:
        # x >= c is x > the number below c.
        value = np.nextafter(value, value.dtype.type(-np.inf if test == "above" else np.inf))
    return (Condition(test, step.tensor(), value.astype(node.type.dtype)),)


def _key(value: float, place: int, before: np.ndarray) -> object:
    return value if value == value and value not in before else f"nothing {place}"


def _counts(step: Step, node: Node, cuts: np.ndarray) -> Counts:
    if cuts.dtype != node.type.dtype or not (np.diff(cuts) > 0).all():
        raise step.unsupported("with constants that do not rise")
    # The column of a block that a Select takes out of it.
    whole = node if not isinstance(node, Select) else node.inputs[0]
    column = 0 if whole is node else int(node.index[0])  # type: ignore[attr-defined]
    return Counts(whole, (column,), (cuts,))


@operator("", "And")
def both(step: Step) -> tuple[Value]:
    """What is missing, among keys of which some stand for it."""
    given, mask = step.condition(), step.constant(1).reshape(-1)
    node = given.tensor.node
    if given.test != "missing" or given.negated or node.type.width != 1 or mask.dtype != np.bool_:
        raise step.unsupported("of anything but missing values and a constant")
    first = int(np.argmax(mask))
    return (Matches(node, tuple(NAN if m and i == first else f"nothing {i}" for i, m in enumerate(mask))),)


@operator("", "Or")
def either(step: Step) -> tuple[Value]:
    """Keys and a missing one; or what always holds."""
    one, other = (step.given[i] if i < len(step.given) else None for i in (0, 1))
    if isinstance(one, Condition) and isinstance(other, Condition) and one.test == other.test == "itself":
        if one.tensor is other.tensor and one.negated != other.negated:
            return (Condition("always", one.tensor),)
    one = as_matches(one)
    if not isinstance(one, Matches) or not isinstance(other, Matches) or one.node is not other.node:
        raise step.unsupported("of other than the keys of one column")
    pairs = zip(one.keys, other.keys, strict=False)
    if len(one.keys) != len(other.keys):
        raise step.unsupported("of keys of two numbers")
    return (Matches(one.node, tuple(b if isinstance(a, str) else a for a, b in pairs)),)


def as_matches(value: Value | None) -> Value | None:
    """The comparison with a single key, as one with keys."""
    if isinstance(value, Condition) and value.test == "equal" and not value.negated and value.value is not None:
        node = value.tensor.node
        if node.type.width == 1 and value.value.size == 1 and value.value.dtype.kind == "f":
            return Matches(node, (_key(float(value.value.reshape(-1)[0]), 0, value.value[:0]),))
    return value


def matched(step: Step, matches: Matches) -> Tensor:
    """The place of the first key that is met; behind the last one where none is."""
    if not matches.closed:
        raise step.unsupported("of keys of which a value may meet none")
    node = Lookup(inputs=(matches.node,), tables=(matches.keys,), refuse=(False,), origin=step.ctx.where)
    made = Cast(inputs=(node,), dtype="int64", origin=step.ctx.where)
    return Tensor(made, codes=Codes(node, np.zeros(1, dtype=np.int64)))


def _ranked(step: Step, given: Condition, then: Value | None, counts: Counts) -> Tensor:
    """The rank of each column of a block; -1 of what is missing."""
    node, width = given.tensor.node, given.tensor.node.type.width
    if given.test != "missing" or node is not counts.node or counts.columns != tuple(range(width)):
        raise step.unsupported("of the counts of another block")
    if not isinstance(then, np.ndarray) or then.size != 1 or float(then.reshape(-1)[0]) != MISSING:
        raise step.unsupported("anything but -1 in place of missing counts")
    if (counts.shift is not None) != bool(counts.tables):
        raise step.unsupported("places in tables that are not read")
    table = np.concatenate(counts.tables) if counts.tables else np.zeros(0)
    if (table != np.floor(table)).any() or (np.abs(table) >= 2**30).any() or (table < MISSING).any():
        raise step.unsupported("a table of what are no ranks")
    offsets = np.cumsum([0, *map(len, counts.cuts)]).astype(np.int64)
    cuts = np.concatenate(counts.cuts) + counts.cuts[0].dtype.type(0)
    rank = Rank(inputs=(node,), cuts=cuts, offsets=offsets, table=table.astype(np.int32), origin=step.ctx.where)
    return Tensor(Cast(inputs=(rank,), dtype="float64", origin=step.ctx.where))


@operator("", "Where")
def where(step: Step) -> tuple[Value]:
    """A constant where a condition holds, and else the very block that it is asked of."""
    given = step.condition()
    then, other = (step.given[i] if i < len(step.given) else None for i in (1, 2))
    if given.negated:
        then, other = other, then
    origin = step.ctx.where
    if isinstance(other, Counts):
        return (_ranked(step, given, then, other),)
    if isinstance(other, RowSum) and isinstance(then, np.ndarray) and then.size == 1 and given.test == "empty":
        if other.node is given.tensor.node and float(then.reshape(-1)[0]) == 1:
            return (RowSum(other.node, 1.0),)
    if isinstance(other, Tensor) and isinstance(then, np.ndarray) and other.node is given.tensor.node:
        node = other.node
        if given.test == "missing":
            fill = one_each(step, then, node.type.width, node.type.dtype, "a constant").tolist()
            return (Tensor(FillMissing(inputs=(node,), sentinel=NAN, fill=tuple(fill), origin=origin)),)
        if given.test == "equal" and given.value is not None and given.value.size == 1 and then.size == 1:
            return (Tensor(_filled(step, node, given.value.reshape(-1)[0], then.reshape(-1)[0])),)
        if given.test == "below" and isinstance(node, Cast) and isinstance(node.inputs[0], Rank):
            if given.value is not None and not given.value.any():
                # The only rank below 0 is that of what is missing.
                fill = one_each(step, then, node.type.width, node.type.dtype, "a constant").tolist()
                return (Tensor(FillMissing(inputs=(node,), sentinel=-1.0, fill=tuple(fill), origin=origin)),)
        if given.test in ("above", "below") and then.size == 1:
            return (Tensor(_clipped(step, given, float(then.reshape(-1)[0]))),)
    raise step.unsupported("of anything but a constant in place of some values of a block")


def _filled(step: Step, node: Node, sentinel: object, fill: object) -> Node:
    values = (fill if not node.type.numeric else float(fill),) * node.type.width  # type: ignore[arg-type]
    if node.type.numeric:
        return FillMissing(inputs=(node,), sentinel=float(sentinel), fill=values, origin=step.ctx.where)  # type: ignore[arg-type]
    for said in (sentinel, *([_MISSING_TEXTS[str(sentinel)]] if sentinel in _MISSING_TEXTS else [])):
        node = FillMissing(inputs=(node,), sentinel=said, fill=values, origin=step.ctx.where)
    return node


def _clipped(step: Step, given: Condition, fill: float) -> Node:
    """A bound in place of what lies beyond it: NaN stays."""
    node, value = given.tensor.node, given.value
    if value is None or len(np.unique(value)) != 1:
        raise step.unsupported("bounds that are not those of a block")
    end = float(value[0])
    # Where x <= low gives low, or x < low does: the same.
    if fill not in (end, float(np.nextafter(value[:1], -np.inf if given.test == "below" else np.inf)[0])):
        raise step.unsupported("a constant that is no bound")
    low, high = (fill, np.inf) if given.test == "below" else (-np.inf, fill)
    return Clip(inputs=(node,), low=low, high=high, origin=step.ctx.where)


def as_numbers(step: Step, given: Condition, dtype: str) -> Node:
    """1 where a condition holds and 0 elsewhere."""
    node, origin = given.tensor.node, step.ctx.where
    if given.test == "missing":
        made: Node = IsMissing(inputs=(node,), sentinel=NAN, origin=origin)
    elif given.test == "equal":
        made = _equals(step, given, dtype)
    elif given.test in ("above", "below"):
        made = _beyond(step, given)
    else:
        raise step.unsupported("whether rows are empty, as numbers")
    made = as_dtype(made, dtype, step.ctx)
    if not given.negated:
        return made
    if dtype not in ("float32", "float64"):
        raise step.unsupported("the negation of a condition as integers")
    ones = np.ones(made.type.width, dtype=dtype)
    return Add(inputs=(Multiply(inputs=(made,), value=-ones, origin=origin),), value=ones, origin=origin)


def _beyond(step: Step, given: Condition) -> Node:
    node, value, origin = given.tensor.node, given.value, step.ctx.where
    assert value is not None  # comparisons have one
    if given.test == "below":
        node = Multiply(inputs=(node,), value=np.full(node.type.width, -1, dtype=value.dtype), origin=origin)
        value = -value
    if not value.any():
        return IsPositive(inputs=(node,), origin=origin)
    tiny = np.nextafter(value.dtype.type(0), value.dtype.type(-1))
    if (value == tiny).all():
        return IsPositive(inputs=(node,), or_zero=True, origin=origin)
    if len(np.unique(value)) == 1:
        return Binarize(inputs=(node,), threshold=float(value[0]), origin=origin)
    columns = [Select(inputs=(node,), index=np.array([c]), origin=origin) for c in range(node.type.width)]
    parts = [Binarize(inputs=(x,), threshold=float(t), origin=origin) for x, t in zip(columns, value, strict=True)]
    return Concat(inputs=tuple(parts), origin=origin)


def _equals(step: Step, given: Condition, dtype: str) -> Node:
    found, value, origin = given.tensor, given.value, step.ctx.where
    assert value is not None  # comparisons have one
    if isinstance(found.node, Recode) and found.node.values.dtype.kind in "iu":
        return _coded(found.node, np.broadcast_to(value, (found.node.type.width,)), dtype, origin)
    if value.size != 1:
        raise step.unsupported("each column with a constant of its own")
    sentinel = value.reshape(-1)[0]
    if isinstance(sentinel, str):
        if sentinel in _MISSING_TEXTS:
            raise step.unsupported(f"whether strings are {sentinel!r}, which missing ones turn into")
        return IsMissing(inputs=(found.node,), sentinel=sentinel, origin=origin)
    if math.isnan(float(sentinel)):
        raise step.unsupported("with NaN, which nothing equals")
    return IsMissing(inputs=(found.node,), sentinel=float(sentinel), origin=origin)


def _coded(node: Recode, wanted: np.ndarray, dtype: str, origin: str) -> Node:
    """Which columns of numbers by code are a constant, by the codes alone; groups of one-hot columns where they are."""
    source, pick = node.inputs[0], np.arange(node.type.width)
    if isinstance(source, Select):
        source, pick = source.inputs[0], source.index
    edges = np.flatnonzero(np.diff(pick)) + 1
    owners, sizes = pick[np.r_[0, edges]], np.diff(np.r_[0, edges, len(pick)])
    within = np.arange(len(pick)) - np.repeat(np.r_[0, edges], sizes)
    tables = [node.values[a:b] for a, b in zip(node.offsets[:-1], node.offsets[1:], strict=True)]
    firsts = np.r_[0, edges]
    fits = all(len(tables[f]) >= n and tables[f].max() < n for f, n in zip(firsts, sizes, strict=True))
    if fits and np.array_equal(within, wanted) and np.array_equal(owners, np.arange(source.type.width)):
        own = [np.maximum(tables[f], -1) for f in firsts]
        offsets = np.cumsum([0, *map(len, own)]).astype(np.int64)
        return OneHot(
            inputs=(source,), targets=np.concatenate(own).astype(np.int32), offsets=offsets,
            sizes=sizes.astype(np.int64), dtype=dtype if dtype != "int32" else "int64", origin=origin,
        )  # fmt: skip
    values = np.concatenate([(t == w).astype(np.float64) for t, w in zip(tables, wanted.tolist(), strict=True)])
    return Recode(inputs=node.inputs, values=values, offsets=node.offsets, origin=origin)

