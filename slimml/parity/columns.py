"""Where the columns of a graph come from, and what values in them matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from slimml.ir.csr import Csr
from slimml.ir.graph import Graph, evaluate
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

# A column that depends on no raw column, and one that depends on several.
NONE, MIXED = -1, -2


def sources(graph: Graph) -> dict[Node, np.ndarray]:
    """For every node, the raw column (position in the schema) that each of its columns depends on; int64 (width,)."""
    found: dict[Node, np.ndarray] = {}
    for node in graph.nodes():
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
    "Add Subtract Multiply Divide Affine Clip IsMissing FillMissing Guard Cast Dense Rank Lookup LowerBound Recode "
    "Sigmoid Exp Log Tanh Power Softplus SignedSquare IsPositive Apply PowerCurve "
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


_NOTED = (Lookup, LowerBound, CountTerms, HashTerms, FillMissing, IsMissing, Subtract, Divide, Guard)


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
    elif isinstance(node, Guard):
        seen.values += [v for v in (float(node.low[column]), float(node.high[column])) if np.isfinite(v)]
    elif isinstance(node, Divide):
        seen.scales.append(abs(float(node.value[column])))


def ungated(graph: Graph) -> tuple[Graph, dict[Node, Node]]:
    """The graph without refusals, and the gates of the new graph to those of the old one."""
    gates: dict[Node, Node] = {}
    # Tables that ranks are looked up in have no entry for what is missing: there it is 0 behind the gate.
    tables = any(isinstance(n, OneHot | Recode) and isinstance(n.inputs[0], Rank) for n in graph.nodes())

    def open_gate(node: Node) -> Node:
        if isinstance(node, Guard) and tables and node.type.numeric and node.type.layout == "dense":
            fill = tuple(np.where(node.missing, np.nan, 0.0).tolist())
            opened: Node = FillMissing(inputs=node.inputs, sentinel=np.nan, fill=fill, origin=node.origin)
        elif isinstance(node, Guard):
            width = node.source.width
            opened = replace(
                node, low=np.full(width, -np.inf), high=np.full(width, np.inf), missing=np.ones(width, dtype=bool)
            )
        elif isinstance(node, Lookup | LowerBound) and any(node.refuse):
            opened = replace(node, refuse=(False,) * len(node.refuse))
        else:
            return node
        gates[opened] = node
        return opened

    return graph.map(open_gate), gates


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


def refused_rows(graph: Graph, rows: RawRows) -> np.ndarray:
    """bool (n,): which rows the graph refuses, all gates asked at once."""
    refused = np.zeros(len(rows), dtype=bool)
    for _, cells in _refusals(graph, rows):
        refused |= cells.any(axis=1)
    return refused


def refused_cells(graph: Graph, rows: RawRows) -> dict[int, np.ndarray]:
    """Per raw column, bool (n,): which rows are refused for the value in that column, whatever the others hold."""
    refused: dict[int, np.ndarray] = {}
    for owners, cells in _refusals(graph, rows):
        for i, owner in enumerate(owners.tolist()):
            if owner >= 0:
                refused[owner] = refused.get(owner, np.zeros(len(rows), dtype=bool)) | cells[:, i]
    return refused


def _refusals(graph: Graph, rows: RawRows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each gate, the raw columns that its columns depend on, and the cells that it refuses."""
    opened, gates = ungated(graph)
    rows, unread = readable(graph, rows)
    for column, cells in unread.items():
        yield np.array([column]), cells[:, None]
    if not gates:
        return
    owners = sources(opened)
    with np.errstate(all="ignore"):
        values = evaluate(list(gates), rows.blocks(opened))
    for gate, original in gates.items():
        yield owners[gate.inputs[0]], _refused_by(original, values[gate.inputs[0]], values[gate])


def _refused_by(gate: Node, x: Value, y: Value) -> np.ndarray:
    """Which cells of its input a gate refuses; bool, the input's shape."""
    if isinstance(gate, Lookup | LowerBound):
        unknown = np.array([d.high for d in gate.type.domains])
        return np.asarray((y == unknown) & np.array(gate.refuse))
    assert isinstance(gate, Guard)
    values = x.toarray() if isinstance(x, Csr) else x
    missing = missing_mask(values, np.nan)
    inside = (values >= gate.low) & (values <= gate.high) if gate.type.numeric else ~missing
    return np.asarray(~inside & ~(missing & gate.missing))


def is_number(graph: Graph, column: int) -> bool:
    """Whether a raw column holds numbers."""
    return graph.schema.columns[column].kind == NUMBER
