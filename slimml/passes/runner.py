"""Runs passes, and holds each to what every pass promises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slimml.errors import InternalError
from slimml.ir.graph import Graph
from slimml.ir.node import MalformedGraphError
from slimml.ir.verify import verify
from slimml.options import Exactness
from slimml.passes.base import Pass


@dataclass(frozen=True, slots=True)
class PassReport:
    """What one pass did: nodes of the graph before and after, how often it fired, and why it held back elsewhere."""

    name: str
    exactness: Exactness
    fired: int
    skipped: dict[str, int]
    before: int
    after: int

    def to_json(self) -> dict[str, object]:
        """A JSON-ready dict."""
        return {
            "name": self.name,
            "exactness": self.exactness.label,
            "fired": self.fired,
            "skipped": self.skipped,
            "before": self.before,
            "after": self.after,
        }


def run_passes(
    graph: Graph, passes: Iterable[Pass], allowed: Exactness = Exactness.ROUNDING
) -> tuple[Graph, list[PassReport]]:
    """The graph after every pass that `allowed` permits, and what each did.

    Raises InternalError where a pass breaks the graph, or changes the name, form, dtype or width of an output.
    """
    reports = []
    for each in passes:
        before = len(graph.nodes())
        if each.exactness > allowed:
            reason = f"{each.exactness.label} passes were not asked for"
            reports.append(PassReport(each.name, each.exactness, 0, {reason: 1}, before, before))
            continue
        outcome = each.run(graph)
        _hold(each, graph, outcome.graph)
        graph = outcome.graph
        after = len(graph.nodes())
        reports.append(PassReport(each.name, each.exactness, outcome.fired, dict(outcome.skipped), before, after))
    return graph, reports


def _hold(each: Pass, before: Graph, after: Graph) -> None:
    try:
        verify(after)
    except MalformedGraphError as error:
        raise InternalError(f"pass {each.name} made a graph that contradicts itself: {error}") from error
    if _surface(before) != _surface(after):
        raise InternalError(f"pass {each.name} changed what the graph answers with")


def _surface(graph: Graph) -> list[object]:
    return [
        (o.name, o.form, [(n.type.dtype, n.type.width, n.type.layout) for n in o.nodes], [id(t) for t in o.labels])
        for o in graph.outputs
    ]
