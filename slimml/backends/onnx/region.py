"""Which nodes of a graph ONNX calls take over.

The models (forests and sums of products), with what stands between two of them, and between them and the inputs, guards
or look-ups in front, and the exact arithmetic right behind. What refuses rows, compares objects or would move a last
bit stays in the portable plan. A model that reads another one's answer through such a step is in a call of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from slimml.backends.onnx.forest import reads
from slimml.backends.onnx.rules import SUMS, expressible, rounds
from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Constant, Input
from slimml.ir.ops.heads import ShareGuard
from slimml.ir.ops.models import Forest
from slimml.ir.ops.numeric import Add, Divide, Guard, Multiply, Subtract

_BEHIND = (Add, Subtract, Multiply, Divide)
# Only the portable plan refuses rows (Guard, ShareGuard); a Constant would need sizes computed in the model.
_OUTSIDE = (Input, Guard, ShareGuard, Constant)
# A value is compared with every entry of its column's table.
_MOST_COMPARED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """`inside` in order; `entries` are the nodes that it reads, `exits` those of it that are read from outside."""

    inside: tuple[Node, ...]
    entries: tuple[Node, ...]
    exits: tuple[Node, ...]


def regions_of(graph: Graph) -> tuple[Region, ...]:
    """The largest regions around the models of a graph, each reading only what stands before it; () without models."""
    order = graph.nodes()
    users: dict[Node, list[Node]] = {n: [] for n in order}
    ends = {n for o in graph.outputs for n in o.nodes}
    # What only a forest reads past (a Concat, say) uses nothing.
    for node in reversed(order):
        if node in ends or users[node]:
            for read in reads(node):
                users[read].append(node)
    taken: set[Node] = set()
    regions = []
    # From the last layer back, so that a model which a later call can hold as well is not called on its own.
    for layer in reversed(_layers(order)):
        inside = layer - taken
        for node in reversed(order):
            if node not in ends | taken and users[node] and _moves(node) and all(u in inside for u in users[node]):
                inside.add(node)
        for node in order:
            behind = isinstance(node, _BEHIND) and node.type.dtype == "float64"
            if behind and node not in taken and node.inputs[0] in inside:
                inside.add(node)
        if inside:
            regions.append(_region(order, inside, users, ends))
        taken |= inside
    return tuple(reversed(regions))


def _region(order: list[Node], inside: set[Node], users: dict[Node, list[Node]], ends: set[Node]) -> Region:
    nodes = tuple(n for n in order if n in inside)
    entries = dict.fromkeys(read for n in nodes for read in reads(n) if read not in inside)
    exits = tuple(n for n in nodes if n in ends or any(u not in inside for u in users[n]))
    return Region(nodes, tuple(entries), exits)


def _layers(order: list[Node]) -> list[set[Node]]:
    """The models and what one of them hands to another, by how often a step before it stays outside of a call."""
    models = _models(order)
    depth: dict[Node, int] = {}
    apart: dict[Node, bool] = {}
    for node in order:
        depth[node] = max((depth[x] for x in node.inputs), default=0)
        apart[node] = any(apart[x] for x in node.inputs if depth[x] == depth[node])
        if node in models:
            depth[node] += apart[node] or depth[node] == 0
            apart[node] = False
        else:
            apart[node] |= not expressible(node) or isinstance(node, _OUTSIDE)
    own = [{m for m in models if depth[m] == d} for d in sorted({depth[m] for m in models})]
    return [layer | _between(order, layer) for layer in own]


def _between(order: list[Node], models: set[Node]) -> set[Node]:
    above, below = set(topological(models)), set(models)
    for node in order:
        if any(x in below for x in node.inputs):
            below.add(node)
    return above & below


def _models(order: list[Node]) -> set[Node]:
    """The forests, and the sums of products whose last bits send no row another way."""
    forests = [n for n in order if isinstance(n, Forest)]
    above = set(topological(forests))
    return {n for n in order if expressible(n) and (n in forests or (isinstance(n, SUMS) and n not in above))}


def _moves(node: Node) -> bool:
    """Whether a step in front of a model may move into the call: bit for bit, and refusing no row."""
    if isinstance(node, Lookup) and (any(node.refuse) or max(map(len, node.tables), default=0) > _MOST_COMPARED):
        return False
    return expressible(node) and not isinstance(node, _OUTSIDE) and not rounds(node)
