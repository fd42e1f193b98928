"""Forest(Rank(chain(x))) -> Forest(Rank(x)): a forest reads ranks of raw columns, and what stood between is gone.

Every column of a forest's block is a function of one raw column, taken through imputers, scalers, casts, curves, bins
and encoders to a rank. Such a function is constant on intervals of numbers (or on single categories), so its cuts can
be said of the raw column itself: each is moved back one op at a time, to the last float that the op still maps to its
side (folding/cells.py; solving for it, `cut * scale + mean`, would miss that float by rounding). Missing values become
a direction of each split. Where several columns come from one raw column (one-hot columns, a value and its missing
indicator) they become one, and a split that parts its ranks otherwise than in their order a set of them.

The fold goes as far back as it can: up to the inputs and their guards, or to the op that it cannot pass, whose answers
are then ranked as they are. That op is named.

Bitwise: the leaves that a row reaches are the same, and so are the sums.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from slimml.ir.forest import IN_SET, Trees
from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, LowerBound
from slimml.ir.ops.columns import Concat, Input
from slimml.ir.ops.models import Forest, LinearForest
from slimml.ir.ops.numeric import Guard
from slimml.options import Exactness
from slimml.passes.base import Outcome, Pass
from slimml.passes.folding.blocks import Block, blocks_of, unread
from slimml.passes.folding.cells import UnfoldableError
from slimml.passes.folding.splits import Splits
from slimml.passes.folding.trace import PLAIN, trace


def run(graph: Graph) -> Outcome:
    """Fold what stands in front of each forest, one forest after another."""
    fired, why = 0, Counter[str]()
    mapping: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple(mapping[x] for x in node.inputs)
        moved = node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else replace(node, inputs=inputs)
        if isinstance(moved, Forest | LinearForest):
            try:
                folded = fold(moved, why)
            except UnfoldableError as reason:
                why[str(reason)] += 1
                folded = None
            fired += folded is not None
            moved = moved if folded is None else folded
        mapping[node] = moved
    return Outcome(graph.with_nodes(mapping) if fired else graph, fired, why)


PASS = Pass("fold-columns-into-ranks", Exactness.BITWISE, run)


def fold(forest: Forest | LinearForest, why: Counter[str]) -> Node | None:
    """The forest on ranks of the roots of its columns; None where it reads them already."""
    block, trees = forest.inputs[0], forest.trees
    used = np.unique(trees.feature[trees.feature >= 0]).tolist()
    roots = {column: trace(block, column, why) for column in used}
    places = {(root.node, root.column) for root in roots.values()}
    if not any(r.passed for r in roots.values()) and len(places) == len(used) and (used or _bare(block)):
        return None
    blocks = blocks_of(block, forest.origin, roots)
    if not blocks:
        # Single leaves: only the number of rows is read.
        node = next(n for n in topological([block]) if isinstance(n, Input))
        blocks.append(Block(unread(node), [], {}))
    splits, start = Splits.of(trees), 0
    for made in blocks:
        for (column, number), (feature, row) in made.features.items():
            missing = made.node.type.domains[feature].missing
            splits.put(trees, column, made.classes[number], row, start + feature, missing=missing)
        start += made.node.type.width
    nodes = [b.node for b in blocks]
    whole = nodes[0] if len(nodes) == 1 else Concat(inputs=tuple(nodes), origin=forest.origin)
    return replace(forest, inputs=(whole, *forest.inputs[1:]), trees=_renumbered(trees, splits))


def _bare(block: Node) -> bool:
    """Whether a block that no split reads is made of inputs and of what refuses rows alone."""
    return all(isinstance(n, (*PLAIN, Input, Guard, Lookup, LowerBound)) for n in topological([block]))


def _renumbered(trees: Trees, splits: Splits) -> Trees:
    table, position = splits.sets()
    in_set = (splits.flags & IN_SET) != 0
    cut = splits.cut.copy()
    cut[in_set] = position[splits.cut[in_set]]
    inner = splits.of_node >= 0
    of_node = splits.of_node[inner]
    new = {name: getattr(trees, name).copy() for name in ("feature", "cut", "flags")}
    new["feature"][inner], new["cut"][inner] = splits.feature[of_node], cut[of_node]
    new["flags"][inner] = splits.flags[of_node]
    return replace(trees, sets=table, **new)
