"""Rows of float32 through the plan for float64 rows: a small plan in front says which float64 rows stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slimml.errors import ArtifactCorruptError
from slimml.runtime.engines import WIDENED
from slimml.runtime.engines.portable import PortableEngine
from slimml.schema import NUMBER

if TYPE_CHECKING:
    import numpy as np

    from slimml.ir.node import Node


class WidenedEngine:
    """Runs `front`, which makes float64 rows of float32 ones, then `beside`. Raises ArtifactCorruptError.

    `graph` is both as one, from float32 inputs to the outputs of the plan for float64 rows.
    """

    def __init__(self, front: PortableEngine, beside: PortableEngine) -> None:
        from slimml.ir.ops.columns import FLOAT32

        self._front, self._beside, self._kind = front, beside, FLOAT32
        (output,) = front.graph.outputs
        inputs = [n for n in beside.graph.inputs() if n.kind == NUMBER]
        narrow = [replace(n, kind=FLOAT32, domains=()) for n in inputs]
        end = output.nodes[0]
        fits = len(output.nodes) == len(inputs) == 1 and (end.type.dtype, end.type.layout) == ("float64", "dense")
        if not fits or [(n.kind, n.columns) for n in front.graph.inputs()] != [(n.kind, n.columns) for n in narrow]:
            raise ArtifactCorruptError("the plan for float32 rows does not make the rows that the other one reads")
        if end.type.width != inputs[0].type.width:
            raise ArtifactCorruptError("the plan for float32 rows makes rows of another width than the other one reads")

        def rule(node: Node) -> Node:
            return end if node is inputs[0] else node

        self.graph = beside.graph.map(rule)

    def run(self, output: str, blocks: Mapping[str, np.ndarray]) -> list[Any]:
        """As PortableEngine.run; the numbers are float32."""
        others = {kind: block for kind, block in blocks.items() if kind != self._kind}
        (numbers,) = self._front.run(WIDENED, {self._kind: blocks[self._kind]})
        return self._beside.run(output, {**others, NUMBER: numbers})
