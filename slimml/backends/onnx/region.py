"""Which nodes of a graph one ONNX call takes over.

The models (forests and linear sums), with what stands between them and the inputs, guards or look-ups in front, and
the exact arithmetic right behind. What refuses rows, compares objects or would move a last bit stays in the portable
plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from slimml.backends.onnx.forest import reads
from slimml.backends.onnx.rules import ROUNDING_OPS, expressible
from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Constant, Input
from slimml.ir.ops.models import Forest, Linear
from slimml.ir.ops.numeric import Add, Divide, Guard, Multiply, Subtract

_BEHIND = (Add, Subtract, Multiply, Divide)
# Only the portable plan refuses rows (Guard); a Constant would need sizes computed in the model.
_PORTABLE = (Input, Guard, Constant, *ROUNDING_OPS)
# A value is compared with every entry of its column's table.
_MOST_COMPARED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """`inside` in order; `entries` are the nodes that it reads, `exits` those of it that are read from outside."""

    inside: tuple[Node, ...]
    entries: tuple[Node, ...]
    exits: tuple[Node, ...]


def region_of(graph: Graph) -> Region:
    """The largest region around the models of a graph; without nodes where there is no model."""
    order = graph.nodes()
    users: dict[Node, list[Node]] = {n: [] for n in order}
    for node in order:
        for read in reads(node):
            users[read].append(node)
    ends = {n for o in graph.outputs for n in o.nodes}
    inside = _models(order)
    for node in reversed(order):
        if node not in ends and users[node] and _moves(node) and all(u in inside for u in users[node]):
            inside.add(node)
    for node in order:
        if isinstance(node, _BEHIND) and node.type.dtype == "float64" and node.inputs[0] in inside:
            inside.add(node)
    nodes = tuple(n for n in order if n in inside)
    entries = dict.fromkeys(read for n in nodes for read in reads(n) if read not in inside)
    exits = tuple(n for n in nodes if n in ends or any(u not in inside for u in users[n]))
    return Region(nodes, tuple(entries), exits)


def _models(order: list[Node]) -> set[Node]:
    """The forests, and the linear sums whose last bits send no row another way."""
    forests = [n for n in order if isinstance(n, Forest)]
    above = set(topological(forests))
    return {n for n in order if expressible(n) and (n in forests or (isinstance(n, Linear) and n not in above))}


def _moves(node: Node) -> bool:
    """Whether a step in front of a model may move into the call: bit for bit, and refusing no row."""
    if isinstance(node, Lookup) and (any(node.refuse) or max(map(len, node.tables), default=0) > _MOST_COMPARED):
        return False
    return expressible(node) and not isinstance(node, _PORTABLE)


def reentered(graph: Graph, region: Region) -> Node | None:
    """An entry that needs an exit, which no single call can serve; None where there is none."""
    below = set(region.exits)
    for node in graph.nodes():
        if any(x in below for x in node.inputs):
            below.add(node)
    return next((e for e in region.entries if e in below), None)
