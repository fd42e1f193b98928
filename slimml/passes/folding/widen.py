"""What a forest means of float32 rows, said of the plan for float64 rows.

A scaler computes in float32 where the rows are float32, so a few of them, next to a cut, go another way than the same
values in float64 do. Both chains are traced from the forest back to the raw column as they are for folding. Where the
trees are told of a float32 number the same as of some float64 number, the one may stand for the other: `Widen` moves a
number beyond those cuts that it is on the wrong side of, and the one plan with its trees serves both kinds of rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from slimml.ir.floats import floored
from slimml.ir.graph import Graph, topological
from slimml.ir.narrow import origin_of
from slimml.ir.node import Node
from slimml.ir.ops.columns import FLOAT32, Concat, Constant, Input, Select
from slimml.ir.ops.models import LinearForest, forests
from slimml.ir.ops.numeric import Guard
from slimml.ir.ops.ranks import Rank, Widen
from slimml.ir.text import meaning
from slimml.passes.folding.blocks import joint, within
from slimml.passes.folding.cells import Cells, UnfoldableError
from slimml.passes.folding.links import Given
from slimml.passes.folding.trace import Root, Words, trace
from slimml.passes.hoist_guards import PASS as HOIST_GUARDS
from slimml.schema import NUMBER

_NARROW = np.dtype(np.float32)
_MOVES = (Select, Concat, Guard)
# What reads rows only to count them.
_COUNTS = (Constant,)


def widened(fresh: Graph, narrow: Graph, final: Graph) -> Graph | None:
    """`final` for float32 rows: behind a Widen; None where those are answered as the same values in float64 are.

    `fresh` is what frontends say of float64 rows, `narrow` of float32 rows, `final` is `fresh` after the passes. Raises
    UnfoldableError with the reason where no float64 rows stand for the float32 ones.
    """
    fresh, narrow = (HOIST_GUARDS.run(g).graph for g in (fresh, narrow))
    read = _read_ranks(final)
    pairs = _forests(fresh, narrow)
    wide, own = _guards(final), _guards(narrow)
    if set(own) - set(wide):
        raise UnfoldableError("float32 rows are refused for a column that float64 rows are not refused for")
    traced = _traced(pairs)
    tables: dict[int, _Column] = {}
    for column in {*read, *wide, *traced}:
        asked = traced.get(column, [])
        tables[column] = _table(asked, read.get(column, np.zeros(0)), wide.get(column), own.get(column))
    if all(t.same for t in tables.values()):
        return None

    def rule(node: Node) -> Node:
        return _widen(node, tables) if isinstance(node, Input) and node.kind == NUMBER else node

    return replace(final.map(rule), float32=None)


# ------------------------------------------------------------------------------------------- the graphs side by side


def _forests(fresh: Graph, narrow: Graph) -> list[tuple[Node, Node]]:
    """The forests of both, pair by pair. Raises UnfoldableError unless all else behind them is the same."""
    found = []
    ends = []
    for graph in (fresh, narrow):
        own = forests(graph)
        if any(isinstance(n, LinearForest) for n in own):
            raise UnfoldableError("leaves are linear in the numbers of a row")
        found.append(own)
        heads: dict[Node, Node] = {n: Given(given=n.type, origin=str(i)) for i, n in enumerate(own)}
        ends.append(topological(n for o in graph.replace(heads).outputs for n in o.nodes))
    if any(isinstance(n, Input) for n in (*ends[0], *ends[1])):
        raise UnfoldableError("more than forests read the columns")
    same = [[(meaning(n), n.origin if isinstance(n, Given) else "") for n in order] for order in ends]
    places = [[[order.index(x) for x in n.inputs] for n in order] for order in ends]
    if same[0] != same[1] or places[0] != places[1] or [meaning(n) for n in found[0]] != [meaning(n) for n in found[1]]:
        raise UnfoldableError("what stands behind the forests is another op for float32 rows")
    return list(zip(*found, strict=True))


def _raw(node: Node, column: int) -> int | None:
    """The raw column that a column is, as it is; None where it is computed, or an object."""
    while True:
        node, column = origin_of(node, column)
        if isinstance(node, Guard):
            node = node.inputs[0]
        elif isinstance(node, Input) and node.kind in (NUMBER, FLOAT32):
            return node.columns[column]
        else:
            return None


def _read_ranks(final: Graph) -> dict[int, np.ndarray]:
    """The cuts of every raw column of numbers that `final` ranks. Raises UnfoldableError where it does more of one."""
    found: dict[int, list[np.ndarray]] = {}
    raw: set[Node] = set()
    for node in final.nodes():
        reads = [x for x in node.inputs if x in raw]
        if isinstance(node, Input):
            raw |= {node} if node.kind == NUMBER else set()
        elif reads and isinstance(node, _MOVES):
            raw.add(node)
        elif reads and isinstance(node, Rank):
            for c in range(node.source.width):
                column = _raw(node.inputs[0], c)
                if column is not None:
                    found.setdefault(column, []).append(node.cuts[node.offsets[c] : node.offsets[c + 1]])
                elif any(n in raw for n in topological([origin_of(node.inputs[0], c)[0]])):
                    raise UnfoldableError("a forest reads more than raw columns")
        elif reads and not isinstance(node, _COUNTS):
            raise UnfoldableError(f"{type(node).__name__} reads numbers as they are")
    return {c: np.unique(np.concatenate(cuts)) for c, cuts in found.items()}


@dataclass(frozen=True, slots=True)
class _Limits:
    """What is not refused of a raw column."""

    low: float = -np.inf
    high: float = np.inf
    missing: bool = True


def _guards(graph: Graph) -> dict[int, _Limits]:
    """Of every raw column of numbers of which values are refused in front of the forests, those that are not."""
    found: dict[int, _Limits] = {}
    for node in topological(x for f in forests(graph) for x in f.inputs):
        if not isinstance(node, Guard) or not node.type.numeric:
            continue
        for c in range(node.type.width):
            column, low, high = _raw(node, c), float(node.low[c]), float(node.high[c])
            missing = bool(node.missing[c])
            if low == -np.inf and high == np.inf and missing:
                continue
            if column is None:
                raise UnfoldableError("rows are refused by what was computed")
            old = found.get(column, _Limits())
            found[column] = _Limits(max(low, old.low), min(high, old.high), missing and old.missing)
    return found


# --------------------------------------------------------------------------------------------------- column by column


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a column of a forest's block means of a raw column, in both dtypes."""

    wide: Root
    narrow: Root


def _traced(pairs: list[tuple[Node, Node]]) -> dict[int, list[_Asked]]:
    """What the forests read, by raw column of numbers. Raises UnfoldableError where that is not folded."""
    found: dict[int, list[_Asked]] = {}
    for pair in pairs:
        trees = pair[0].trees  # type: ignore[attr-defined]
        for column in np.unique(trees.feature[trees.feature >= 0]).tolist():
            why = Counter[str]()
            wide, narrow = (trace(forest.inputs[0], column, why) for forest in pair)
            places = [_raw(r.node, r.column) for r in (wide, narrow)]
            if places[0] is not None and places[0] == places[1]:
                found.setdefault(places[0], []).append(_Asked(wide, narrow))
            elif not _alike_objects(wide, narrow):
                raise UnfoldableError(next(iter(why), "a forest reads more than raw columns"))
    return found


def _alike_objects(wide: Root, narrow: Root) -> bool:
    """Whether both are the same of the same objects."""
    a, b = wide.cells, narrow.cells
    orders = [topological([r.node]) for r in (wide, narrow)]
    if any(isinstance(n, Input) and n.type.numeric for n in (*orders[0], *orders[1])) or wide.column != narrow.column:
        return False
    if [meaning(n) for n in orders[0]] != [meaning(n) for n in orders[1]]:
        return False
    if isinstance(a, Cells) and isinstance(b, Cells):
        same = np.array_equal(a.cuts, b.cuts) and np.array_equal(a.ranks, b.ranks)
        return same and (a.missing, a.absent) == (b.missing, b.absent)
    if isinstance(a, Words) and isinstance(b, Words):
        keys = [[("nan",) if k != k else (type(k), k) for k in w.keys] for w in (a, b)]
        same = keys[0] == keys[1] and np.array_equal(a.ranks, b.ranks)
        return same and (a.other, a.refused, a.imputed) == (b.other, b.refused, b.imputed)
    return False


@dataclass(slots=True, eq=False)
class _Column:
    """The tables of one column of a Widen."""

    cuts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ends: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    missing: float = np.nan

    @property
    def same(self) -> bool:
        """Whether float32 numbers are answered as the same numbers in float64."""
        return not len(self.cuts) and self.missing != self.missing


def _table(asked: list[_Asked], cuts: np.ndarray, wide: _Limits | None, narrow: _Limits | None) -> _Column:
    wide, narrow = wide or _Limits(), narrow or _Limits()
    if wide.missing != narrow.missing:
        raise UnfoldableError("missing values are refused of rows of one dtype alone")
    if not asked and len(cuts):
        raise UnfoldableError("a column is ranked that the forests did not read")
    ends, missing = _ends(asked, cuts, wide) if asked else (np.zeros(0, np.float32), np.nan)
    # What is refused are two more cuts: the last numbers below what is not, and the last ones that are not.
    with np.errstate(over="ignore"):
        limits = np.array([np.nextafter(wide.low, -np.inf), wide.high])
        first, last = floored(np.array([np.nextafter(narrow.low, -np.inf), narrow.high]), _NARROW)
    if (wide.low == -np.inf and narrow.low > -np.inf) or (wide.high == np.inf and narrow.high < np.inf):
        raise UnfoldableError("float32 rows are refused where float64 rows are not")
    inside = (cuts > limits[0]) & (cuts < limits[1])
    cuts = np.concatenate([limits[:1], cuts[inside], limits[1:]])
    ends = np.concatenate([[first], np.clip(ends[inside], first, last), [last]])
    apart = ends != floored(cuts, _NARROW)
    return _Column(cuts[apart], ends[apart], missing)


def _ends(asked: list[_Asked], cuts: np.ndarray, wide: _Limits) -> tuple[np.ndarray, float]:
    """For each cut of the float64 plan the last float32 that belongs below it, and what stands for a missing one."""
    cells, cells32 = [_cells(a.wide) for a in asked], [_cells(a.narrow) for a in asked]
    if asked[0].wide.node.type.domains[asked[0].wide.column].integer:  # as the user declared
        cells32 = [c.trimmed(-np.inf, np.inf, integer=True) for c in cells32]
    edges, ranks = joint(cells)
    edges32, ranks32 = joint(cells32)
    gone, gone32 = ([[c.missing] for c in own] for own in (cells, cells32))
    like = _numbered(np.concatenate([ranks, ranks32, gone32], axis=1))
    like, like32, missing32 = like[: len(edges) + 1], like[len(edges) + 1 : -1], like[-1:]
    with np.errstate(over="ignore"):
        last = np.nextafter(edges[-1:], np.inf) if len(edges) else np.zeros(1)
    numbers = np.clip(np.append(edges, last), wide.low, wide.high)  # one of each cell
    tops32 = np.append(edges32, np.inf)
    near = np.searchsorted(edges, tops32)
    place = np.searchsorted(cuts, numbers[_alike(like, like32, near)])
    if (np.diff(place) < 0).any() or place[0] > 0:
        raise UnfoldableError("float32 numbers zigzag between the cuts of float64 ones")
    ends = tops32[np.searchsorted(place, np.arange(len(cuts)), side="right") - 1].astype(np.float32)
    if gone == gone32 or not wide.missing:
        return ends, np.nan
    return ends, float(numbers[_alike(like, missing32, np.zeros(1, np.int64))[0]])


def _numbered(ranks: np.ndarray) -> np.ndarray:
    """A number for each column, the same where all of its ranks are."""
    if len(ranks) == 1:
        return np.asarray(ranks[0].astype(np.int64) - ranks.min())
    return np.unique(ranks, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _alike(given: np.ndarray, wanted: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The position in `given`, the next to `near`, of each number that is wanted."""
    count = len(given)
    keys = np.sort(given * count + np.arange(count))
    at = np.searchsorted(keys, wanted * count + near)
    sides = keys[np.clip(np.stack([at - 1, at]), 0, count - 1)]
    far = np.where(sides // count == wanted, np.abs(sides % count - near), count)
    best = np.argmin(far, axis=0)[None, :]
    if (np.take_along_axis(far, best, 0) == count).any():
        raise UnfoldableError("trees are told of a float32 number what no float64 number tells them")
    return np.asarray(np.take_along_axis(sides, best, 0)[0] % count)


def _cells(root: Root) -> Cells:
    assert isinstance(root.cells, Cells)
    return within(root.cells, root.node, root.column)


def _widen(node: Input, tables: dict[int, _Column]) -> Node:
    own = [tables.get(c, _Column()) for c in node.columns]
    return Widen(
        inputs=(replace(node, kind=FLOAT32),),
        cuts=np.concatenate([np.zeros(0), *(t.cuts for t in own)]),
        ends=np.concatenate([np.zeros(0, np.float32), *(t.ends for t in own)]),
        offsets=np.cumsum([0] + [len(t.cuts) for t in own]).astype(np.int64),
        missing=np.array([t.missing for t in own]),
    )
