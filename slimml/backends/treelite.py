"""Treelite: the plan stays as it is, and the engine runs its forests by GTIL.

Nothing of treelite's enters the artifact: its forest section already holds plain validated arrays, from which the
engine rebuilds the model (see runtime/engines/treelite.py).
"""

from __future__ import annotations

import numpy as np

from slimml._optional import missing
from slimml.backends.base import Cost, Payload, Refusal
from slimml.backends.spread_sets import spread_sets
from slimml.ir.forest import Trees
from slimml.ir.graph import Graph
from slimml.ir.ops.models import Forest, LinearForest
from slimml.options import ShrinkOptions

# Rebuilding measured at 0.1 M, 0.5 M and 2 M nodes with treelite 4.8.1: 0.1 to 0.3 us and 90 to 140 bytes a node.
_SECONDS, _BYTES = 0.4e-6, 150


class TreeliteBackend:
    """Forests by GTIL, bit for bit; all else by the portable executor."""

    name = "treelite"

    def missing(self) -> str | None:
        """Whether treelite has to be installed first."""
        return missing("treelite", "treelite")

    def refuses(self, graph: Graph) -> list[Refusal]:
        """Graphs without a forest, and sums whose zero would lose its sign."""
        forests = [n for n in graph.nodes() if isinstance(n, Forest)]
        linear = [n for n in graph.nodes() if isinstance(n, LinearForest)]
        if linear:
            return [Refusal("leaves that hold linear functions", linear[0].origin)]
        if not forests:
            return [Refusal("no forest in it, and treelite runs nothing else")]
        return [Refusal(r, f.origin) for f in forests for r in [refusal_of_sums(f.trees)] if r]

    def cost(self, graph: Graph) -> Cost:
        """What rebuilding the models takes, in the server too."""
        nodes = sum(n.trees.nodes for n in graph.nodes() if isinstance(n, Forest))
        return Cost(nodes * _SECONDS, nodes * _BYTES)

    def compile(self, graph: Graph, options: ShrinkOptions) -> Payload:
        """The graph itself, its sets as columns: what changes is who runs it."""
        return Payload("treelite", spread_sets(graph))


def refusal_of_sums(trees: Trees) -> str | None:
    """Why a sum that starts at +0.0 is not the sum that starts at the base, or None where it is.

    0.0 + base is base, except for a base of -0.0; and that shows only where every leaf on the way is -0.0 too.
    """
    if (np.signbit(trees.base) & (trees.base == 0)).any() and (np.signbit(trees.values) & (trees.values == 0)).any():
        return "its sums start from -0.0, which a sum that starts from 0.0 does not give back"
    return None
