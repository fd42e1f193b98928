"""Linear(columns) -> LinearTable(numbers, codes): imputers, encoders and bins in front of a linear model go into it.

    w * fill(x)        =  w * x, and w * value where x is missing
    w * is_missing(x)  =  0,     and w         where x is missing
    W @ one_hot(c)     =  the row of a table that code c names; so for whatever takes few values

What takes few values is traced to the raw column as for forests (folding/): bins become ranks of it, encoders and
imputers of categories one look-up. All that comes from one raw column is one column of numbers, or one of codes. What
refuses rows is kept: guards of one input are joined, and look-ups that only refuse stay.

Rounding: the sum has the same terms, some of them added up in advance, so that none is larger than what it is made of.
Vocabulary that no weight reads goes where no norm does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Input, Select
from slimml.ir.ops.models import Linear, LinearTable
from slimml.ir.ops.numeric import FillMissing, Guard, IsMissing, Multiply
from slimml.ir.ops.ranks import Rank
from slimml.ir.ops.text import CountTerms
from slimml.ir.text import meaning
from slimml.ir.types import distinct
from slimml.options import Exactness
from slimml.passes.base import Outcome, Pass
from slimml.passes.comparing import COMPARED, compared
from slimml.passes.drop_dead_columns import PASS as DROP_DEAD_COLUMNS
from slimml.passes.folding.blocks import Block, blocks_of
from slimml.passes.folding.cells import Cells, UnfoldableError, identity
from slimml.passes.folding.columns import Few, Numbers, few, numbers, parts_of
from slimml.passes.folding.trace import Root, trace
from slimml.passes.refusing import refusing

_FOLDED = (FillMissing, IsMissing, OneHot, Recode)
_SHARED = (Guard, Select, Cast, Concat, Lookup, Rank, Recode)
# Entries of a table that are always worth it.
_SMALL = 1 << 12


def run(graph: Graph) -> Outcome:
    """Fold what stands in front of each linear model, one after another."""
    fired, why, kept = 0, Counter[str](), compared(graph)
    heads = sum(isinstance(n, Linear) for n in graph.nodes())
    mapping: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple(mapping[x] for x in node.inputs)
        moved = node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else replace(node, inputs=inputs)
        mapping[node] = moved
        if not isinstance(moved, Linear):
            continue
        reason = COMPARED if node in kept else _refused(moved)
        if reason:
            why[reason] += any(isinstance(n, _FOLDED) for n in topological([moved]))
            continue
        folded = _folded(moved, why, alone=heads == 1)
        if folded is not None:
            mapping[node] = folded
            fired += 1
    made = _tidy(graph.with_nodes(mapping)) if fired else graph
    return Outcome(made, fired, +why)


PASS = Pass("fold-columns-into-linear", Exactness.ROUNDING, run)


def _refused(linear: Linear) -> str | None:
    if linear.type.dtype != "float64":
        return "a sum in float32 is left as it is"
    if not (np.isfinite(linear.weights).all() and np.isfinite(linear.bias).all()):
        return "a weight is not finite"
    return None


def _folded(linear: Linear, why: Counter[str], *, alone: bool) -> Node | None:
    """The model on numbers and codes; None where that is nothing else than it is."""
    try:
        head = _Head.of(linear, why, alone=alone)
        made = head.built()
    except UnfoldableError as reason:
        why[str(reason)] += 1
        return None
    if isinstance(made, LinearTable):
        return made
    return made if made is not None and (head.dropped or _size(made) < _size(linear)) else None


def _size(node: Node) -> tuple[int, int]:
    nodes = topological([node])
    return len(nodes), sum(n.type.width for n in nodes)


@dataclass(slots=True, eq=False)
class _Block:
    """The numbers of one node that a head reads: float64 (width, k) each.

    `weights`  what a column is multiplied with; `missing` what it adds where it is missing
    `read`     which columns are read, `bare` those that are read without an imputer
    """

    weights: np.ndarray
    missing: np.ndarray
    read: np.ndarray
    bare: np.ndarray

    @classmethod
    def empty(cls, width: int, k: int) -> _Block:
        zeros = np.zeros((width, k))
        return cls(zeros, zeros.copy(), np.zeros(width, bool), np.zeros(width, bool))

    def add(self, own: Numbers, weights: np.ndarray) -> None:
        weights, filled = weights[:, own.at].T, ~np.isnan(own.fill)
        np.add.at(self.weights, own.columns, weights)
        fill = np.where(filled, own.fill, 0.0)
        np.add.at(self.missing, own.columns, weights * fill[:, None])
        self.read[own.columns] = True
        self.bare[own.columns[~filled]] = True


class _Head:
    """What a linear model becomes: blocks of numbers by the node that they are of, and columns of codes."""

    def __init__(
        self, linear: Linear, parts: list[Numbers], found: list[Few], why: Counter[str], *, alone: bool
    ) -> None:
        self.linear, self.why, self.alone = linear, why, alone
        self.bias = linear.bias.copy()
        self.raw = _raw(linear.inputs[0])
        self.sparse = any(p.node.type.layout == "csr" for p in parts)
        self.numbers: dict[Node, _Block] = {}
        for part in parts:
            node = self.raw.get(part.node, part.node)
            block = self.numbers.setdefault(node, _Block.empty(node.type.width, len(self.bias)))
            block.add(part, linear.weights)
        self.few = found
        self.dropped = False

    @classmethod
    def of(cls, linear: Linear, why: Counter[str], *, alone: bool) -> _Head:
        parts, found = [], []
        for part in parts_of(linear.inputs[0]):
            own = few(part, linear.weights)
            if own is not None and isinstance(part.node, Recode) and any(_too_large(f) for f in own):
                why["a row of sums for each category would be larger than one number for each"] += 1
                own = None
            if own is None:
                parts.append(part)
            else:
                found += own
        sparse = any(numbers(p, filled=False).node.type.layout == "csr" for p in parts)
        return cls(linear, [numbers(p, filled=not sparse) for p in parts], _joined(found), why, alone=alone)

    def built(self) -> Node | None:
        tables = self._tables()
        roots = {i: root for i, (root, _) in enumerate(tables)}
        have = {*self.numbers, *(r.node.inputs[0] for r in roots.values() if isinstance(r.node, Select))}
        # A guard is kept by whatever reads the one that it is joined into.
        have |= {n for n, joined in self.raw.items() if joined in have or joined in (r.node for r in roots.values())}
        blocks = blocks_of(self.linear.inputs[0], self.linear.origin, roots, have)
        block, weights, gaps, missing = self._numbers()
        if not blocks and not len(gaps):
            return replace(self.linear, inputs=(block,), weights=weights, bias=self.bias) if block else None
        coded = [_coded(b, [t for _, t in tables], len(self.bias)) for b in blocks]
        codes = _beside([node for node, _ in coded], self.linear.origin) if blocks else None
        rows = [r for _, own in coded for r in own]
        return LinearTable(
            inputs=tuple(x for x in (block, codes) if x),
            weights=weights,
            bias=self.bias,
            gaps=gaps,
            missing=missing,
            table=np.concatenate([np.zeros((0, len(self.bias))), *rows]),
            offsets=np.cumsum([0] + [len(r) for r in rows]).astype(np.int64),
            origin=self.linear.origin,
        )

    def _tables(self) -> list[tuple[Root, np.ndarray]]:
        """The root of every column of codes, and the table of what it adds by rank."""
        found: list[tuple[Root, np.ndarray]] = []
        for own in self.few:
            table, inverse = np.unique(own.terms, axis=0, return_inverse=True)
            rank = inverse.reshape(-1)
            if len(table) == 1:
                self.bias += table[0]
                continue
            if not self.alone:  # so that heads with other weights share their look-ups
                table, rank = own.terms, np.arange(len(own.terms))
            root = trace(own.node, own.column, self.why, _cells(rank.astype(np.int32)))
            node = self.raw.get(root.node, root.node)
            if node.type.numeric:
                root = replace(root, node=node)
            if not self._is_gap(root, table):
                found.append((root, table))
        return self._narrowed(found)

    def _is_gap(self, root: Root, table: np.ndarray) -> bool:
        """Take what is added only where a number is missing to what that number adds."""
        cells, block = root.cells, self.numbers.get(root.node)
        if self.sparse or block is None or not isinstance(cells, Cells) or len(cells.ranks) > 1:
            return False
        at, there = root.column, table[cells.ranks[0]]
        if block.bare[at] or not block.read[at] or there.any() or not np.isfinite(table).all():
            return False
        block.missing[at] += table[cells.missing]
        return True

    def _narrowed(self, found: list[tuple[Root, np.ndarray]]) -> list[tuple[Root, np.ndarray]]:
        """The same roots on those columns of numbers that are asked for."""
        used: dict[Node, set[int]] = {}
        for root, _ in found:
            if root.node.type.dtype in ("float64", "float32"):
                used.setdefault(root.node, set()).add(root.column)
        chosen = {n: (_select(n, np.array(sorted(c))), sorted(c)) for n, c in used.items()}
        return [
            (replace(r, node=chosen[r.node][0], column=chosen[r.node][1].index(r.column)), t)
            if r.node in chosen else (r, t) for r, t in found
        ]  # fmt: skip

    def _numbers(self) -> tuple[Node | None, np.ndarray, np.ndarray, np.ndarray]:
        """The block of numbers, its weights, and what its gaps add."""
        k = len(self.bias)
        nodes, weights, filled, missing = [], [np.zeros((k, 0))], [np.zeros(0, bool)], [np.zeros((k, 0))]
        for node, block in self.numbers.items():
            unread = block.read & _unread(node, block.weights)
            read = block.read & ~unread
            self.dropped |= bool(unread.any())
            if not read.any():
                continue
            at = np.flatnonzero(read)
            nodes.append(_float64(_select(node, at)))
            weights.append(block.weights[at].T)
            may = np.array([d.missing for d in node.type.domains])
            filled.append((may & ~block.bare)[at])
            missing.append(block.missing[at].T)
        gaps = np.flatnonzero(np.concatenate(filled)) if not self.sparse else np.zeros(0, np.int64)
        whole = _beside(nodes, self.linear.origin, "csr" if self.sparse else "dense") if nodes else None
        added = np.concatenate(missing, axis=1)[:, gaps]
        if not (np.isfinite(added).all() and all(np.isfinite(w).all() for w in weights)):
            raise UnfoldableError("what a missing value adds is not finite")
        return whole, np.ascontiguousarray(np.concatenate(weights, axis=1)), gaps.astype(np.int64), added


def _raw(block: Node) -> dict[Node, Node]:
    """Inputs of numbers and their guards, each to the one node that guards as all of them do."""
    guards: dict[Node, list[Guard]] = {}
    found: dict[Node, Node] = {}
    for node in topological([block]):
        if isinstance(node, Input) and node.type.numeric:
            guards[node] = []
        elif isinstance(node, Guard) and node.inputs[0] in guards:
            guards[node.inputs[0]].append(node)
    for x, own in guards.items():
        joined: Node = own[0] if own else x
        if len(own) > 1:
            low, high = np.max([g.low for g in own], axis=0), np.min([g.high for g in own], axis=0)
            missing = np.all([g.missing for g in own], axis=0)
            names = next((g.names for g in own if g.names), ())
            joined = Guard(inputs=(x,), low=low, high=high, missing=missing, names=names, origin=own[0].origin)
        found |= dict.fromkeys([x, *own], joined)
    return found


def _too_large(own: Few) -> bool:
    codes, k = own.terms.shape
    return bool(codes * k > max(_SMALL, 2 * (codes + k)))


def _joined(found: list[Few]) -> list[Few]:
    """One for each column of codes."""
    by_column: dict[tuple[Node, int], np.ndarray] = {}
    for own in found:
        key = own.node, own.column
        by_column[key] = by_column[key] + own.terms if key in by_column else own.terms
    return [Few(node, column, terms) for (node, column), terms in by_column.items()]


def _cells(rank: np.ndarray) -> Cells:
    """Cells of the codes -1, 0, 1, ... from the rank of each."""
    like = identity(len(rank) - 2)
    return Cells(like.cuts, rank[like.ranks + 1], int(rank[0]), int(rank[1]))


def _coded(block: Block, tables: list[np.ndarray], k: int) -> tuple[Node, list[np.ndarray]]:
    """The codes of a block, and the rows of the table for each column of them."""
    domains = block.node.type.domains
    rows: list[np.ndarray] = [np.zeros((int(d.high) + 1 + d.missing, k)) for d in domains]
    for (column, number), (feature, row) in block.features.items():
        found = block.classes[number]
        rows[feature][: len(found.old[row])] += tables[column][found.old[row]]
        if domains[feature].missing:
            rows[feature][-1] += tables[column][found.missing[row]]
    node = block.node
    if not isinstance(node, Recode) or k * len(node.values) > max(_SMALL, 2 * (len(node.values) + sum(map(len, rows)))):
        return node, rows
    # The codes before they were numbered anew tell the rows as well.
    old = np.split(node.values, node.offsets[1:-1])
    return node.inputs[0], [own[values] for own, values in zip(rows, old, strict=True)]


def _select(node: Node, columns: np.ndarray) -> Node:
    if np.array_equal(columns, np.arange(node.type.width)):
        return node
    return Select(inputs=(node,), index=columns.astype(np.int64), origin=node.origin)


def _float64(node: Node) -> Node:
    return node if node.type.dtype == "float64" else Cast(inputs=(node,), dtype="float64", origin=node.origin)


def _beside(nodes: list[Node], origin: str, layout: str = "dense") -> Node:
    if len(nodes) == 1 and nodes[0].type.layout == layout:
        return nodes[0]
    return Concat(inputs=tuple(nodes), layout=layout, origin=origin)


def _unread(node: Node, weights: np.ndarray) -> np.ndarray:
    """Columns of terms that no weight reads, and that need not be counted."""
    nothing = np.asarray(~weights.any(axis=1))
    if not all(np.isfinite([d.low, d.high]).all() and not d.missing for d in distinct(node.type.domains)):
        return np.zeros(len(nothing), dtype=bool)
    while isinstance(node, Cast | Multiply) or (isinstance(node, Guard) and not refusing(node).any()):
        node = node.inputs[0]
    return nothing if isinstance(node, CountTerms) else np.zeros(len(nothing), dtype=bool)


def _tidy(graph: Graph) -> Graph:
    """Nodes that heads have in common are made once, columns that nothing reads any more go, and so what picks all."""
    known: dict[tuple[object, ...], Node] = {}

    def shared(node: Node) -> Node:
        return known.setdefault((meaning(node), *node.inputs), node) if isinstance(node, _SHARED) else node

    def picked(node: Node) -> Node:
        whole = isinstance(node, Select) and np.array_equal(node.index, np.arange(node.source.width))
        return node.inputs[0] if whole else node

    return DROP_DEAD_COLUMNS.run(graph.map(shared)).graph.map(picked)
