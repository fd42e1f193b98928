"""Cuts of a Rank, codes of a Recode and categories of a Lookup that no split tells apart.

Neighbouring ranks of a Rank or Recode that every split sends one way are one. So are a category and what is not in the
table: it leaves the table. Several forests may read one block of ranks; what any of them tells apart stays.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.forest import IN_SET, Trees
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, Recode
from slimml.ir.ops.columns import Concat
from slimml.ir.ops.models import Forest, LinearForest
from slimml.ir.ops.ranks import Rank
from slimml.passes.compacting.columns import bits_of, set_splits, with_sets

Trained = Forest | LinearForest
Ranking = Rank | Recode | Lookup


@dataclass(frozen=True, slots=True, eq=False)
class Renumbering:
    """The new rank of each old one from 0 to the highest, a column after another: c owns of[start[c]:start[c + 1]]."""

    start: np.ndarray
    of: np.ndarray

    def column(self, c: int) -> np.ndarray:
        """The new ranks of a column."""
        return self.of[self.start[c] : self.start[c + 1]]


def renumberings(graph: Graph, made: dict[Trained, Trees], why: Counter[str]) -> dict[Node, Renumbering]:
    """What becomes of the ranks of each Rank, Recode and Lookup in front of the forests, where something does."""
    needed: dict[Node, np.ndarray] = {}
    for forest, trees in made.items():
        for node, own in _told_apart(trees, forest.inputs[0]):
            needed[node] = needed[node] | own if node in needed else own
    free = _read_by_forests_alone(graph)
    out: dict[Node, Renumbering] = {}
    for node, told_apart in needed.items():
        if not isinstance(node, Ranking) or told_apart.all():
            continue
        if node in free:
            out[node] = _renumbering(node, told_apart)
        else:
            why[f"{type(node).__name__} tells apart what no forest does, but others read its ranks too"] += 1
    return out


def _read_by_forests_alone(graph: Graph) -> set[Node]:
    """The nodes whose only readers are forests, which read ranks of them."""
    nodes = graph.nodes()
    others = {n for o in graph.outputs for n in o.nodes}
    for node in reversed(nodes):
        ranks = isinstance(node, Forest | LinearForest) or (isinstance(node, Concat) and node not in others)
        others.update(node.inputs[1:] if isinstance(node, LinearForest) else () if ranks else node.inputs)
    return set(nodes) - others


def _parts(block: Node) -> list[tuple[Node, int]]:
    """What a block is joined of, and the first column of each."""
    found, stack, first = [], [block], 0
    while stack:
        node = stack.pop()
        if isinstance(node, Concat):
            stack += reversed(node.inputs)
        else:
            found.append((node, first))
            first += node.type.width
    return found


def _starts(node: Node) -> np.ndarray:
    """Where the ranks of each column of a Rank, Recode or Lookup begin, and the end; other nodes have none."""
    highest = [int(d.high) + 1 if isinstance(node, Ranking) else 0 for d in node.type.domains]
    return np.cumsum([0, *highest])


def _told_apart(trees: Trees, block: Node) -> list[tuple[Node, np.ndarray]]:
    """The parts of a block, and whether any split tells each rank from the next; of a Lookup, from the highest."""
    parts = _parts(block)
    counts = np.concatenate([np.diff(_starts(node)) for node, _ in parts])
    words = np.concatenate([np.full(node.type.width, isinstance(node, Lookup)) for node, _ in parts])
    start = np.cumsum(counts) - counts
    told = np.zeros(int(counts.sum()), dtype=bool)
    # The highest rank has no next one, and a cut there tells nothing apart.
    told[(start + counts - 1)[counts > 0]] = True
    nodes = np.flatnonzero((trees.feature >= 0) & ((trees.flags & IN_SET) == 0))
    column, cut = trees.feature[nodes], trees.cut[nodes]
    on = cut < counts[column] - 1
    told[start[column[on]] + cut[on]] = True
    for c in np.flatnonzero(words & (counts > 1)).tolist():
        own = told[start[c] : start[c] + counts[c] - 1]
        own[:] = np.logical_or.accumulate(own[::-1])[::-1]
    for c, group in set_splits(trees):
        if counts[c] > 1:
            bits = bits_of(trees.sets[np.unique(trees.cut[group])], int(counts[c]))
            other = bits[:, -1:] if words[c] else bits[:, 1:]
            told[start[c] : start[c] + counts[c] - 1] |= (bits[:, :-1] != other).any(axis=0)
    edges = np.append(start, len(told))
    return [(node, _kept(node, told[edges[first] : edges[first + node.type.width]])) for node, first in parts]


def _kept(node: Node, told: np.ndarray) -> np.ndarray:
    """With the whole table of a column that refuses what is not in there."""
    refuse = np.array(node.refuse if isinstance(node, Lookup) else [False], dtype=bool)
    return told | np.repeat(refuse, np.diff(_starts(node))) if refuse.any() else told


def _renumbering(node: Node, told: np.ndarray) -> Renumbering:
    start = _starts(node)
    below = np.append(0, np.cumsum(told))
    first = np.repeat(below[start[:-1]], np.diff(start))
    new = below[:-1] - first
    if isinstance(node, Lookup):
        highest = np.repeat(below[start[1:]] - 1, np.diff(start)) - first
        new = np.where(told, new, highest)
    return Renumbering(start, new.astype(np.int32))


def renumbered(node: Node, inputs: tuple[Node, ...], found: Renumbering) -> Node:
    """The Rank, Recode or Lookup that gives the new ranks."""
    if isinstance(node, Lookup):
        new = [found.column(c) for c in range(node.type.width)]
        tables = zip(node.tables, new, strict=True)
        return replace(
            node, inputs=inputs, tables=tuple(tuple(v for v, r in zip(t, n) if r < n[-1]) for t, n in tables)
        )
    if isinstance(node, Recode):
        column = np.repeat(np.arange(node.type.width), np.diff(node.offsets))
        return replace(node, inputs=inputs, values=_new(found, column, node.values))
    assert isinstance(node, Rank)
    return _fewer_cuts(node, inputs, found)


def _fewer_cuts(node: Rank, inputs: tuple[Node, ...], found: Renumbering) -> Node:
    width = node.type.width
    column = np.repeat(np.arange(width), np.diff(node.offsets) + 1)
    first = node.offsets[:-1] + np.arange(width)
    raw = node.table if len(node.table) else np.arange(len(column)) - first[column]
    table = _new(found, column, raw)
    lowest = np.zeros(len(column), dtype=bool)
    lowest[first] = True
    fresh = np.append(True, table[1:] != table[:-1]) | lowest
    offsets = np.append(0, np.cumsum(np.bincount(column[fresh], minlength=width) - 1))
    table, column = table[fresh], column[fresh]
    plain = np.array_equal(table, np.arange(len(table)) - (offsets[:-1] + np.arange(width))[column])
    return replace(
        node, inputs=inputs, cuts=node.cuts[fresh[~lowest]], offsets=offsets, table=table[:0] if plain else table
    )


def _new(found: Renumbering, column: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    at = np.minimum(found.start[column] + np.maximum(ranks, 0), len(found.of) - 1)
    return np.where(ranks < 0, ranks, found.of[at]).astype(np.int32)


def on_new_ranks(trees: Trees, block: Node, found: dict[Node, Renumbering]) -> Trees:
    """The trees that read the renumbered block."""
    new: dict[int, np.ndarray] = {}
    for node, first in _parts(block):
        if node in found:
            new |= {first + c: found[node].column(c) for c in range(node.type.width)}
    return with_sets(_new_cuts(trees, new), lambda c, sets: _new_sets(sets, new.get(c)))


def _new_cuts(trees: Trees, new: dict[int, np.ndarray]) -> Trees:
    counts = np.array([len(new.get(c, ())) for c in range(max(new, default=-1) + 1)], dtype=np.int64)
    nodes = np.flatnonzero((trees.feature >= 0) & (trees.feature < len(counts)) & ((trees.flags & IN_SET) == 0))
    nodes = nodes[counts[trees.feature[nodes]] > 0]
    column = trees.feature[nodes]
    flat = np.concatenate([np.zeros(0, np.int32), *(new[c] for c in sorted(new))])
    cut = trees.cut.copy()
    at = np.minimum(cut[nodes], counts[column] - 1)
    cut[nodes] = flat[(np.cumsum(counts) - counts)[column] + at]
    return replace(trees, cut=cut, _depth=[])


def _new_sets(sets: np.ndarray, new: np.ndarray | None) -> np.ndarray:
    if new is None or not len(new):
        return bits_of(sets, 32 * sets.shape[1])
    return bits_of(sets, len(new))[:, np.unique(new, return_index=True)[1]]
