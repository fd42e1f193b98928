"""The portable executor: the plan as it is, on numpy. It expresses every graph."""

from __future__ import annotations

from slimml.backends.base import Cost, Payload, Refusal
from slimml.backends.spread_sets import spread_sets
from slimml.ir.graph import Graph
from slimml.ir.ops.delegates import Opaque
from slimml.options import ShrinkOptions


class PortableBackend:
    """Every op in its reference meaning."""

    name = "portable"

    def missing(self) -> str | None:
        """numpy is a dependency of slimml itself."""
        return None

    def refuses(self, graph: Graph) -> list[Refusal]:
        """Nothing but what another tool made: this is the meaning of the graph."""
        made = [n for n in graph.nodes() if isinstance(n, Opaque)]
        return [Refusal("what skl2onnx made of it runs on ONNX Runtime alone", n.origin) for n in made]

    def cost(self, graph: Graph) -> Cost:
        """Nothing is compiled."""
        return Cost(0.0, 0)

    def compile(self, graph: Graph, options: ShrinkOptions) -> Payload:
        """The graph itself, its sets as columns."""
        return Payload("portable", spread_sets(graph))
