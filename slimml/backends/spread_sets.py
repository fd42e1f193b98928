"""Sets of categories as columns of 0 and 1, for engines that only compare fast.

    rank in set, of a code  =  0 <= 0, of a look-up that is 0 in the set and 1 outside

A set is the compact form, and what other runtimes take; but numpy, ONNX Runtime and GTIL walk trees about half as fast
where some nodes ask for membership. The look-ups cost a few microseconds a row, however many nodes ask.

Bitwise: every row takes the same branches.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.ir.forest import IN_SET, Trees
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, LowerBound, Recode
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.models import Forest
from slimml.passes.drop_dead_columns import PASS as DROP_DEAD_COLUMNS

# Different sets of a forest, each a column of its own; with more of them the sets stay.
_MOST = 256


def spread_sets(graph: Graph) -> Graph:
    """The graph with few sets of codes as columns; the same object where there are none, or too many."""
    made = graph.map(_spread)
    return graph if made is graph else DROP_DEAD_COLUMNS.run(made).graph


def _spread(node: Node) -> Node:
    if not isinstance(node, Forest) or not len(node.trees.sets):
        return node
    trees, block = node.trees, node.inputs[0]
    parts = block.inputs if isinstance(block, Concat) else (block,)
    starts = np.cumsum([0] + [p.type.width for p in parts])
    owner = np.searchsorted(starts, np.arange(starts[-1]), side="right") - 1
    codes = np.array([isinstance(parts[p], Recode | Lookup | LowerBound) for p in owner.tolist()], dtype=bool)
    asks = np.flatnonzero((trees.feature >= 0) & ((trees.flags & IN_SET) != 0))
    asks = asks[codes[trees.feature[asks]]]
    pairs, number = np.unique(
        trees.feature[asks].astype(np.int64) * len(trees.sets) + trees.cut[asks], return_inverse=True
    )
    if not 0 < len(pairs) <= _MOST:
        return node
    feature, row = pairs // len(trees.sets), pairs % len(trees.sets)
    added, place, width = [], np.empty(len(pairs), dtype=np.int64), int(starts[-1])
    for p in np.unique(owner[feature]).tolist():
        mine = np.flatnonzero(owner[feature] == p)
        place[mine] = width + np.arange(len(mine))
        width += len(mine)
        added.append(_outside(parts[p], feature[mine] - starts[p], trees.sets[row[mine]]))
    joined = Concat(inputs=(*parts, *added), origin=node.origin)
    return replace(node, inputs=(joined, *node.inputs[1:]), trees=_compared(trees, asks, place[number]))


def _outside(part: Node, columns: np.ndarray, sets: np.ndarray) -> Node:
    """For each of some columns of a block of codes, whether it is outside of a set: int32 (n, len(columns))."""
    codes = part.inputs[0] if isinstance(part, Recode) else part
    tables = []
    for column, words in zip(columns.tolist(), sets, strict=True):
        ranks = np.arange(int(codes.type.domains[column].high) + 1)
        if isinstance(part, Recode):
            ranks = part.values[part.offsets[column] : part.offsets[column + 1]].astype(np.int64)
        bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")
        inside = (ranks >= 0) & (ranks < len(bits)) & (bits[np.clip(ranks, 0, len(bits) - 1)] == 1)
        tables.append((~inside).astype(np.int32))
    chosen = Select(inputs=(codes,), index=columns.astype(np.int64), origin=part.origin)
    offsets = np.cumsum([0] + [len(t) for t in tables]).astype(np.int64)
    return Recode(inputs=(chosen,), values=np.concatenate(tables), offsets=offsets, origin=part.origin)


def _compared(trees: Trees, asks: np.ndarray, column: np.ndarray) -> Trees:
    """The trees whose nodes `asks` compare those columns with 0."""
    new = {name: getattr(trees, name).copy() for name in ("feature", "cut", "flags")}
    new["feature"][asks], new["cut"][asks] = column, 0
    new["flags"][asks] &= ~IN_SET
    left = (new["flags"] & IN_SET) != 0
    used, position = np.unique(trees.cut[left], return_inverse=True)
    new["cut"][left] = position
    sets = trees.sets[used] if len(used) else np.zeros((0, 1), dtype=np.uint32)
    return replace(trees, sets=sets, **new)
