"""The portable executor: binds a plan to the reference ops and runs them one after another on numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from slimml.artifact.read import Artifact
from slimml.plan.decode import decode

if TYPE_CHECKING:
    import numpy as np

    from slimml.ir.graph import Graph
    from slimml.ir.node import Node

# Cells of one dense block: batches of many terms go through in parts.
_MOST_CELLS = 1 << 25

Step = tuple[int, Callable[..., Any], tuple[int, ...]]


class PortableEngine:
    """Runs a plan's nodes in order. Other engines override `kernel` for the nodes that they run themselves.

    `sections`: what the names of the plan's sections end with.
    """

    def __init__(self, artifact: Artifact, threads: int | None, sections: str = "") -> None:
        self.threads = threads
        self._artifact = artifact
        plan = decode(*(artifact.section(name + sections) for name in ("plan", "tensors", "forest")))
        self.graph = _bound(plan, artifact)
        nodes = self.graph.nodes()
        self._position = {node: i for i, node in enumerate(nodes)}
        self._kernels = [self.kernel(node) for node in nodes]
        self._nodes = nodes
        self._widest = max((n.type.width for n in nodes if n.type.layout == "dense"), default=0)
        self._programs = {o.name: self._program(o.nodes) for o in self.graph.outputs}

    def kernel(self, node: Node) -> Callable[..., Any]:
        """What computes a node's value from its inputs' values."""
        return node.evaluate

    def run(self, output: str, blocks: Mapping[str, np.ndarray]) -> list[Any]:
        """The values of an output's nodes, from one block per input kind (number, category, text).

        Raises InputError where the original would refuse a row.
        """
        rows = len(next(iter(blocks.values())))
        if rows > 1 and rows * self._widest > _MOST_CELLS:
            step = max(1, _MOST_CELLS // self._widest)
            parts = [
                self._run(output, {kind: block[i : i + step] for kind, block in blocks.items()})
                for i in range(0, rows, step)
            ]
            return [_stacked(values) for values in zip(*parts, strict=True)]
        return self._run(output, blocks)

    def _run(self, output: str, blocks: Mapping[str, np.ndarray]) -> list[Any]:
        inputs, steps, ends = self._programs[output]
        values: dict[int, Any] = {at: blocks[kind] for at, kind in inputs}
        for at, compute, reads in steps:
            values[at] = compute(*[values[i] for i in reads])
        return [values[at] for at in ends]

    def _program(self, ends: tuple[Node, ...]) -> tuple[list[tuple[int, str]], list[Step], list[int]]:
        from slimml.ir.graph import topological
        from slimml.ir.ops.columns import Input

        inputs: list[tuple[int, str]] = []
        steps: list[Step] = []
        for node in topological(ends):
            at = self._position[node]
            if isinstance(node, Input):
                inputs.append((at, node.kind))
            else:
                steps.append((at, self._kernels[at], tuple(self._position[x] for x in node.inputs)))
        return inputs, steps, [self._position[n] for n in ends]


def _stacked(values: tuple[Any, ...]) -> Any:
    """Blocks of rows, one below the other."""
    import numpy as np

    from slimml.ir.csr import Csr, vstack

    return vstack(values) if isinstance(values[0], Csr) else np.concatenate(values)


def _bound(plan: Any, artifact: Artifact) -> Graph:
    from slimml.plan.bind import bind
    from slimml.runtime.labels import read_labels

    return bind(plan, artifact.manifest.schema, read_labels(artifact.manifest.classes))
