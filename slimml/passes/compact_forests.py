"""Forest -> the same function of its ranks in fewer nodes, values, sets and cuts.

A split that can go one way alone, by what its column can hold and by the splits above, is that side of it. A split
whose two sides are the same leaf, or equal subtrees, is one of them. What then names nothing goes: rows of leaf values,
sets, cuts of the ranks in front (neighbouring ranks that no split tells apart are one); and what is there twice is
there once.

Bitwise: in each tree a row that the columns' domains allow reaches a leaf of the same bits as before, and the trees
keep their number and order, so the sums have the bits that they had. Trees of zeros stay: adding 0.0 changes -0.0.
Leaves of a LinearForest are functions, and equal only where they are one row.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from slimml.ir.forest import ARRAYS, Trees
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.models import Forest, LinearForest, forests
from slimml.options import Exactness
from slimml.passes.base import Outcome, Pass
from slimml.passes.compacting.columns import Columns, canonical, set_splits
from slimml.passes.compacting.decided import MASKED
from slimml.passes.compacting.leaves import with_equal_leaves, with_named_rows
from slimml.passes.compacting.ranks import Trained, on_new_ranks, renumbered, renumberings
from slimml.passes.compacting.subtrees import without_needless_splits

_TOO_MANY = f"sets of more than {MASKED} ranks are not compared with those above them"


def run(graph: Graph) -> Outcome:
    """Compact the forests; again where sets had too many ranks, of which there may be fewer now."""
    outcome = _run(graph)
    while outcome.skipped[_TOO_MANY] and (again := _run(outcome.graph)).fired:
        outcome = replace(again, fired=outcome.fired + again.fired)
    return outcome


def _run(graph: Graph) -> Outcome:
    """Compact each forest, then the ranks in front of them all."""
    nodes, why = graph.nodes(), Counter[str]()
    made = {n: _compacted(n, why) for n in forests(graph)}
    new = renumberings(graph, made, why)
    fired, mapping = 0, dict[Node, Node]()
    for node in nodes:
        inputs = tuple(mapping[x] for x in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        if node in new:
            mapping[node] = renumbered(node, inputs, new[node])
        elif isinstance(node, Forest | LinearForest):
            trees = on_new_ranks(made.pop(node), node.inputs[0], new)
            mapping[node] = _rebuilt(node, inputs, trees, same)
            fired += _gone(node, mapping[node])
        else:
            mapping[node] = node if same else replace(node, inputs=inputs)
    return Outcome(graph.with_nodes(mapping) if fired else graph, fired, why)


PASS = Pass("compact-forests", Exactness.BITWISE, run)


def _compacted(forest: Trained, why: Counter[str]) -> Trees:
    columns = Columns.of(forest.inputs[0].type)
    trees = canonical(forest.trees, columns)
    if any(columns.high[c] >= MASKED for c, _ in set_splits(trees)):
        why[_TOO_MANY] += 1
    if isinstance(forest, Forest):
        trees = with_equal_leaves(trees)
    return without_needless_splits(trees, columns)


def _rebuilt(forest: Trained, inputs: tuple[Node, ...], trees: Trees, same: bool) -> Node:
    trees, rows = with_named_rows(trees)
    if same and all(np.array_equal(_bits(trees, a), _bits(forest.trees, a)) for a in ARRAYS):
        return forest
    if isinstance(forest, Forest):
        return replace(forest, inputs=inputs, trees=trees)
    counts = np.diff(forest.starts)
    term = np.isin(np.repeat(np.arange(len(counts)), counts), rows)
    starts = np.concatenate([[0], np.cumsum(counts[rows])]).astype(np.int64)
    return replace(
        forest,
        inputs=inputs,
        trees=trees,
        const=forest.const[rows],
        starts=starts,
        columns=forest.columns[term],
        weights=forest.weights[term],
    )


def _bits(trees: Trees, name: str) -> np.ndarray:
    array: np.ndarray = getattr(trees, name)
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}") if array.dtype.kind == "f" else array


def _gone(before: Trained, after: Node) -> int:
    """How many nodes went; 1 where only tables, cuts or directions changed."""
    assert isinstance(after, Forest | LinearForest)
    return 0 if after is before else max(1, before.trees.nodes - after.trees.nodes)
