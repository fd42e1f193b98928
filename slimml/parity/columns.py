"""Where the columns of a graph come from, and what values in them matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from slimml.ir.csr import Csr
from slimml.ir.domain import NUMBER as ANY_NUMBER
from slimml.ir.domain import Domain
from slimml.ir.graph import Graph, evaluate, rebuilt, topological
from slimml.ir.narrow import narrowed
from slimml.ir.node import Node, Value
from slimml.ir.ops.categories import Lookup, LowerBound, OneHot, Recode
from slimml.ir.ops.columns import Concat, Constant, Input, Select
from slimml.ir.ops.heads import Complement
from slimml.ir.ops.numeric import Divide, FillMissing, Guard, IsMissing, Subtract, missing_mask
from slimml.ir.ops.ranks import Rank
from slimml.ir.ops.splines import Splines
from slimml.ir.ops.text import CountTerms, HashTerms
from slimml.parity.rows import RawRows
from slimml.schema import NUMBER, TEXT

UNSEEN = "\u2603 slimml: never seen"
# A column that depends on no raw column, and one that depends on several.
NONE, MIXED = -1, -2


def sources(graph: Graph) -> dict[Node, np.ndarray]:
    """For every node, the raw column (position in the schema) that each of its columns depends on; int64 (width,)."""
    return sources_of(graph.nodes())


def sources_of(nodes: list[Node]) -> dict[Node, np.ndarray]:
    """As `sources`, of nodes that stand after their inputs."""
    found: dict[Node, np.ndarray] = {}
    for node in nodes:
        found[node] = _source(node, [found[x] for x in node.inputs])
    return found


def _source(node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    if isinstance(node, Input):
        return np.array(node.columns, dtype=np.int64)
    if isinstance(node, Constant):
        return np.full(node.type.width, NONE)
    if isinstance(node, Select):
        return np.asarray(inputs[0][node.index])
    if isinstance(node, Concat):
        return np.concatenate(inputs)
    if isinstance(node, OneHot):
        return np.repeat(inputs[0], node.sizes)
    if isinstance(node, Splines):
        return np.repeat(inputs[0], node.each)
    if isinstance(node, Complement):
        return np.repeat(inputs[0], 2)
    if type(node).__name__ in _COLUMN_BY_COLUMN:
        return inputs[0]
    owners = set(np.concatenate(inputs).tolist()) - {NONE} if inputs else set()
    owner = owners.pop() if len(owners) == 1 else MIXED if owners else NONE
    return np.full(node.type.width, owner)


_COLUMN_BY_COLUMN = frozenset(
    "Add Subtract Multiply Divide Affine Nudge Clip IsMissing FillMissing Guard Cast Dense Rank Widen Lookup "
    "LowerBound Recode Sigmoid Exp Log Tanh Power Softplus SignedSquare IsPositive Apply PowerCurve "
    "QuantileCurve QuantileBack Binarize".split()
)


@dataclass(slots=True)
class Interesting:
    """Values of one raw column that a graph treats in a way of their own.

    `values`   table entries, fill values, sentinels: numbers or categories
    `texts`    terms that are counted, and what may part them
    `centers`  numbers around which the model was fitted (means, medians), with a `scale` where one is known
    """

    values: list[object] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    centers: list[float] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    tabled: bool = False


def interesting(graph: Graph) -> dict[int, Interesting]:
    """What the tables and constants of the graph say of each raw column that it reads."""
    found: dict[int, Interesting] = {c: Interesting() for x in graph.inputs() for c in x.columns}
    owners = sources(graph)
    for node in graph.nodes():
        if isinstance(node, _NOTED):
            for i, c in enumerate(owners[node.inputs[0]].tolist()):
                if c >= 0:
                    _note(node, i, found[c])
    return found


_NOTED = (Lookup, LowerBound, CountTerms, HashTerms, FillMissing, IsMissing, Subtract, Divide)


def _note(node: Node, column: int, seen: Interesting) -> None:
    if isinstance(node, Lookup | LowerBound):
        seen.values += node.tables[column]
        seen.tabled = True
    elif isinstance(node, CountTerms):
        seen.texts += [*node.terms, *node.stop_words]
    elif isinstance(node, HashTerms):
        seen.texts += node.stop_words
    elif isinstance(node, FillMissing):
        seen.values += [node.fill[column], node.sentinel]
    elif isinstance(node, IsMissing):
        seen.values.append(node.sentinel)
    elif isinstance(node, Subtract):
        seen.centers.append(float(node.value[column]))
    elif isinstance(node, Divide):
        seen.scales.append(abs(float(node.value[column])))


def guarded_ends(graph: Graph) -> dict[int, list[float]]:
    """The ends of the intervals that guards let pass, by the raw column that they guard."""
    found: dict[int, list[float]] = {}
    owners = sources(graph)
    for node in graph.nodes():
        if isinstance(node, Guard) and node.type.numeric:
            for c, low, high in zip(owners[node].tolist(), node.low.tolist(), node.high.tolist(), strict=True):
                found.setdefault(c, []).extend(v for v in (low, high) if np.isfinite(v))
    return found


def declared(graph: Graph) -> dict[int, Domain]:
    """What the user declared of raw columns of numbers."""
    pairs = [p for x in graph.inputs() if x.type.numeric for p in zip(x.columns, x.domains, strict=False)]
    return {c: d for c, d in pairs if d != ANY_NUMBER}


def inside(values: np.ndarray, domain: Domain) -> np.ndarray:
    """Numbers, moved as little as it takes to be what a column was declared to hold."""
    low, high = (np.ceil(domain.low), np.floor(domain.high)) if domain.integer else (domain.low, domain.high)
    made = np.clip(np.rint(values) if domain.integer else values, low, high)
    return np.asarray(made if domain.missing else np.where(np.isnan(made), np.clip(0.0, low, high), made))


def ungated(graph: Graph) -> Graph:
    """The graph without refusals."""
    rule = _opening(graph)
    return graph.map(lambda node: rule(node) or node)


def _opening(graph: Graph) -> Callable[[Node], Node | None]:
    """What makes of a gate of the graph one that refuses nothing; None of any other node."""
    # Tables that ranks are looked up in have no entry for what is missing: there it is 0 behind the gate.
    tables = any(isinstance(n, OneHot | Recode) and isinstance(n.inputs[0], Rank) for n in graph.nodes())

    def opened(node: Node) -> Node | None:
        if isinstance(node, Guard) and tables and node.type.numeric and node.type.layout == "dense":
            fill = tuple(np.where(node.missing, np.nan, 0.0).tolist())
            return FillMissing(inputs=node.inputs, sentinel=np.nan, fill=fill, origin=node.origin)
        if isinstance(node, Guard):
            width = node.source.width
            return replace(
                node, low=np.full(width, -np.inf), high=np.full(width, np.inf), missing=np.ones(width, dtype=bool)
            )
        if isinstance(node, Lookup | LowerBound) and any(node.refuse):
            return replace(node, refuse=(False,) * len(node.refuse))
        return None

    return opened


class Gates:
    """What refuses the rows of a graph, made ready once: nothing that stands behind the last gate is computed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._gates: dict[Node, Node] = {}  # opened -> as it was, on opened inputs
        rule = _opening(graph)

        def open_gate(node: Node) -> Node:
            opened = rule(node)
            if opened is not None:
                self._gates[opened] = node
            return opened or node

        rebuilt(topological(n for n in graph.nodes() if rule(n) is not None), open_gate)
        self._owners = sources_of(topological(self._gates))
        self._asked: dict[int, list[tuple[Node, np.ndarray, Node]]] = {}

    def rows(self, rows: RawRows) -> np.ndarray:
        """bool (n,): which rows are refused, all gates asked at once."""
        refused = np.zeros(len(rows), dtype=bool)
        rows, unread = readable(self.graph, rows)
        for cells in unread.values():
            refused |= cells
        blocks = {n: rows.block(n) for n in topological(self._gates) if isinstance(n, Input)}
        with np.errstate(all="ignore"):
            values = evaluate(list(self._gates), blocks)
        for opened, gate in self._gates.items():
            value = values[opened.inputs[0]] if isinstance(gate, Guard) else values[opened]
            refused |= _refused_by(gate, value, np.arange(gate.type.width)).any(axis=1)
        return refused

    def cells(self, column: int, values: np.ndarray) -> np.ndarray:
        """bool (n,): which values of a raw column are refused, whatever the others hold."""
        refused = np.zeros(len(values), dtype=bool)
        known = self.graph.schema.columns[column]
        if known.kind == TEXT and known.read:
            refused = np.fromiter((not isinstance(v, str) for v in values), dtype=bool, count=len(values))
            values = np.where(refused, "", values)
        for gate, at, asked in self._of(column):
            blocks = {n: _block_of(n, column, values) for n in topological([asked]) if isinstance(n, Input)}
            with np.errstate(all="ignore"):
                value = evaluate([asked], blocks)[asked]
            refused |= _refused_by(gate, value, at).any(axis=1)
        return refused

    def _of(self, column: int) -> list[tuple[Node, np.ndarray, Node]]:
        """The gates that a raw column alone may make refuse a row: which of their columns, and what is to be asked."""
        if column not in self._asked:
            found = []
            for opened, gate in self._gates.items():
                at = np.flatnonzero(self._owners[opened.inputs[0]] == column)
                if len(at):
                    asked = (
                        narrowed(opened.inputs[0], at)
                        if isinstance(gate, Guard)
                        else Select(inputs=(opened,), index=at)
                    )
                    found.append((gate, at, asked))
            self._asked[column] = found
        return self._asked[column]


def readable(graph: Graph, rows: RawRows) -> tuple[RawRows, dict[int, np.ndarray]]:
    """Rows with empty documents for what is no document, and where that was: by raw column, bool (n,)."""
    unread: dict[int, np.ndarray] = {}
    columns = dict(rows.columns)
    for c, column in enumerate(graph.schema.columns):
        if column.kind == TEXT and column.read:
            values = rows.columns[column.name]
            unread[c] = np.fromiter((not isinstance(v, str) for v in values), dtype=bool, count=len(values))
            if unread[c].any():
                columns[column.name] = np.where(unread[c], "", values)
    return RawRows(rows.schema, columns), unread


def _refused_by(gate: Node, value: Value, at: np.ndarray) -> np.ndarray:
    """Which cells the columns `at` of a gate refuse: `value` is what these read of a Guard, else what they answer."""
    if isinstance(gate, Lookup | LowerBound):
        unknown = np.array([d.high for d in gate.type.domains])
        return np.asarray((value == unknown[at]) & np.array(gate.refuse)[at])
    assert isinstance(gate, Guard)
    values = value.toarray() if isinstance(value, Csr) else value
    missing = missing_mask(values, np.nan)
    inside = (values >= gate.low[at]) & (values <= gate.high[at]) if gate.type.numeric else ~missing
    return np.asarray(~inside & ~(missing & gate.missing[at]))


def _block_of(node: Input, column: int, values: np.ndarray) -> np.ndarray:
    """Values of a raw column in a block of ones, or of unseen categories."""
    fill = 1.0 if node.type.numeric else UNSEEN
    block = np.full((len(values), len(node.columns)), fill, dtype=node.type.dtype)
    if column in node.columns:
        with np.errstate(over="ignore"):  # float32 rows hold infinities for what is larger
            block[:, node.columns.index(column)] = values
    return block


def is_number(graph: Graph, column: int) -> bool:
    """Whether a raw column holds numbers."""
    return graph.schema.columns[column].kind == NUMBER
