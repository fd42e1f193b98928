"""What a pass is, and what it reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.options import Exactness


@dataclass(frozen=True, slots=True)
class Skip:
    """The pass's pattern is here, but it must not fire: why."""

    reason: str


@dataclass(slots=True)
class Outcome:
    """What a pass did: the graph, how often it fired, and how often it held back, by reason."""

    graph: Graph
    fired: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


Rule = Callable[[Node], Node | Skip | None]


@dataclass(frozen=True, slots=True)
class Pass:
    """A named rewriting of graphs. Running it twice equals running it once; no change gives the same graph object."""

    name: str
    exactness: Exactness
    run: Callable[[Graph], Outcome]

    @classmethod
    def local(cls, name: str, exactness: Exactness, rule: Rule) -> Pass:
        """A pass that rewrites one node at a time until its rule finds nothing more.

        The rule gives the new node, Skip(reason) where its pattern must not fire, None where it is not there.
        """

        def run(graph: Graph) -> Outcome:
            fired = 0
            while True:
                changed, skipped = 0, Counter[str]()

                def apply(node: Node, skipped: Counter[str] = skipped) -> Node:
                    nonlocal changed
                    result = rule(node)
                    if isinstance(result, Skip):
                        skipped[result.reason] += 1
                        return node
                    if result is None:
                        return node
                    changed += 1
                    return result

                graph = graph.map(apply)
                if not changed:
                    return Outcome(graph, fired, skipped)
                fired += changed

        return cls(name, exactness, run)
