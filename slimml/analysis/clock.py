"""Where the microseconds go: the original's, step by step, or the graph's where the original cannot run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slimml.ir.graph import Graph
from slimml.ir.node import Node, Value
from slimml.ir.ops.columns import Input
from slimml.parity.profiling import main_method
from slimml.parity.rows import RawRows

_MOST_CALLS = 200


@dataclass(slots=True)
class StepTime:
    """One step's own time in microseconds, that of steps inside of it taken off."""

    path: str
    class_name: str
    one_row: float
    batch: float | None
    holds_steps: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "path": self.path,
            "class": self.class_name,
            "one_row_us": self.one_row,
            "batch_us": self.batch,
            "holds_steps": self.holds_steps,
        }


@dataclass(slots=True)
class Times:
    """Medians in microseconds of one call.

    `of`          "original", "graph" (slimml's plain reference evaluation), or None where neither was timed
    `sentence`    what was timed, and why not the original if it was not
    `one_row`, `batch`   the whole call, on one row and on `rows` of them
    """

    of: str | None
    sentence: str
    method: str | None = None
    one_row: float | None = None
    batch: float | None = None
    rows: int = 0
    calls: int = 0
    steps: list[StepTime] = field(default_factory=list)

    @property
    def overhead(self) -> float | None:
        """Of the call on one row, what is spent in no step but between them: checks, copies, frames."""
        if self.one_row is None:
            return None
        return max(0.0, self.one_row - sum(s.one_row for s in self.steps if not s.holds_steps))

    @property
    def batch_overhead(self) -> float | None:
        """The same of the call on a batch."""
        if self.batch is None:
            return None
        return max(0.0, self.batch - sum(s.batch or 0.0 for s in self.steps if not s.holds_steps))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "of": self.of,
            "sentence": self.sentence,
            "method": self.method,
            "one_row": {"us": self.one_row, "overhead_us": self.overhead, "calls": self.calls},
            "batch": {"rows": self.rows, "us": self.batch, "overhead_us": self.batch_overhead},
            "steps": [s.to_json() for s in self.steps],
        }


def of_original(found: Mapping[str, Any], rows: int, sentence: str) -> Times:
    """From what `profiling.profile` answers."""
    one, many = found["one_row"], found["batch"]
    called = [p for p in found["paths"] if p in one["own"]]
    names = dict(zip(found["paths"], found["classes"], strict=True))
    steps = []
    for path in called:
        holds = any(other.startswith(f"{path}.") for other in called)
        batch = many["own"].get(path, 0.0) if many else None
        steps.append(StepTime(path, names[path], one["own"][path], batch, holds))
    batch = many["whole"] if many else None
    return Times("original", sentence, found["method"], one["whole"], batch, rows, one["calls"], steps)


def of_graph(graph: Graph, rows: RawRows, seconds: float, sentence: str) -> Times:
    """Each op's evaluation, by the step that it came from."""
    method = main_method(lambda name: any(o.name == name for o in graph.outputs)) or graph.outputs[0].name
    ends = graph.output(method).nodes
    single = [rows.take(slice(i, i + 1)).blocks(graph) for i in range(min(len(rows), 64))]
    if not single:
        return Times(None, sentence)
    one, calls = _evaluated(graph, ends, single, seconds * 0.7)
    many, _ = _evaluated(graph, ends, [rows.blocks(graph)], seconds * 0.3)
    steps = [StepTime(p, "", one[p], many.get(p, 0.0)) for p in sorted(one, key=lambda p: (p.count("."), p))]
    return Times("graph", sentence, method, sum(one.values()), sum(many.values()), len(rows), calls, steps)


def _evaluated(
    graph: Graph, ends: tuple[Node, ...], blocks: list[dict[Input, Any]], seconds: float
) -> tuple[dict[str, float], int]:
    """Median microseconds by origin, and how many evaluations that is of."""
    from slimml.ir.graph import topological

    order = topological(ends)
    spent: dict[str, list[int]] = {(n.origin or "model"): [] for n in order if not isinstance(n, Input)}
    end = time.perf_counter() + seconds
    calls = 0
    while calls == 0 or (calls < _MOST_CALLS and time.perf_counter() < end):
        taken = _once(order, blocks[calls % len(blocks)])
        calls += 1
        for path, times in spent.items():
            times.append(taken.get(path, 0))
    return {path: statistics.median(times) / 1e3 for path, times in spent.items()}, calls


def _once(order: list[Node], blocks: dict[Input, Any]) -> dict[str, int]:
    values: dict[Node, Value] = {}
    spent: dict[str, int] = {}
    for node in order:
        if isinstance(node, Input):
            values[node] = blocks[node]
            continue
        start = time.perf_counter_ns()
        values[node] = node.evaluate(*(values[x] for x in node.inputs))
        path = node.origin or "model"
        spent[path] = spent.get(path, 0) + time.perf_counter_ns() - start
    return spent
