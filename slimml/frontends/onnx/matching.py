"""A value among keys or cuts, as slimml writes look-ups and ranks of numbers: many comparisons at once."""

from __future__ import annotations

import numpy as np

from slimml.frontends.onnx.values import (
    NAN,
    Codes,
    Condition,
    Counts,
    Matches,
    Step,
    Tensor,
    Value,
    operator,
)
from slimml.ir.forest import MISSING
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Cast, Select
from slimml.ir.ops.ranks import Rank


def key(value: float, place: int, before: np.ndarray) -> object:
    return value if value == value and value not in before else f"nothing {place}"


def counts_of(step: Step, node: Node, cuts: np.ndarray) -> Counts:
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
    if given.test != "missing" or given.negated or node.type.width != 1 or mask.dtype != np.bool_ or not mask.size:
        raise step.unsupported("of anything but missing values and a constant")
    first = int(np.argmax(mask))
    return (Matches(node, tuple(NAN if m and i == first else f"nothing {i}" for i, m in enumerate(mask))),)


@operator("", "Or")
def either(step: Step) -> tuple[Value]:
    """Keys and a missing one; or what always holds."""
    one, other = (step.given[i] if i < len(step.given) else None for i in (0, 1))
    if isinstance(one, Condition) and isinstance(other, Condition) and one.test == other.test == "itself":
        if one.tensor is not other.tensor or one.negated == other.negated:
            raise step.unsupported("of comparisons of a value with itself that leave one out")
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
            return Matches(node, (key(float(value.value.reshape(-1)[0]), 0, value.value[:0]),))
    return value


def matched(step: Step, matches: Matches) -> Tensor:
    """The place of the first key that is met; behind the last one where none is."""
    if not matches.closed:
        raise step.unsupported("of keys of which a value may meet none")
    node = Lookup(inputs=(matches.node,), tables=(matches.keys,), refuse=(False,), origin=step.ctx.where)
    made = Cast(inputs=(node,), dtype="int64", origin=step.ctx.where)
    return Tensor(made, codes=Codes(node, np.zeros(1, dtype=np.int64)))


def ranked(step: Step, given: Condition, then: Value | None, counts: Counts) -> Tensor:
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
