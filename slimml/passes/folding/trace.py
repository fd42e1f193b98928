"""From a column that a forest reads back to where its values come from, with the cells that it has there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.narrow import COLUMN_BY_COLUMN, part_of
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Dense, Input, Select
from slimml.ir.ops.curves import PowerCurve
from slimml.ir.ops.numeric import FillMissing, Guard, IsMissing
from slimml.ir.ops.ranks import Rank
from slimml.ir.ops.splines import Splines
from slimml.passes.folding import powers
from slimml.passes.folding.cells import Cells, UnfoldableError, identity, pulled
from slimml.passes.folding.links import FLOATS, link, spline

# What may stand between a root and a forest: ranks, and what hands a block on as it is.
PLAIN = (Concat, Rank, Recode, Dense)
# Whole numbers up to here are the same in every dtype.
_EXACT = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """A function of an object: the rank of each of `keys`, compared as Lookup compares them, `other` for the rest.

    `refused`: the rest is refused. `imputed`: so is pandas.NA, as an imputer on the way refuses it.
    """

    keys: tuple[object, ...]
    ranks: np.ndarray
    other: int
    refused: bool
    imputed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """Where a column comes from: a column of `node`; what it means there; and how many ops were passed on the way."""

    node: Node
    column: int
    cells: Cells | Words
    passed: int


def trace(node: Node, column: int, why: Counter[str], cells: Cells | None = None) -> Root:
    """The root of a column of ranks, or of one that has `cells`. `why` counts what is in the way, by reason."""
    cells = cells or identity(int(node.type.domains[column].high))
    passed = 0
    while True:
        if isinstance(node, Select):
            column, node = int(node.index[column]), node.inputs[0]
            passed += 1
            continue
        if isinstance(node, Lookup) and not node.source.numeric:
            return _words(node, column, cells, passed)
        if isinstance(node, IsMissing) and not node.source.numeric:
            return _missing_words(node, column, cells, passed)
        try:
            found = _behind(node, column, cells)
        except UnfoldableError as reason:
            why[f"{_name(node)} stays: {reason}"] += 1
            found = None
        if found is None:
            return Root(node, column, cells, passed)
        passed += not isinstance(node, PLAIN)
        node, column, cells = found


def _name(node: Node) -> str:
    return f"{type(node).__name__} ({node.origin})" if node.origin else type(node).__name__


def _behind(node: Node, column: int, cells: Cells) -> tuple[Node, int, Cells] | None:
    """The same one op further back; None at a root. Raises UnfoldableError where it cannot be said there."""
    if isinstance(node, Input):
        return None
    if isinstance(node, Guard):
        _require_raw(node)
        return None
    if isinstance(node, Concat):
        return _behind_concat(node, column, cells)
    if isinstance(node, Dense):
        return _behind_dense(node, column, cells)
    if isinstance(node, OneHot):
        return _behind_one_hot(node, column, cells)
    x = node.inputs[0] if node.inputs else node
    if isinstance(node, Recode):
        values = node.values[node.offsets[column] : node.offsets[column + 1]]
        return x, column, coded(cells.of(values), cells)
    if isinstance(node, Rank):
        return x, column, _ranked(node, column, cells)
    if isinstance(node, Lookup) and any(node.refuse[column : column + 1]):
        return None
    if isinstance(node, Cast) and _whole(x, column) and node.dtype in (*FLOATS, "int64", "int32"):
        return x, column, cells
    if not isinstance(node, (*COLUMN_BY_COLUMN, Lookup, Splines)):
        raise UnfoldableError("it does not work column by column")
    if x.type.dtype not in FLOATS:
        raise UnfoldableError(f"it reads {x.type.dtype}")
    dtype = np.dtype(x.type.dtype)
    if isinstance(node, Splines):
        return x, column // node.each, pulled(cells, spline(node, column), dtype)
    if isinstance(node, PowerCurve) and powers.applies(node):
        return x, column, powers.pulled_curve(cells, node, column)
    return x, column, pulled(cells, link(node, column), dtype)


def _require_raw(guard: Guard) -> None:
    if not isinstance(guard.inputs[0], Input):
        raise UnfoldableError("it refuses rows by what was computed")


def coded(ranks: np.ndarray, like: Cells) -> Cells:
    """Cells of the codes 0, 1, ... from the rank of each."""
    return replace(like, cuts=np.arange(len(ranks) - 1, dtype=np.float64), ranks=ranks.astype(np.int32))


def _ranked(rank: Rank, column: int, cells: Cells) -> Cells:
    begin, end = int(rank.offsets[column]), int(rank.offsets[column + 1])
    made = np.arange(end - begin + 1)
    if len(rank.table):
        made = rank.table[begin + column : end + column + 1]
    missing = int(cells.of(np.array([-1]))[0])
    return replace(
        cells, cuts=rank.cuts[begin:end].astype(np.float64), ranks=cells.of(made).astype(np.int32), missing=missing
    )


def _behind_concat(node: Concat, column: int, cells: Cells) -> tuple[Node, int, Cells]:
    part, column = part_of(node, column)
    if not part.type.numeric or not node.type.numeric:
        raise UnfoldableError("it holds objects")
    # A float32, and what an integer becomes, is the same number in float64; the part is ranked as that.
    if part.type.dtype != node.type.dtype and node.type.dtype != "float64" and not _whole(part, column):
        raise UnfoldableError(f"it makes {node.type.dtype} of {part.type.dtype}")
    if node.layout == "csr" and part.type.layout == "dense":
        cells = _stored(cells)
    return part, column, cells


def _stored(cells: Cells) -> Cells:
    """Cells of a sparse column, of the dense one that it is made of: zeros are not stored."""
    least = np.nextafter(0.0, -1.0)
    cuts = np.unique(np.concatenate([cells.cuts, [least, 0.0]]))
    ranks = cells.of(np.append(cuts, np.inf))
    ranks[np.searchsorted(cuts, 0.0)] = cells.absent
    return replace(cells, cuts=cuts, ranks=ranks.astype(np.int32))


def _behind_dense(node: Dense, column: int, cells: Cells) -> tuple[Node, int, Cells]:
    absent = cells.missing if node.absent != node.absent else int(cells.of(np.zeros(1))[0])
    return node.inputs[0], column, replace(cells, absent=absent)


def _behind_one_hot(node: OneHot, column: int, cells: Cells) -> tuple[Node, int, Cells]:
    ends = np.cumsum(node.sizes)
    group = int(np.searchsorted(ends, column, side="right"))
    own = column - int(ends[group] - node.sizes[group])
    zero = cells.absent if node.layout == "csr" else int(cells.of(np.zeros(1))[0])
    hot = node.targets[node.offsets[group] : node.offsets[group + 1]] == own
    return node.inputs[0], group, coded(np.where(hot, cells.of(np.ones(1))[0], zero), cells)


def _whole(node: Node, column: int) -> bool:
    """Whether a column holds integers, or truth values, that every float dtype has."""
    domain = node.type.domains[column]
    return node.type.dtype in ("bool", "int32", "int64") and -_EXACT <= domain.low and domain.high <= _EXACT


def refusal(node: Lookup | FillMissing | IsMissing, column: int) -> Root:
    """What an op on objects refuses, said of where its column comes from; ranks are all 0."""
    if isinstance(node, Lookup):
        return _words(node, column, Cells(np.zeros(0), np.zeros(1, np.int32), 0, 0), 0)
    words = Words((), np.zeros(0, np.int32), 0, False, True)
    return _through_objects(node.inputs[0], column, words, 0)


def _words(node: Lookup, column: int, cells: Cells, passed: int) -> Root:
    table = node.tables[column]
    ranks = cells.of(np.arange(len(table) + 1))
    refused = bool(node.refuse[column])
    imputed = bool(node.imputed) and node.imputed[column]
    words = Words(table, ranks[:-1], int(ranks[-1]), refused, imputed)
    return _through_objects(node.inputs[0], column, words, passed)


def _missing_words(node: IsMissing, column: int, cells: Cells, passed: int) -> Root:
    no, yes = cells.of(np.array([0.0, 1.0])).tolist()
    nan = node.sentinel != node.sentinel
    words = Words((node.sentinel,), np.array([yes], dtype=np.int32), no, False, nan)
    return _through_objects(node.inputs[0], column, words, passed + 1)


def _through_objects(node: Node, column: int, words: Words, passed: int) -> Root:
    """What is put in the place of a missing object has the rank of what it is put for."""
    while True:
        if isinstance(node, Select):
            column, node = int(node.index[column]), node.inputs[0]
        elif isinstance(node, Cast) and not node.source.numeric and node.dtype == "object":
            node = node.inputs[0]
        elif isinstance(node, FillMissing) and not node.source.numeric:
            words = _unfilled(words, node.sentinel, node.fill[column])
            node = node.inputs[0]
        elif isinstance(node, Concat) and all(not x.type.numeric for x in node.inputs):
            node, column = part_of(node, column)
        else:
            return Root(node, column, words, passed)
        passed += 1


def _unfilled(words: Words, sentinel: object, fill: object) -> Words:
    rank = words.other
    known = not words.refused
    rest = []
    for key, own in zip(words.keys, words.ranks.tolist(), strict=True):
        if same(key, fill):
            rank, known = own, True
        if not same(key, sentinel):
            rest.append((key, own))
    if known:
        rest.append((sentinel, rank))
    ranks = np.array([r for _, r in rest], dtype=np.int32)
    imputed = words.imputed or sentinel != sentinel
    return replace(words, keys=tuple(k for k, _ in rest), ranks=ranks, imputed=imputed)


def same(a: object, b: object) -> bool:
    """Whether a look-up takes two values for one."""
    return bool(a == b) or (a != a and b != b)
