"""What the columns of a linear model's block are made of: numbers, which it weighs, or few values, one a code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.narrow import COLUMN_BY_COLUMN, sliced
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, LowerBound, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Dense, Input, Select
from slimml.ir.ops.numeric import FillMissing, Guard, IsMissing
from slimml.ir.ops.ranks import Rank
from slimml.passes.folding.links import Given
from slimml.passes.refusing import refuses

# What makes few values: of codes, or by itself.
_OF_CODES = (OneHot, Recode)
_ITSELF = (IsMissing, Lookup, LowerBound, Rank)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Columns of a block, and those of `node` that they are made of, through `steps`: ops with their own columns.

    `at` (c,) are the columns of the block, `columns` (c,) those of the node; steps come from the block inwards.
    """

    node: Node
    columns: np.ndarray
    at: np.ndarray
    steps: tuple[tuple[Node, np.ndarray], ...] = ()

    def take(self, chosen: np.ndarray) -> Part:
        """Some of the columns."""
        steps = tuple((op, columns[chosen]) for op, columns in self.steps)
        return Part(self.node, self.columns[chosen], self.at[chosen], steps)

    def behind(self, node: Node, columns: np.ndarray, *, step: bool) -> Part:
        """The same columns one op further back; `step`: what the op does to a value counts."""
        steps = (*self.steps, (self.node, self.columns)) if step else self.steps
        return Part(node, columns, self.at, steps)


def parts_of(block: Node) -> Iterator[Part]:
    """The columns of a block by what they come from: ops that make few values, or the first that cannot be passed."""
    every = np.arange(block.type.width)
    stack = [Part(block, every, every)]
    while stack:
        part = stack.pop()
        node = part.node
        if isinstance(node, Select):
            stack.append(part.behind(node.inputs[0], node.index[part.columns], step=False))
        elif isinstance(node, Concat) and all(x.type.numeric for x in node.inputs):
            ends = np.cumsum([x.type.width for x in node.inputs])
            owner = np.searchsorted(ends, part.columns, side="right")
            for i in reversed(np.unique(owner).tolist()):
                own, x = part.take(owner == i), node.inputs[i]
                step = x.type.dtype != node.type.dtype
                stack.append(own.behind(x, own.columns - (int(ends[i]) - x.type.width), step=step))
        elif not isinstance(node, (*_OF_CODES, *_ITSELF)) and _passable(node):
            stack.append(part.behind(node.inputs[0], part.columns, step=not isinstance(node, Guard)))
        else:
            yield part


def _passable(node: Node) -> bool:
    if not isinstance(node, COLUMN_BY_COLUMN) or not node.source.numeric:
        return False
    if isinstance(node, Dense):
        return node.absent == 0 or node.source.layout == "dense"
    return not (isinstance(node, Guard) and (isinstance(node.inputs[0], Input) or refuses(node)))


# -------------------------------------------------------------------------------------------------------- few values


@dataclass(frozen=True, slots=True, eq=False)
class Few:
    """A column of codes, and what each adds to the sums: float64 (codes + 1, k), that of a missing one first."""

    node: Node
    column: int
    terms: np.ndarray


def few(part: Part, weights: np.ndarray) -> list[Few] | None:
    """What the codes behind a part add; None where it does not hold few values. `weights` (k, width) of the block."""
    node = part.node
    if not isinstance(node, (*_OF_CODES, *_ITSELF)) or not _keeps_zeros(part):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(node, OneHot):
            return _of_one_hot(node, part, weights)
        return [_of_column(node, part.take(np.array([i])), weights) for i in range(len(part.at))]


def _of_one_hot(node: OneHot, part: Part, weights: np.ndarray) -> list[Few]:
    ends = np.cumsum(node.sizes)
    group = np.searchsorted(ends, part.columns, side="right")
    values = carried(part, np.repeat(np.array([[0], [1]], node.type.dtype), len(part.at), axis=1))
    cold, hot = (weights[:, part.at] * v for v in values)
    found = []
    for g in np.unique(group).tolist():
        own = np.flatnonzero(group == g)
        target = node.targets[node.offsets[g] : node.offsets[g + 1]]
        places = part.columns[own] - (ends[g] - node.sizes[g])
        ours, theirs = np.zeros((2, node.sizes[g] + 1, len(weights)))  # the last row is that of no column
        np.add.at(ours, places, hot[:, own].T)
        np.add.at(theirs, places, cold[:, own].T)
        # What a column adds where it is not hot may be much larger than the sum: none is added and taken away again.
        terms = (ours + _others(theirs))[target]
        found.append(Few(node.inputs[0], g, np.concatenate([terms[:1], terms])))
    return found


def _others(rows: np.ndarray) -> np.ndarray:
    """For each row the sum of all others."""
    zero = np.zeros((1, rows.shape[1]))
    before = np.cumsum(np.concatenate([zero, rows[:-1]]), axis=0)
    behind = np.cumsum(np.concatenate([zero, rows[:0:-1]]), axis=0)[::-1]
    return np.asarray(before + behind)


def _of_column(node: Node, part: Part, weights: np.ndarray) -> Few:
    column = int(part.columns[0])
    if isinstance(node, Recode):
        values, source = node.values[node.offsets[column] : node.offsets[column + 1]], node.inputs[0]
        values = np.concatenate([values[:1], values])
    else:
        source, domain = node, node.type.domains[column]
        values = np.arange(-1 if domain.missing else 0, int(domain.high) + 1).astype(node.type.dtype)
        values = values if domain.missing else np.concatenate([values[:1], values])
    terms = carried(part, values[:, None]).astype(np.float64) * weights[:, part.at[0]]
    return Few(source, column, terms)


def carried(part: Part, values: np.ndarray) -> np.ndarray:
    """What values (n, c) of the node's columns become in the block, by the ops' own arithmetic."""
    for op, columns in reversed(part.steps):
        if isinstance(op, Concat):
            values = values.astype(op.type.dtype)
        elif not isinstance(op, Dense):
            given = replace(op.source, domains=tuple(op.source.domains[c] for c in columns.tolist()), groups=())
            values = np.asarray(sliced(op, columns, Given(given=given)).evaluate(values))
    return values


def _keeps_zeros(part: Part) -> bool:
    """Whether ops on sparse blocks make zeros of the zeros that are not stored."""
    for op, columns in part.steps:
        if len(op.inputs) == 1 and op.source.layout == "csr":
            with np.errstate(all="ignore"):
                own = Part(op.inputs[0], columns, columns, ((op, columns),))
                made = carried(own, np.zeros((1, len(columns)), op.source.dtype))
            if not (made == 0).all():
                return False
    return True


# ----------------------------------------------------------------------------------------------------------- numbers


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Columns of a block that are columns of `node`; `fill` (c,) float64 is what stands for NaN there, NaN for none."""

    node: Node
    columns: np.ndarray
    at: np.ndarray
    fill: np.ndarray


def numbers(part: Part, *, filled: bool) -> Numbers:
    """The columns of a part as numbers, as far back as nothing but imputers (where `filled`) stands between."""
    fill = np.full(len(part.at), np.nan)
    for op, columns in part.steps:
        if isinstance(op, FillMissing) and filled and _fills(op):
            row = np.array(op.fill, dtype=np.float64).astype(op.type.dtype).astype(np.float64)[columns]
            fill = np.where(np.isnan(row), fill, row)
        elif not _exact(op):
            return Numbers(op, columns, part.at, fill)
    return Numbers(part.node, part.columns, part.at, fill)


def _fills(op: FillMissing) -> bool:
    return isinstance(op.sentinel, float) and op.sentinel != op.sentinel and op.source.layout == "dense"


def _exact(op: Node) -> bool:
    if isinstance(op, Concat):
        return op.type.dtype == "float64"
    if isinstance(op, Cast):
        return op.type.dtype == "float64" or op.type.dtype == op.source.dtype
    return isinstance(op, Dense)
