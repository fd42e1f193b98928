"""Columns that no split and no output reads vanish, from the forest up to the input.

A column stays where a row can be refused because of it: a guard that its domain does not imply, an encoder that
refuses unknown categories. Forests name the columns that they split on; every other op needs all that it reads.

Bitwise: what is left is computed as before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, LowerBound, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Dense, Input, Select
from slimml.ir.ops.curves import PowerCurve, QuantileBack, QuantileCurve
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.models import Forest, LinearForest
from slimml.ir.ops.numeric import (
    Add,
    Affine,
    Binarize,
    Clip,
    Divide,
    FillMissing,
    Guard,
    IsMissing,
    Multiply,
    Nudge,
    Subtract,
)
from slimml.ir.ops.products import ONE, Products
from slimml.ir.ops.ranks import Rank
from slimml.ir.ops.splines import Splines
from slimml.ir.ops.text import CountTerms
from slimml.options import Exactness
from slimml.passes.base import Outcome, Pass
from slimml.passes.refusing import refusing

_SAME_COLUMNS = (Cast, Clip, IsMissing, Apply, Binarize, Nudge)
_VECTORS = {
    Add: ("value",),
    Subtract: ("value",),
    Multiply: ("value",),
    Divide: ("value",),
    Affine: ("scale", "shift"),
    Guard: ("low", "high", "missing"),
    PowerCurve: ("lambdas",),
    QuantileCurve: ("quantiles",),
    QuantileBack: ("quantiles",),
}


def run(graph: Graph) -> Outcome:
    """Find the demand from the outputs backwards, then rebuild forwards with what is demanded."""
    nodes = graph.nodes()
    demand = _demands(graph, nodes)
    dropped = sum(int((~demand[n]).sum()) for n in nodes)
    narrowed = graph
    if dropped:
        mapping: dict[Node, Node] = {}
        kept: dict[Node, np.ndarray] = {}
        for node in nodes:
            mapping[node], kept[node] = _narrowed(node, tuple(mapping[x] for x in node.inputs), kept, demand[node])
        narrowed = graph.with_nodes(mapping)
    # Passes before may have left columns that nothing reads any more.
    read = {c for x in narrowed.inputs() for c in x.columns}
    idle = sum(c.read and i not in read for i, c in enumerate(graph.schema.columns))
    if narrowed is graph and not idle:
        return Outcome(graph)
    columns = tuple(replace(c, read=i in read) for i, c in enumerate(graph.schema.columns))
    return Outcome(replace(narrowed, schema=replace(graph.schema, columns=columns)), max(dropped, idle))


PASS = Pass("drop-dead-columns", Exactness.BITWISE, run)


def _demands(graph: Graph, nodes: list[Node]) -> dict[Node, np.ndarray]:
    """Which columns of each node something needs; bool (width,)."""
    demand = {n: refusing(n) for n in nodes}
    for node in (n for o in graph.outputs for n in o.nodes):
        demand[node][:] = True
    for node in reversed(nodes):
        if isinstance(node, Products):
            demand[node] = _with_parents(node, demand[node])
        for x, wanted in zip(node.inputs, _wanted(node, demand[node]), strict=True):
            demand[x] |= wanted
    return demand


def _wanted(node: Node, demand: np.ndarray) -> list[np.ndarray]:
    """The columns of each input that a node needs to make the demanded columns of its own."""
    everything = [np.ones(x.type.width, dtype=bool) for x in node.inputs]
    if isinstance(node, Forest | LinearForest):
        used = np.unique(node.trees.feature[node.trees.feature >= 0])
        everything[0][:] = False
        everything[0][used] = True
        if isinstance(node, LinearForest):
            everything[1][:] = False
            everything[1][node.columns] = True
    elif isinstance(node, Select):
        everything[0][:] = False
        everything[0][node.index[demand]] = True
    elif isinstance(node, Splines):
        return [np.asarray(demand.reshape(node.source.width, node.each).any(axis=1))]
    elif isinstance(node, Products):
        everything[0][:] = False
        everything[0][node.column[demand & (node.parent != ONE)]] = True
    elif isinstance(node, Concat):
        ends = np.cumsum([x.type.width for x in node.inputs])
        return np.split(demand, ends[:-1])
    elif isinstance(node, OneHot):
        owner = np.repeat(np.arange(len(node.sizes)), node.sizes)
        return [np.bincount(owner[demand], minlength=len(node.sizes)) > 0]
    elif isinstance(node, (Rank, Lookup, LowerBound, Recode, FillMissing, Dense, *_SAME_COLUMNS, *_VECTORS)):
        return [demand]
    return everything


def _narrowed(
    node: Node, inputs: tuple[Node, ...], kept: dict[Node, np.ndarray], demand: np.ndarray
) -> tuple[Node, np.ndarray]:
    """The node on narrowed inputs, and which of its old columns it still has, in order."""
    same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
    whole = np.arange(node.type.width)
    if same and (demand.all() or not isinstance(node, Input | Select | OneHot | CountTerms | Dense | Products)):
        return node, whole
    columns = [kept[x] for x in node.inputs]
    for kind, narrow in _NARROW.items():
        if isinstance(node, kind):
            return narrow(node, inputs, columns, demand)
    return replace(node, inputs=inputs), whole


def _input(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    keep = np.flatnonzero(demand)
    domains = tuple(node.domains[i] for i in keep) if node.domains else ()
    return replace(node, columns=tuple(node.columns[i] for i in keep), domains=domains), keep


def _select(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    keep = np.flatnonzero(demand)
    index = np.searchsorted(columns[0], node.index[keep]).astype(np.int64)
    return replace(node, inputs=inputs, index=index), keep


def _concat(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    starts = np.cumsum([0] + [x.type.width for x in node.inputs])[:-1]
    return replace(node, inputs=inputs), np.concatenate([c + s for c, s in zip(columns, starts, strict=True)])


def _forest(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    feature = node.trees.feature
    moved = np.where(feature < 0, -1, np.searchsorted(columns[0], feature)).astype(np.int32)
    trees = replace(node.trees, feature=moved)
    return replace(node, inputs=inputs, trees=trees), np.arange(node.type.width)


def _linear_forest(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    feature = node.trees.feature
    moved = np.where(feature < 0, -1, np.searchsorted(columns[0], feature)).astype(np.int32)
    read = np.searchsorted(columns[1], node.columns).astype(np.int64)
    trees = replace(node.trees, feature=moved)
    return replace(node, inputs=inputs, trees=trees, columns=read), np.arange(node.type.width)


def _one_hot(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    ends = np.cumsum(node.sizes)
    targets, sizes = [], []
    for c in columns[0].tolist():
        own = demand[ends[c] - node.sizes[c] : ends[c]]
        place = np.where(own, np.cumsum(own) - 1, -1)
        target = node.targets[node.offsets[c] : node.offsets[c + 1]]
        targets.append(np.where(target >= 0, place[target] if len(place) else -1, -1))
        sizes.append(int(own.sum()))
    gone = np.setdiff1d(np.arange(len(node.sizes)), columns[0])
    owner = np.repeat(np.arange(len(node.sizes)), node.sizes)
    narrowed = replace(
        node,
        inputs=inputs,
        targets=np.concatenate([np.zeros(0), *targets]).astype(np.int32),
        offsets=_offsets(targets),
        sizes=np.array(sizes, dtype=np.int64),
    )
    return narrowed, np.flatnonzero(demand & ~np.isin(owner, gone))


def _rank(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    cuts = _pieces(node.cuts, node.offsets, columns[0])
    shifted = node.offsets + np.arange(len(node.offsets))
    tables = _pieces(node.table, shifted, columns[0]) if len(node.table) else []
    table = np.concatenate([np.zeros(0, np.int32), *tables])
    joined = np.concatenate([np.zeros(0, node.cuts.dtype), *cuts])
    return replace(node, inputs=inputs, cuts=joined, offsets=_offsets(cuts), table=table), columns[0]


def _recode(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    values = _pieces(node.values, node.offsets, columns[0])
    joined = np.concatenate([np.zeros(0, node.values.dtype), *values])
    return replace(node, inputs=inputs, values=joined, offsets=_offsets(values)), columns[0]


def _lookup(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    new: dict[str, Any] = {name: tuple(getattr(node, name)[c] for c in columns[0]) for name in ("tables", "refuse")}
    if isinstance(node, Lookup) and node.imputed:
        new["imputed"] = tuple(node.imputed[c] for c in columns[0])
    return replace(node, inputs=inputs, **new), columns[0]


def _fill(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    return replace(node, inputs=inputs, fill=tuple(node.fill[c] for c in columns[0])), columns[0]


def _same(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    return replace(node, inputs=inputs), columns[0]


def _dense(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    """Columns that a sparse block has for its own sake, as terms that count for the norm, are not written out."""
    wanted = demand[columns[0]]
    if wanted.all() or inputs[0].type.layout == "dense":
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        return node if same else replace(node, inputs=inputs), columns[0]
    chosen = Select(inputs=inputs, index=np.flatnonzero(wanted), origin=node.origin)
    return replace(node, inputs=(chosen,)), columns[0][wanted]


def _splines(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    kept = np.arange(node.type.width).reshape(node.source.width, node.each)[columns[0]].ravel()
    return replace(node, inputs=inputs, knots=node.knots[columns[0]], edges=node.edges[columns[0]]), kept


def _products(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    place, column = np.cumsum(demand) - 1, np.searchsorted(columns[0], node.column)
    parent = np.where(node.parent >= 0, place[node.parent], node.parent)[demand]
    # The column of what is 1 for every row is never read.
    column = np.where(node.parent == ONE, 0, column)[demand]
    return replace(node, inputs=inputs, parent=parent, column=column), np.flatnonzero(demand)


def _with_parents(node: Products, demand: np.ndarray) -> np.ndarray:
    """The terms that are demanded, and those that they are made of."""
    keep = demand.copy()
    for t in np.flatnonzero(node.parent >= 0)[::-1].tolist():
        keep[node.parent[t]] |= keep[t]
    return keep


def _terms(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    keep = np.flatnonzero(demand)
    return replace(node, inputs=inputs, terms=tuple(node.terms[i] for i in keep.tolist())), keep


def _vectors(node: Any, inputs: Any, columns: Any, demand: np.ndarray) -> tuple[Node, np.ndarray]:
    new: dict[str, Any] = {name: getattr(node, name)[columns[0]] for name in _VECTORS[type(node)]}
    if isinstance(node, Guard) and node.names:
        new["names"] = tuple(node.names[c] for c in columns[0])
    return replace(node, inputs=inputs, **new), columns[0]


def _pieces(flat: np.ndarray, offsets: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    return [flat[offsets[c] : offsets[c + 1]] for c in columns.tolist()]


def _offsets(pieces: list[np.ndarray]) -> np.ndarray:
    return np.cumsum([0] + [len(p) for p in pieces]).astype(np.int64)


_NARROW: dict[Any, Callable[..., tuple[Node, np.ndarray]]] = {
    Input: _input,
    Select: _select,
    Concat: _concat,
    Forest: _forest,
    LinearForest: _linear_forest,
    OneHot: _one_hot,
    Rank: _rank,
    Recode: _recode,
    (Lookup, LowerBound): _lookup,
    Dense: _dense,
    CountTerms: _terms,
    Products: _products,
    Splines: _splines,
    FillMissing: _fill,
    tuple(_VECTORS): _vectors,
    _SAME_COLUMNS: _same,
}
