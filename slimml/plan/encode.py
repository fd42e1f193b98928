"""A graph to the sections of a plan."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.artifact import strictjson
from slimml.artifact.exact import to_exact
from slimml.artifact.tensors import pack_tensors
from slimml.errors import InternalError
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.plan import forest
from slimml.plan.ops import FLOAT, SPECS, TEXTS, TREES
from slimml.plan.strings import pack_strings

PLAN, TENSORS, FOREST = "plan", "tensors", "forest"


def encode(graph: Graph) -> dict[str, bytes]:
    """The sections `plan`, `tensors` and `forest` of a graph.

    Label tables stay outside: outputs and classes name them by position in `label_tables(graph)`.
    """
    nodes = graph.nodes()
    position = {node: i for i, node in enumerate(nodes)}
    tables = label_tables(graph)
    arrays: dict[str, np.ndarray] = {}
    trees: dict[str, np.ndarray] = {}
    document = {
        "nodes": [_node(node, position, arrays, trees) for node in nodes],
        "outputs": [
            {
                "name": o.name,
                "form": o.form,
                "nodes": [position[n] for n in o.nodes],
                "labels": [_index(tables, t) for t in o.labels],
            }
            for o in graph.outputs
        ],
        "classes": [_index(tables, t) for t in graph.classes],
    }
    return {
        PLAN: strictjson.dumps(document),
        TENSORS: pack_tensors(arrays),
        FOREST: pack_tensors(trees),
    }


def label_tables(graph: Graph) -> list[np.ndarray]:
    """Every table of labels that an output reads, and every table of classes, once each."""
    tables: list[np.ndarray] = []
    for table in [*(t for o in graph.outputs for t in o.labels), *graph.classes]:
        if not any(t is table for t in tables):
            tables.append(table)
    return tables


def _index(tables: list[np.ndarray], table: np.ndarray) -> int:
    return next(i for i, t in enumerate(tables) if t is table)


def _node(
    node: Node, position: dict[Node, int], arrays: dict[str, np.ndarray], trees: dict[str, np.ndarray]
) -> dict[str, Any]:
    op = type(node).__name__
    if op not in SPECS:
        raise InternalError(f"{op} is not in the plan's list of ops")
    own: dict[str, Any] = {}
    for name, kind in SPECS[op].items():
        value, key = getattr(node, name), f"{position[node]}.{name}"
        if kind == TREES:
            trees |= {f"{key}.{part}": column for part, column in forest.pack(value).items()}
        elif kind == TEXTS:
            arrays[key] = np.frombuffer(pack_strings(value), dtype=np.uint8)
        elif kind.startswith("array:"):
            arrays[key] = value
        else:
            own[name] = to_exact(float(value) if kind == FLOAT else value)
    inputs = [position[x] for x in node.inputs]
    return {"op": op, "inputs": inputs, "fields": own, "origin": node.origin}
