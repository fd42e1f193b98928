"""Hummingbird: the plan stays as it is, and the engine runs its models as tensor programs on PyTorch.

Nothing of Hummingbird's enters the artifact: the forest section already holds plain validated arrays, from which the
engine makes the programs (see runtime/engines/torch.py and tensor_trees.py).
"""

from __future__ import annotations

from slimml._optional import missing
from slimml.backends.base import Cost, Payload, Refusal
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.models import Forest, Linear, LinearTable
from slimml.options import PARITY_ROWS, ShrinkOptions

# Importing torch 2.13 and hummingbird 0.4.12 takes 5 s and 400 MB.
_START, _EMPTY = 5.0, 400 << 20
# Making the programs measured at 0.12 M, 0.5 M and 1.9 M nodes: 0.3 to 0.5 us and 60 to 90 bytes a node.
_SECONDS, _BYTES = 0.5e-6, 100
# Every row takes as many steps in each tree as the deepest tree has levels; 10 to 20 ns each at depths 8 and 14. It is
# what rules out forests with one very deep tree, where other engines stop at the leaf.
_STEP = 20e-9


class HummingbirdBackend:
    """Forests, bit for bit, and dense linear models; all else by the portable executor."""

    name = "hummingbird"

    def missing(self) -> str | None:
        """Whether torch or Hummingbird has to be installed first."""
        return missing("torch", "hummingbird") or missing("hummingbird", "hummingbird")

    def refuses(self, graph: Graph) -> list[Refusal]:
        """Graphs without a model that it runs."""
        models = [n for n in graph.nodes() if isinstance(n, Forest | Linear | LinearTable)]
        if any(runs(n) for n in models):
            return []
        if models:
            return [Refusal("a linear model on a sparse block, and tensor programs take dense ones", models[0].origin)]
        return [Refusal("no forest and no linear model in it, and tensor programs are made of nothing else")]

    def cost(self, graph: Graph) -> Cost:
        """What making the programs takes, in the server too, and answering the rows that parity asks."""
        forests = [n.trees for n in graph.nodes() if isinstance(n, Forest)]
        nodes, levels = sum(t.nodes for t in forests), sum(t.count * t.depth() for t in forests)
        answering = len(graph.outputs) * PARITY_ROWS * levels * _STEP
        return Cost(_START + nodes * _SECONDS + answering, _EMPTY + nodes * _BYTES)

    def compile(self, graph: Graph, options: ShrinkOptions) -> Payload:
        """The graph itself: what changes is who runs it."""
        return Payload("hummingbird", graph)


def runs(node: Node) -> bool:
    """Whether the engine runs this node as a tensor program."""
    linear = isinstance(node, Linear | LinearTable) and all(x.type.layout == "dense" for x in node.inputs)
    return isinstance(node, Forest) or linear
