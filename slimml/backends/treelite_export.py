"""The forest of a graph as a Treelite checkpoint (`-o model.tl`), for FIL on GPUs and other readers of Treelite.

Such a file holds trees and nothing in front of them: the forest has to read raw columns, numbers at most narrowed to
float32. Its features are all columns of the schema in order, missing values are NaN. A column of categories is read as
codes: the position of the category in the column's table, the table's length for any other. The tables stand in the
file's attributes as JSON: {"categories": {column: [category, ...]}}. What stands behind the forest goes along where
Treelite has an exact word for it: the average, a sigmoid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from slimml.backends.base import Refusal
from slimml.errors import NoBackendError
from slimml.ir.floats import narrowed
from slimml.ir.forest import IN_SET, MISSING, MISSING_LEFT, Trees, step
from slimml.ir.graph import Graph
from slimml.ir.narrow import origin_of
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, Recode
from slimml.ir.ops.columns import Cast, Input
from slimml.ir.ops.heads import Sigmoid
from slimml.ir.ops.models import Forest
from slimml.ir.ops.numeric import Divide, Guard
from slimml.ir.ops.ranks import Rank

# Splits of a column times its categories or intervals, which are asked all at once.
_ASKED = 1 << 26


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A column of a forest that is the rank of raw column `number`; `narrowed`: through float32 on the way."""

    number: int
    rank: Rank
    column: int
    narrowed: bool

    @property
    def cuts(self) -> np.ndarray:
        return self.rank.cuts[self.rank.offsets[self.column] : self.rank.offsets[self.column + 1]]

    @property
    def ranks(self) -> np.ndarray:
        """The rank of every interval."""
        begin, count = int(self.rank.offsets[self.column]) + self.column, len(self.cuts) + 1
        return self.rank.table[begin : begin + count] if len(self.rank.table) else np.arange(count)

    @property
    def missing(self) -> int:
        return MISSING


@dataclass(frozen=True, slots=True)
class Codes:
    """A column of a forest that is told by the code of raw column `number` in a look-up; `ranks`: of every code."""

    number: int
    lookup: Lookup
    column: int
    ranks: np.ndarray

    @property
    def table(self) -> tuple[object, ...]:
        """The categories, whose positions are their codes."""
        return self.lookup.tables[self.column]

    @property
    def missing(self) -> int:
        """The rank of a missing value."""
        return int(self.ranks[self._missing])

    @property
    def _missing(self) -> int:
        nones = [i for i, v in enumerate(self.table) if v is None]
        nans = [i for i, v in enumerate(self.table) if v != v]
        return (nans or nones or [len(self.table)])[0]

    def listed(self) -> list[object]:
        """The categories in the order of their codes, None for a missing one."""
        return [None if v != v else v for v in self.table]

    def coded(self, values: np.ndarray) -> np.ndarray:
        """What the file takes for objects (n,): codes, and NaN for what is missing."""
        codes = self.lookup.coders[self.column](values).astype(np.float64)
        gone = np.array([v is None or (isinstance(v, float) and v != v) for v in values.tolist()], dtype=bool)
        codes[gone & (codes == self._missing)] = np.nan
        return codes


_Source = _Numbers | Codes


def export_treelite(graph: Graph) -> bytes:
    """The checkpoint. Raises NoBackendError where the file could not say what the graph means."""
    refusal = export_refusal(graph)
    if refusal is not None:
        raise NoBackendError(
            f"a Treelite file cannot express {refusal.reason}",
            where=refusal.origin,
            hint="Write a .slim or .onnx file.",
        )
    from slimml.runtime.engines.treelite import model_of

    forest = _forests(graph)[0]
    trees, thresholds = _on_raw_columns(forest)
    # The columns must outlive the model: it reads their memory.
    model, _columns = model_of(trees, len(graph.schema.columns), thresholds)
    header = model.get_header_accessor()
    answered = answered_node(graph)
    header.set_field("average_tree_output", np.array([isinstance(answered, Divide)], dtype=np.uint8))
    if isinstance(answered, Sigmoid):
        header.set_field("postprocessor", "sigmoid" if len(trees.base) == 1 else "multiclass_ova")
    tables = {graph.schema.columns[c.number].name: c.listed() for c in categories(graph)}
    if tables:
        header.set_field("attributes", json.dumps({"categories": tables}, default=str))
    data: bytes = model.serialize_bytes()
    return data


def categories(graph: Graph) -> list[Codes]:
    """The columns of the file that are codes, in order."""
    found = {s.number: s for s in _sources(_forests(graph)[0]).values() if isinstance(s, Codes)}
    return [found[n] for n in sorted(found)]


def export_refusal(graph: Graph) -> Refusal | None:
    """What a Treelite file cannot say, or None."""
    forests = _forests(graph)
    if len(forests) != 1:
        return Refusal(f"{len(forests)} forests; it holds exactly one")
    forest = forests[0]
    sources = _sources(forest)
    if any(s is None for s in sources.values()):
        return Refusal("what stands in front of the forest", forest.origin)
    tables: dict[int, tuple[object, ...]] = {}
    for column, source in sources.items():
        name = graph.schema.columns[source.number].name if source else ""
        if isinstance(source, Codes) and tables.setdefault(source.number, source.table) is not source.table:
            return Refusal(f"the column {name!r}, which is looked up in two tables", source.lookup.origin)
        if isinstance(source, _Numbers) and forest.trees.dtype == np.float32 and _narrow(source) is None:
            return Refusal("sums in float32 behind comparisons in double", forest.origin)
        if source is not None and _asked(forest.trees, column, source) > _ASKED:
            return Refusal(f"the many splits and categories of the column {name!r}", forest.origin)
        if isinstance(source, _Numbers) and not _plain(forest.trees, column, source):
            _, left = _lefts(forest.trees, column, source)
            if not (_is_prefix(left) & left[:, 0]).all():
                return Refusal(f"several intervals of the number {name!r} that one split sends one way", forest.origin)
    return None


def _forests(graph: Graph) -> list[Forest]:
    return [n for n in graph.nodes() if isinstance(n, Forest)]


def _sources(forest: Forest) -> dict[int, _Source | None]:
    inner = forest.trees.feature >= 0
    return {c: _source(forest.inputs[0], c) for c in np.unique(forest.trees.feature[inner]).tolist()}


def _source(node: Node, column: int) -> _Source | None:
    """Where a column of a forest comes from, if the file can start there."""
    node, column = origin_of(node, column)
    if isinstance(node, Recode | Lookup):
        return _codes(node, column)
    if not isinstance(node, Rank) or not node.source.dtype.startswith("float"):
        return None
    rank, own, narrow = node, column, False
    node, column = origin_of(node.inputs[0], column)
    while isinstance(node, Guard | Cast):
        if isinstance(node, Cast):
            if node.dtype not in ("float32", "float64"):
                return None
            narrow = narrow or node.dtype == "float32"
        node, column = origin_of(node.inputs[0], column)
    if not isinstance(node, Input) or node.kind != "number":
        return None
    return _Numbers(node.columns[column], rank, own, narrow)


def _codes(node: Recode | Lookup, column: int) -> Codes | None:
    ranks = None
    if isinstance(node, Recode):
        if node.values.dtype != np.int32:
            return None
        ranks = node.values[node.offsets[column] : node.offsets[column + 1]]
        below, at = origin_of(node.inputs[0], column)
        if not isinstance(below, Lookup):
            return None
        node, column = below, at
    if node.source.numeric:
        return None
    source, at = origin_of(node.inputs[0], column)
    if not isinstance(source, Input) or source.kind != "category":
        return None
    codes = np.arange(len(node.tables[column]) + 1) if ranks is None else ranks
    return Codes(source.columns[at], node, column, codes)


def _on_raw_columns(forest: Forest) -> tuple[Trees, np.ndarray]:
    """The trees on all columns of the schema, and the thresholds (n,) of their numeric splits."""
    trees = forest.trees
    new = {name: getattr(trees, name).copy() for name in ("feature", "cut", "flags")}
    thresholds, sets = np.zeros(trees.nodes), [np.zeros((0, 0), dtype=bool)]
    for column, source in _sources(forest).items():
        assert source is not None
        here = np.flatnonzero(trees.feature == column)
        new["feature"][here] = source.number
        ends = _ends(source, trees.dtype)
        if isinstance(source, _Numbers) and _plain(trees, column, source):
            thresholds[here] = ends[np.minimum(trees.cut[here], len(ends) - 1)]
            continue
        of_node, left = _lefts(trees, column, source)
        prefix = _is_prefix(left)
        gone = step(trees, _firsts(here, of_node), np.full(len(left), source.missing)) == _firsts(here, of_node) + 1
        new["flags"][here] = np.where(gone, MISSING_LEFT, 0)[of_node]
        thresholds[here] = np.append(-1.0, ends)[left.sum(axis=1)][of_node]
        member = here[~prefix[of_node]]
        new["flags"][member] |= IN_SET
        place = sum(map(len, sets)) + np.cumsum(~prefix) - 1
        new["cut"][member] = place[of_node[~prefix[of_node]]]
        sets.append(left[~prefix])
    return replace(trees, sets=_packed(sets), **new), thresholds


def _firsts(here: np.ndarray, of_node: np.ndarray) -> np.ndarray:
    """The first node of each different split."""
    return here[np.unique(of_node, return_index=True)[1]]


def _packed(members: list[np.ndarray]) -> np.ndarray:
    width = max(-(-m.shape[1] // 32) * 32 for m in members) or 32
    bits = np.concatenate([np.pad(m, ((0, 0), (0, width - m.shape[1]))) for m in members])
    return np.asarray(np.packbits(bits, axis=1, bitorder="little").view("<u4"), dtype=np.uint32)


def _plain(trees: Trees, column: int, source: _Numbers) -> bool:
    """Whether every split of a column sends what is below a cut left."""
    in_set = (trees.feature == column) & ((trees.flags & IN_SET) != 0)
    return not len(source.rank.table) and not in_set.any()


def _asked(trees: Trees, column: int, source: _Source) -> int:
    if isinstance(source, _Numbers) and _plain(trees, column, source):
        return 0
    here = np.flatnonzero(trees.feature == column)
    return len(np.unique(_keys(trees, here))) * len(source.ranks)


def _keys(trees: Trees, nodes: np.ndarray) -> np.ndarray:
    return np.asarray(trees.cut[nodes].astype(np.int64) << 8 | trees.flags[nodes])


def _lefts(trees: Trees, column: int, source: _Source) -> tuple[np.ndarray, np.ndarray]:
    """The different splits of a column: which of them each of its nodes is, and which codes or intervals go left."""
    here = np.flatnonzero(trees.feature == column)
    _, first, of_node = np.unique(_keys(trees, here), return_index=True, return_inverse=True)
    nodes = np.repeat(here[first], len(source.ranks))
    left = step(trees, nodes, np.tile(source.ranks, len(first))) == nodes + 1
    return of_node, left.reshape(len(first), -1)


def _is_prefix(left: np.ndarray) -> np.ndarray:
    """Which splits send the first few left, and nothing behind them."""
    return np.asarray((left[:, 1:] <= left[:, :-1]).all(axis=1))


def _narrow(source: _Numbers) -> np.ndarray | None:
    """The cuts in float32, where rows that are narrowed to it go where they went."""
    return source.cuts if source.cuts.dtype == np.float32 else narrowed(source.cuts)


def _ends(source: _Source, dtype: np.dtype) -> np.ndarray:
    """The largest number of each interval, infinity for the last; or codes, and what is above them."""
    if isinstance(source, Codes):
        return np.append(np.arange(len(source.table)), np.inf)
    cuts = _narrow(source) if dtype == np.float32 else source.cuts
    assert cuts is not None
    cuts = cuts.astype(np.float64)
    if source.narrowed and dtype == np.float64:
        # A double goes left where it rounds to a float32 that does: up to the middle to the next float32, the middle
        # itself where it rounds down (ties go to the even one).
        with np.errstate(over="ignore"):
            low = cuts.astype(np.float32)
            above = np.nextafter(low, np.float32(np.inf)).astype(np.float64)
            above = np.where(np.isinf(above), 2.0**128, above)
            middle = low.astype(np.float64) / 2 + above / 2
            cuts = np.where(middle.astype(np.float32) == low, middle, np.nextafter(middle, -np.inf))
    return np.append(cuts, np.inf)


def answered_node(graph: Graph) -> Node:
    """What the file answers: the forest's sums, their average, or a sigmoid of them.

    A softmax stays outside: treelite 4.8.1 rounds it to float32, and the sums are exact.
    """
    forest = _forests(graph)[0]
    behind = [n for n in graph.nodes() if forest in n.inputs]
    for node in behind:
        if isinstance(node, Divide) and (node.value == forest.trees.count).all() and not forest.trees.base.any():
            return node
    return next((n for n in behind if isinstance(n, Sigmoid)), forest)
