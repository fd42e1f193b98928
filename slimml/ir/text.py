"""The graph as text, and its fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

from slimml.ir.forest import ARRAYS, Trees
from slimml.ir.graph import Graph
from slimml.ir.node import Node

_SHORT = 6
_HIDDEN = {"inputs", "origin", "type", "coders", "run"}


def to_text(graph: Graph) -> str:
    """One line a node, in the order of evaluation, then one a output."""
    return _printed(graph, _brief, origins=True)


def fingerprint(graph: Graph) -> str:
    """SHA-256 of the graph's meaning: every op, field and table, but not where they came from."""
    return hashlib.sha256(_printed(graph, _exact, origins=False).encode()).hexdigest()


def fields(node: Node) -> dict[str, object]:
    """The op's own fields, in order."""
    return {f.name: getattr(node, f.name) for f in dataclasses.fields(node) if f.name not in _HIDDEN}


def meaning(node: Node) -> str:
    """The op and all of its own fields, exactly: what two nodes on the same inputs are told apart by."""
    return f"{type(node).__name__}({_exact(tuple(fields(node).items()))})"


def _printed(graph: Graph, show: Callable[[object], str], *, origins: bool) -> str:
    number = {node: i for i, node in enumerate(graph.nodes())}
    lines = [f"columns: {show(tuple(f'{c.name}:{c.kind}' for c in graph.schema.columns))}"]
    for node, i in number.items():
        reads = [f"%{number[x]}" for x in node.inputs]
        own = [f"{k}={show(v)}" for k, v in fields(node).items()]
        where = f"  # {node.origin}" if origins and node.origin else ""
        lines.append(f"%{i} = {type(node).__name__}({', '.join(reads + own)}) -> {node.type}{where}")
    for output in graph.outputs:
        labels = f" labels={show(output.labels)}" if output.labels else ""
        ends = ", ".join(f"%{number[n]}" for n in output.nodes)
        lines.append(f"{output.name}: {output.form}({ends}){labels}")
    return "\n".join(lines) + "\n"


def _brief(value: object) -> str:
    if isinstance(value, Trees):
        return f"<{value.count} trees, {value.nodes} nodes>"
    if isinstance(value, np.ndarray):
        if value.size <= _SHORT:
            return str(value.tolist())
        return f"<{value.dtype}{list(value.shape)}>"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, tuple) and len(value) > _SHORT:
        return f"<{len(value)} entries>"
    if isinstance(value, tuple):
        return f"({', '.join(_brief(v) for v in value)})"
    return repr(value)


def _exact(value: object) -> str:
    if isinstance(value, Trees):
        return _exact(tuple(getattr(value, a) for a in ARRAYS))
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return _exact(tuple(value.tolist()))
        data = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"{value.dtype.str}{list(value.shape)}{data}"
    if isinstance(value, tuple):
        return f"({','.join(_exact(v) for v in value)})"
    return f"{type(value).__name__}:{value!r}"
