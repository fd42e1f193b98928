"""A whole graph as a plain ONNX file, for any ONNX Runtime.

One input per raw column that is read, by its name: doubles [n, 1], or strings [n, 1] for categories. One output per
method, by its name: `predict` [n], `predict_proba` [n, k], ...; a method that answers a list has one output per entry,
`predict_proba_0`, `predict_proba_1`, ...

What such a file cannot do stands in its metadata: `slimml.unchecked` lists the steps that refuse rows in the original
(infinities, unknown categories) and answer them here; `slimml.missing` names, by column, the string that stands for a
missing category.
"""

from __future__ import annotations

import json

import numpy as np

from slimml.backends.base import Refusal
from slimml.backends.onnx import objects, rules
from slimml.backends.onnx.backend import refusals_of
from slimml.backends.onnx.forest import reads
from slimml.backends.onnx.inline import inline, inline_refusal
from slimml.backends.onnx.program import Program
from slimml.backends.onnx.protobuf import ELEMENT, serialize
from slimml.errors import NoBackendError
from slimml.ir.graph import Graph, Output
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Input
from slimml.ir.ops.delegates import Opaque
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.heads import ShareGuard
from slimml.ir.ops.numeric import Guard


def export_onnx(graph: Graph) -> bytes:
    """The file. Raises NoBackendError where ONNX cannot express a part of the graph."""
    refusals = export_refusals(graph)
    if refusals:
        first = refusals[0]
        raise NoBackendError(f"ONNX cannot express {first.reason}", where=first.origin, hint="Write a .slim file.")
    found = objects.usages(graph)
    program = Program()
    scope = rules.Scope(program, {})
    cells: dict[Node, tuple[objects.Cell, ...]] = {}
    order = _needed(graph)
    program.reserve(*(name for name, _, _ in _outputs(graph)), *graph.schema.names)
    for node in order:
        if isinstance(node, Input):
            _input(scope, cells, graph, node, found)
        elif isinstance(node, Opaque):
            scope.tensors[node] = inline(program, node.model, [scope.tensors[x] for x in node.inputs])
        elif node.type.numeric and all(x.type.numeric for x in node.inputs):
            rules.lower(scope, node)
        else:
            objects.lower(scope, cells, node)
    for name, output, node in _outputs(graph):
        _answer(scope, name, output, node)
    program.metadata |= _metadata(graph, order, found)
    return serialize(program)


def export_refusals(graph: Graph) -> list[Refusal]:
    """What a file of its own cannot express; empty where it can."""
    order, found = _needed(graph), objects.usages(graph)
    refusals = [r for n in order for r in [_refusal(n, found)] if r is not None]
    refusals += objects.refusals_of(graph) + refusals_of(tuple(order))
    names = [name for name, _, _ in _outputs(graph)]
    if set(names) & set(graph.schema.names):
        refusals.append(Refusal("a column that is named like an output"))
    if not all(n and n.isprintable() for n in graph.schema.names):
        refusals.append(Refusal("a column without a printable name"))
    if any(_label_dtype(t) is None for o in graph.outputs for t in o.labels):
        refusals.append(Refusal("labels of several types"))
    return refusals


def _refusal(node: Node, found: dict[int, objects.Usage]) -> Refusal | None:
    if isinstance(node, Input):
        if not node.columns:  # a file has no other way to tell how many rows there are
            return Refusal("an answer that reads no column", node.origin)
        return Refusal("text as an input", node.origin) if node.kind == "text" else None
    if isinstance(node, Opaque):
        why = inline_refusal(node.model)
        return Refusal(why, node.origin) if why else None
    numbers = node.type.numeric and all(x.type.numeric for x in node.inputs)
    if rules.expressible(node) if numbers else objects.expressible(node, found):
        return None
    if isinstance(node, Apply):
        return Refusal(f"{node.function} in {node.source.dtype}", node.origin)
    return Refusal(f"{type(node).__name__} on {node.inputs[0].type}", node.origin)


def _needed(graph: Graph) -> list[Node]:
    """The nodes that the outputs read once ranks are folded into forests, each after what it reads."""
    needed = {n for o in graph.outputs for n in o.nodes}
    order = graph.nodes()
    for node in reversed(order):
        if node in needed:
            needed.update(reads(node))
    return [n for n in order if n in needed]


def _outputs(graph: Graph) -> list[tuple[str, Output, Node]]:
    listed = [(o, i, n) for o in graph.outputs for i, n in enumerate(o.nodes)]
    return [(f"{o.name}_{i}" if o.form in ("list", "stack") else o.name, o, n) for o, i, n in listed]


def _input(
    scope: rules.Scope,
    cells: dict[Node, tuple[objects.Cell, ...]],
    graph: Graph,
    node: Input,
    found: dict[int, objects.Usage],
) -> None:
    names = [graph.schema.columns[c].name for c in node.columns]
    if node.kind == "category":
        texts = [found[c].text for c in node.columns]
        made = [_declared(scope, n, "str" if t else "float64") for n, t in zip(names, texts, strict=True)]
        tokens = [found[c].token if t else None for c, t in zip(node.columns, texts, strict=True)]
        cells[node] = tuple(objects.Cell(n, t) for n, t in zip(made, tokens, strict=True))
        return
    made = [_declared(scope, n, "float64") for n in names]
    scope.tensors[node] = scope.op("Concat", *made, axis=1) if len(made) > 1 else made[0]


def _declared(scope: rules.Scope, name: str, dtype: str) -> str:
    return scope.program.input(name, dtype, ("rows", 1))


def _answer(scope: rules.Scope, name: str, output: Output, node: Node) -> None:
    value, dtype = scope.tensors[node], str(node.type.dtype)
    if output.labels:
        dtype = _label_dtype(output.labels[0]) or ""
        value = _labels(scope, value, output.labels, dtype)
    elif dtype == "int32":
        value, dtype = scope.op("Cast", value, to=ELEMENT["int64"]), "int64"
    shape: tuple[int | str, ...] = ("rows", node.type.width)
    if output.form == "vector":
        value, shape = scope.op("Squeeze", value, scope.const([1], "int64")), ("rows",)
    scope.program.output(name, value, dtype, shape)


def _labels(scope: rules.Scope, value: str, tables: tuple[np.ndarray, ...], dtype: str) -> str:
    """Positions int64 (n, k) to the labels that they stand for, column by column."""
    kind = object if dtype == "str" else dtype
    columns = []
    for c, table in enumerate(tables):
        at = scope.op("Gather", value, scope.const([c], "int64"), axis=1)
        columns.append(scope.op("Gather", scope.const(table.astype(kind)), at))
    return scope.op("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]


def _label_dtype(table: np.ndarray) -> str | None:
    """The type of a tensor of labels, or None where one tensor cannot hold them."""
    kind = {"U": "str", "b": "bool", "i": "int64", "u": "int64", "f": "float64"}.get(table.dtype.kind)
    if table.dtype.kind == "O" and all(isinstance(v, str) for v in table.tolist()):
        return "str"
    return kind


def _metadata(graph: Graph, order: list[Node], found: dict[int, objects.Usage]) -> dict[str, str]:
    guards = [n.origin for n in order if isinstance(n, Guard | ShareGuard) or (isinstance(n, Lookup) and any(n.refuse))]
    tokens = {graph.schema.columns[c].name: u.token for c, u in found.items() if u.text}
    return {"slimml.missing": json.dumps(tokens), "slimml.unchecked": json.dumps(list(dict.fromkeys(guards)))}
