"""Which sums are compared with something behind them, and so must keep their last bit."""

from __future__ import annotations

from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops.numeric import FillMissing, IsMissing
from slimml.ir.ops.ranks import Rank

_COMPARES = (Rank, IsMissing, FillMissing)
# Why a pass that rounds leaves a sum as it is.
COMPARED = "a later model compares what it makes"


def compared(graph: Graph) -> set[Node]:
    """The nodes that something which compares reads, directly or not: a later model's cuts (stacking), a sentinel."""
    return set(topological(n for n in graph.nodes() if isinstance(n, _COMPARES)))
