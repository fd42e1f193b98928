"""A forest for other runtimes: a Treelite checkpoint (`.tl`), or C that TL2cgen makes of it (`.c`).

Such a file holds the forest, and the average or the sigmoid behind it. To compare it, the rest of the model (labels,
a softmax) is put around it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml._optional import missing, require
from slimml.backends.c_source import c_source, compiled, cost_of_c
from slimml.backends.treelite_export import answered_node, categories, export_refusal, export_treelite
from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Input
from slimml.ir.ops.heads import ShareGuard
from slimml.ir.ops.numeric import Guard

# Categories of a column that a note lists; the attributes of a .tl file hold all.
_LISTED = 20

Scores = Callable[[np.ndarray], np.ndarray]


class TreeliteWriter:
    """A Treelite checkpoint, for FIL on GPUs and other readers."""

    name = "treelite"

    def refusal(self, graph: Graph) -> str | None:
        """What a checkpoint cannot hold, or the package without which there is none."""
        return missing("treelite", "treelite") or _refusal(graph)

    def build(self, graph: Graph) -> ForestFile:
        """The file, read back by Treelite (it is our own, just made) and run by GTIL."""
        data = export_treelite(graph)
        return ForestFile(data, graph, gtil_scores(data), _notes(graph, "a .tl file"))


class CWriter:
    """One C source file without dependencies but libm."""

    name = "c"

    def refusal(self, graph: Graph) -> str | None:
        """What Treelite cannot hold, and forests that no C compiler takes in reasonable time."""
        found = missing("treelite", "treelite") or missing("tl2cgen", "treelite") or _refusal(graph)
        return found or cost_of_c(answered_node(graph))

    def build(self, graph: Graph) -> ForestFile:
        """The source, compiled and run where there is a C compiler."""
        data = c_source(export_treelite(graph), graph)
        scores, why = compiled(data, len(graph.schema.columns), answered_node(graph))
        notes = _notes(graph, "a .c file") + [f"not compared: {why}"] * (scores is None)
        return ForestFile(data, graph, scores or gtil_scores(export_treelite(graph)), notes, scores is not None)


def _refusal(graph: Graph) -> str | None:
    refused = export_refusal(graph)
    return (
        None
        if refused is None
        else f"a Treelite file cannot express {refused.reason}" + (f" ({refused.origin})" * bool(refused.origin))
    )


def _notes(graph: Graph, what: str) -> list[str]:
    """What stays outside of the file, in plain words."""
    node = answered_node(graph)
    answers = [o.name for o in graph.outputs if node in o.nodes and not o.labels]
    inside = f"answers {' and '.join(answers)}" if answers else "answers the sums of the trees"
    others = [o.name for o in graph.outputs if o.name not in answers]
    notes = [f"{what} {inside}" + (f"; {', '.join(others)} are made of that outside of it" if others else "")]
    dtype = "float32" if node.type.dtype == "float32" else "float64"
    notes.append(f"it takes all {len(graph.schema.columns)} columns in order as {dtype}, missing values as NaN")
    coded = [(graph.schema.columns[c.number].name, c.listed()) for c in categories(graph)]
    if coded:
        names = ", ".join(name for name, _ in coded)
        notes.append(f"categories are their positions in these tables, others the table's length: {names}")
        notes += [f"{name}: {_listed(table)}" for name, table in coded]
    refusing = [
        n for n in graph.nodes() if isinstance(n, Guard | ShareGuard) or (isinstance(n, Lookup) and any(n.refuse))
    ]
    guards = list(dict.fromkeys(n.origin for n in refusing))
    return notes + [f"it answers rows that the original refuses at {', '.join(guards)}"] * bool(guards)


def _refuses(node: Node) -> bool:
    return isinstance(node, Guard | ShareGuard) or (isinstance(node, Lookup) and any(node.refuse))


def _listed(table: list[object]) -> str:
    said = ["missing" if v is None else repr(v) for v in table[:_LISTED]]
    more = [f"and {len(table) - _LISTED} more"] if len(table) > _LISTED else []
    return ", ".join([f"{i} {v}" for i, v in enumerate(said)] + more)


def gtil_scores(data: bytes) -> Scores:
    """What a checkpoint answers, link included, by GTIL."""
    treelite = require("treelite", "treelite")
    gtil = require("treelite.gtil", "treelite")
    model = treelite.Model.deserialize_bytes(data)

    def scores(raw: np.ndarray) -> np.ndarray:
        found: np.ndarray = gtil.predict(model, raw.astype(model.input_type), nthread=1)
        return found.reshape(len(raw), -1)

    return scores


@dataclass(slots=True, eq=False)
class ForestFile:
    """The bytes, and an engine that runs them with the rest of the graph around."""

    data: bytes
    graph: Graph
    scores: Scores
    notes: list[str]
    compared: bool = True

    @property
    def model(self) -> ForestFile:
        """What is compared. It is not timed: the runtime that will run it is another one."""
        return self

    @property
    def outputs(self) -> tuple[str, ...]:
        """The methods that the graph answers."""
        return tuple(o.name for o in self.graph.outputs)

    def run(self, name: str, blocks: Mapping[str, np.ndarray]) -> list[Any]:
        """The values of an output's nodes, from one block per input kind."""
        ends, node = self.graph.output(name).nodes, answered_node(self.graph)
        raw = np.full((len(next(iter(blocks.values()))), len(self.graph.schema.columns)), np.nan)
        for source in self.graph.inputs():
            if source.kind == "number":
                raw[:, list(source.columns)] = blocks[source.kind]
            for codes in (c for c in categories(self.graph) if c.number in source.columns):
                raw[:, codes.number] = codes.coded(blocks[source.kind][:, source.columns.index(codes.number)])
        values: dict[Node, Any] = {node: self.scores(raw)}
        for each in _behind(ends, node):
            if isinstance(each, Input):
                values[each] = blocks[each.kind]
            elif each not in values:
                values[each] = each.evaluate(*(values[x] for x in each.inputs))
        return [values[n] for n in ends]


def _behind(ends: tuple[Node, ...], node: Node) -> list[Node]:
    """What `ends` need where the value of `node` is known, each after its inputs."""
    order, needed = topological(ends), set(ends)
    for each in reversed(order):
        if each in needed and each is not node:
            needed.update(each.inputs)
    return [n for n in order if n in needed]
