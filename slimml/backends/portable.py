"""The portable executor: the plan as it is, on numpy. It expresses every graph."""

from __future__ import annotations

from slimml.backends.base import Cost, Payload, Refusal
from slimml.ir.graph import Graph
from slimml.options import ShrinkOptions


class PortableBackend:
    """Every op in its reference meaning."""

    name = "portable"

    def missing(self) -> str | None:
        """numpy is a dependency of slimml itself."""
        return None

    def refuses(self, graph: Graph) -> list[Refusal]:
        """Nothing: this is the meaning of the graph."""
        return []

    def cost(self, graph: Graph) -> Cost:
        """Nothing is compiled."""
        return Cost(0.0, 0)

    def compile(self, graph: Graph, options: ShrinkOptions) -> Payload:
        """The graph itself."""
        return Payload("portable", graph)
