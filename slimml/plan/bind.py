"""A decoded plan to the graph that it describes, every index of every table checked again.

An attacker can compute hashes too, so what `Node.check` holds is held here as it is after a frontend.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.artifact.tensors import Tensor
from slimml.errors import ArtifactCorruptError
from slimml.ir.graph import Graph, Output
from slimml.ir.node import MalformedGraphError, Node
from slimml.ir.ops import (
    categories,
    columns,
    curves,
    delegates,
    fill,
    functions,
    heads,
    kernels,
    lines,
    models,
    neighbors,
    numeric,
    products,
    radius,
    ranks,
    splines,
    text,
)
from slimml.ir.verify import verify
from slimml.plan import forest
from slimml.plan.decode import Plan, PlanNode
from slimml.plan.ops import SPECS
from slimml.schema import Schema

# A small file can ask for wide nodes, and types list a domain per column.
_MAX_COLUMNS = 1 << 26
_MODULES = (
    columns,
    numeric,
    functions,
    curves,
    products,
    splines,
    lines,
    ranks,
    categories,
    text,
    models,
    kernels,
    neighbors,
    fill,
    radius,
    heads,
    delegates,
)
OPS: dict[str, type[Node]] = {name: next(getattr(m, name) for m in _MODULES if hasattr(m, name)) for name in SPECS}


def bind(plan: Plan, schema: Schema, labels: list[np.ndarray]) -> Graph:
    """The graph of a plan. Raises ArtifactCorruptError where a table or an index does not fit."""
    nodes: list[Node] = []
    columns = 0
    try:
        for node in plan.nodes:
            nodes.append(_node(node, nodes))
            columns += nodes[-1].type.width
            if columns > _MAX_COLUMNS:
                raise ArtifactCorruptError("the nodes of the plan have too many columns in all")
        outputs = tuple(
            Output(o.name, tuple(nodes[n] for n in o.nodes), o.form, tuple(labels[i] for i in o.labels))
            for o in plan.outputs
        )
        graph = Graph(schema, outputs, tuple(labels[i] for i in plan.classes))
        verify(graph)
    except (MalformedGraphError, IndexError) as error:
        raise ArtifactCorruptError(f"the plan contradicts itself: {error}") from error
    return graph


def _node(node: PlanNode, before: list[Node]) -> Node:
    given = {name: _value(value) for name, value in node.fields.items()}
    inputs = tuple(before[i] for i in node.inputs)
    made: Node = OPS[node.op](inputs=inputs, origin=node.origin, **given)
    return made


def _value(value: Any) -> Any:
    if isinstance(value, Tensor):
        return np.asarray(value.data).reshape(value.shape)
    if isinstance(value, dict):
        return forest.unpack(value)
    if isinstance(value, list):
        return tuple(_value(v) for v in value)
    return value
